"""``kubectl nodegate``: words of the command line go in, one verb runs, an exit code comes out.

Rules: an error that a person can act on is one line on stderr and never a traceback; Ctrl-C ends with
130; a reader that leaves early (``| head``) ends it quietly. Nothing slow is imported here.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from nodegate.cli import (
    bundling,
    completion,
    doctor,
    explain,
    flannel,
    importing,
    joining,
    linting,
    listing,
    version,
    watching,
)
from nodegate.cli.arguments import PROG, HelpFormatter
from nodegate.cli.exits import Exit, exit_of
from nodegate.errors import NodegateError

_DESCRIPTION = """\
See what nodegate decides about the certificates of self-run nodes, and why.

A kubelet asks for a certificate with a CertificateSigningRequest; the nodegate operator judges it
against the NodeEnrollment of that name and approves, denies or holds it. This plugin judges by the same
rules, shows each of them, and writes nothing."""

_EPILOG = f"""\
examples:
  # Why did this node not join?
  {PROG} explain node-csr-8kX2

  # Which nodes are enrolled, and who asks without being enrolled?
  {PROG} list

  # Does no node join? Examine the cluster
  {PROG} doctor

Use "{PROG} VERB --help" for the flags and examples of a verb."""


_OPTIONAL = frozenset({"kubernetes", "urllib3"})
"""Packages that only the verbs that ask a cluster need."""

_VERBS = (
    explain,
    listing,
    watching,
    doctor,
    linting,
    flannel,
    importing,
    joining,
    bundling,
    version,
    completion,
)
"""The verbs, in the order in which help shows them."""

_INSTALL = "install the plugin with its extra: pip install 'nodegate[plugin]'"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog=PROG,
        usage=f"{PROG} VERB [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    verbs = root.add_subparsers(title="verbs", metavar="VERB", required=True, prog=PROG)
    for verb in _VERBS:
        verb.add_parser(verbs)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.PIPE_CLOSED
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL:
            raise
        print(
            f"error: expected the package {error.name}, which asks the cluster, found none; {_INSTALL}", file=sys.stderr
        )
        code = Exit.USAGE
    except NodegateError as error:
        print(f"error: {error}", file=sys.stderr)
        code = exit_of(error)
    return int(code)


def _run(words: Sequence[str]) -> Exit:
    if words and words[0] == completion.COMPLETE:
        print(completion.complete(parser(), words[1:]), end="")
        return Exit.OK
    args = parser().parse_args(words or ["--help"])
    code: Exit = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())

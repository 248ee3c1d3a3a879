"""``nodegate-host completion bash``: a completion script from the parser itself, so it cannot fall behind it."""

from __future__ import annotations

import argparse

from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings

_SCRIPT = """\
# bash completion of nodegate-host; load it with: source <(nodegate-host completion bash)
_nodegate_host() {
  local word verb flags
  COMPREPLY=()
  word=${COMP_WORDS[COMP_CWORD]}
  for verb in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $verb in
@cases
    esac
  done
  if [ -n "$flags" ]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -W "@verbs" -- "$word"))
  fi
}
complete -o default -F _nodegate_host nodegate-host
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.add_argument("shell", choices=("bash",), help="the shell")


def run(_args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print the script."""
    # The command line imports the verbs, so a verb may import the command line only when it runs.
    from nodegate_host.cli import build_parser

    surroundings.output.write(script(build_parser()))
    return Exit.OK


def script(parser: argparse.ArgumentParser) -> str:
    """Return the script for every verb of `parser`."""
    # argparse has no public way to list a parser's verbs and flags.
    verbs = next(each for each in parser._actions if each.dest == "verb").choices  # noqa: SLF001 - said above
    subs: dict[str, argparse.ArgumentParser] = dict(verbs or {})
    cases = [f'      {name}) flags="{_flags(sub)}" ;;' for name, sub in subs.items()]
    return _SCRIPT.replace("@cases", "\n".join(cases)).replace("@verbs", " ".join(subs))


def _flags(parser: argparse.ArgumentParser) -> str:
    found = [flag for each in parser._actions for flag in each.option_strings]  # noqa: SLF001 - as above
    return " ".join(sorted(flag for flag in found if flag.startswith("--")))

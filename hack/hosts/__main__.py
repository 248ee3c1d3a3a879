"""The command line: `python -m hack.hosts check|prepare|sweep|shell`.

Data goes to standard output, progress and errors to standard error. Exit status: 0 done, 1 failed, 2 wrong usage,
3 test hosts cannot run here. Rules: only `prepare` installs anything, and it may be repeated.
"""

import argparse
import subprocess
import sys

from hack.cluster.errors import ClusterError
from hack.hosts import hosts, needs, rootfs
from hack.hosts.errors import HostError, NotPossible
from hack.hosts.hosts import Hosts

_NOT_POSSIBLE = 3


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check(_: argparse.Namespace) -> int:
    needs.check()
    _say("test hosts can run here" + ("" if rootfs.location().exists() else "; the root file system is not made yet"))
    return 0


def _prepare(_: argparse.Namespace) -> int:
    needs.install(_say)
    needs.check()
    print(rootfs.find(_say))
    return 0


def _sweep(_: argparse.Namespace) -> int:
    needs.check()
    _say(f"taken down: {' '.join(hosts.sweep(_say)) or 'nothing'}")
    return 0


def _guard(flags: argparse.Namespace) -> int:
    hosts.guard(flags.identity)
    return 0


def _shell(flags: argparse.Namespace) -> int:
    with Hosts(_say) as made:
        host = made.host(flags.host).boot()
        _say(f"{host.name} is up with {host.address}; leave the shell to end it")
        return subprocess.run([*host.entering(), "/bin/bash", "-l"], check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hack.hosts",
        description="Debian hosts under systemd for tests, as systemd-nspawn machines. Needs root.",
        epilog=(__doc__ or "").split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, text in (
        ("check", _check, "say whether test hosts can run here"),
        ("prepare", _prepare, "install what is missing with apt-get and make the root file system"),
        ("sweep", _sweep, "take down what killed runs left"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)
    shell = commands.add_parser("shell", help="boot one host and open a shell in it")
    shell.add_argument("host", nargs="?", default="node-a", help="its name (default: node-a)")
    shell.set_defaults(run=_shell)
    guard = commands.add_parser("guard", help="be the guard of running hosts; not for people")
    guard.add_argument("identity")
    guard.set_defaults(run=_guard)
    return parser


def main() -> int:
    """Run one command and return its exit status."""
    flags = _parser().parse_args()
    try:
        status: int = flags.run(flags)
    except NotPossible as error:
        _say(f"nodegate: {error}")
        return _NOT_POSSIBLE
    except (HostError, ClusterError, OSError) as error:
        _say(f"nodegate: {error}")
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())

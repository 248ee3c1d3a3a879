"""The command line: `python -m hack.cluster up|down|status|kubeconfig|build|node|request`.

Data goes to standard output, progress and errors to standard error. Exit status: 0 done, 1 failed, 2 wrong
usage, 3 no such cluster is up, 130 ended by Ctrl-C. Rules: `up` and `down` may be repeated.
"""

import argparse
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from hack.cluster import binaries, engines, requests, supervise
from hack.cluster.errors import ClusterError
from hack.cluster.nodes import HollowNode
from hack.cluster.process import LOOPBACK
from hack.cluster.supervise import Place

_DOWN = 3
_INTERRUPTED = 130


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _up(flags: argparse.Namespace) -> int:
    place = Place.named(flags.name)
    record = place.record()
    if record:
        _say(f"cluster {flags.name} is up already ({record['engine']}, {record['server']})")
        if record["engine"] != flags.engine:
            raise ClusterError(f"expected engine {flags.engine}, found {record['engine']}; end it first with down")
    elif flags.engine == "local":
        binaries.find(_say)
        record = supervise.up(place, flags.name, _say, flags.address)
    else:
        record = (
            engines.kind_up(place, _say) if flags.engine == "kind" else engines.current_up(place, _say, yes=flags.yes)
        )
        place.write_record(record)
    print(f"export KUBECONFIG={shlex.quote(record['kubeconfig'])}")
    return 0


def _down(flags: argparse.Namespace) -> int:
    place = Place.named(flags.name)
    record = place.record()
    if record and record["engine"] == "kind":
        engines.kind_down()
    was_up = supervise.down(place) or record is not None
    _say(f"cluster {flags.name} is down" if was_up else f"cluster {flags.name} is down already")
    return 0


def _status(flags: argparse.Namespace) -> int:
    place = Place.named(flags.name)
    record = place.record()
    if record is None:
        _say(f"cluster {flags.name} is down; start it with: python -m hack.cluster up")
        return _DOWN
    _say(f"cluster {flags.name}: engine {record['engine']}, server {record['server']}")
    if record["engine"] == "local":
        print("\n".join(supervise.status_table(record, place.supervisor())))
    return 0


def _kubeconfig(flags: argparse.Namespace) -> int:
    record = Place.named(flags.name).record()
    if record is None:
        _say(f"cluster {flags.name} is down; start it with: python -m hack.cluster up")
        return _DOWN
    print(record["kubeconfig"])
    return 0


def _build(flags: argparse.Namespace) -> int:
    for name, path in binaries.find(_say, binaries.SETS[flags.set]).paths.items():
        print(f"{name}\t{path}")
    return 0


def _supervise(flags: argparse.Namespace) -> int:
    supervise.serve(Place.named(flags.name), flags.address)
    return 0


def _node(flags: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    kubemark = binaries.find(_say, ("kubemark",))["kubemark"]
    with tempfile.TemporaryDirectory(prefix="nodegate-node-") as scratch:
        folder = flags.dir.resolve() if flags.dir else Path(scratch)
        with HollowNode(kubemark, flags.node, flags.bootstrap_kubeconfig.resolve(), folder) as node:
            _say(f"{node.name} asks for its certificate; log {node.log_path}; Ctrl-C ends it")
            node.wait_joined(flags.timeout)
            _say(f"{node.name} is Ready; its kubeconfig:")
            print(node.kubeconfig, flush=True)
            _wait_until_ended(node)


def _wait_until_ended(node: HollowNode) -> NoReturn:
    node.component.wait()
    raise ClusterError(f"{node.name}: expected it to run until Ctrl-C, found it ended; {node.component.log_tail()}")


def _request(flags: argparse.Namespace) -> int:
    if flags.kind == "renewal":
        print(requests.send(flags.kubeconfig, "client"))
    else:
        print(requests.send(flags.kubeconfig, "serving", dns=flags.dns, ips=flags.ip))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hack.cluster",
        description="A real Kubernetes control plane on 127.0.0.1, in the background, and nodes for it.",
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="default", help="one word, for several side by side (default: default)")

    listening: dict[str, Any] = {
        "default": LOOPBACK, "metavar": "IP",
        "help": "what etcd and the API server listen on, for hosts that are not this one (default: 127.0.0.1)",
    }  # fmt: skip
    up = commands.add_parser("up", parents=[named], help="start it, in a few seconds")
    up.add_argument(
        "--engine", choices=("local", "kind", "current"), default="local",
        help="local: ours on loopback; kind: a kind cluster (needs kind and docker); current: what kubectl points to",
    )  # fmt: skip
    up.add_argument("--address", **listening)
    up.add_argument("--yes", action="store_true", help="with --engine current: do not ask")
    up.set_defaults(run=_up)
    for name, run, text in (
        ("down", _down, "end it and remove what it stored"),
        ("status", _status, "show each part with its process id, state and port"),
        ("kubeconfig", _kubeconfig, "print the path of the administrator's kubeconfig"),
    ):
        commands.add_parser(name, parents=[named], help=text).set_defaults(run=run)
    own = commands.add_parser("supervise", parents=[named], help="be the background process of up; not for people")
    own.add_argument("--address", **listening)
    own.set_defaults(run=_supervise)
    build = commands.add_parser("build", help="find or build the programs (about ten minutes once)")
    build.add_argument(
        "--set", choices=tuple(binaries.SETS), default="control-plane",
        help="control-plane (default); node: kubelet, containerd, flanneld and what belongs to them; all",
    )  # fmt: skip
    build.set_defaults(run=_build)
    _add_node_commands(commands)
    return parser


def _add_node_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    node = commands.add_parser("node", help="run a hollow node in the foreground until Ctrl-C")
    node.add_argument("node", metavar="NAME", help="the node's name")
    node.add_argument("--bootstrap-kubeconfig", type=Path, required=True, metavar="FILE", help="with a bootstrap token")
    node.add_argument("--dir", type=Path, help="keep its keys and kubeconfig here (default: removed at the end)")
    node.add_argument("--timeout", type=float, default=3600, help="seconds to wait for approval (default 3600)")
    node.set_defaults(run=_node)
    request = commands.add_parser(
        "request", help="ask for a certificate with a node's credentials; prints the request's name"
    )
    request.add_argument("kind", choices=("renewal", "serving"), help="a client or a serving certificate")
    request.add_argument("--kubeconfig", type=Path, required=True, metavar="FILE", help="the node's, as node prints it")
    request.add_argument("--dns", action="append", default=[], metavar="NAME", help="with serving; may be repeated")
    request.add_argument("--ip", action="append", default=[], metavar="ADDRESS", help="with serving; may be repeated")
    request.set_defaults(run=_request)


def main() -> int:
    """Run one command and return its exit status."""
    flags = _parser().parse_args()
    try:
        status: int = flags.run(flags)
    except (ClusterError, OSError) as error:
        _say(f"nodegate: {error}")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main())

"""``bundle``: everything that one node needs from the cluster, as files beside a node.yaml for nodegate-host.

The enrollment, its token, the FlannelNetwork and facts of the cluster are read; node.yaml, ca.crt,
bootstrap.kubeconfig and copies of files that were named leave, all of mode 0600. Rules: nothing is written to
the cluster and nothing is made up: what is not known is a commented line in node.yaml and a warning; the file
is read back by nodegate-host's own parser; no file is replaced without --force.
"""

import argparse
import base64
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from nodegate.cli import joining
from nodegate.cli.arguments import PROG, add_connection, add_verb
from nodegate.cli.bundle_facts import read_cluster
from nodegate.cli.exits import Exit, Stopped
from nodegate.cli.node_file import Answers, NodeFile, node_file
from nodegate.cli.objects import warn
from nodegate.clock import now
from nodegate.text import visible
from nodegate_host.errors import ConfigInvalid, sentence
from nodegate_host.parse import parse

_DESCRIPTION = """\
Write what a host needs to become a node: node.yaml for nodegate-host, ca.crt and bootstrap.kubeconfig, each
of mode 0600. On the host, beside these files, one command is all there is then:

  nodegate-host apply -c node.yaml

The name, addresses and taints are the enrollment's, the token is the one that it names or that the operator
made, flannel's part is the FlannelNetwork's, the rest is read from the cluster. kube-proxy's kubeconfig and
flannel's etcd certificate are yours to name; they are copied. What is not known stands in node.yaml as a
line to fill in, and is said on stderr."""

_EPILOG = f"""\
examples:
  # Everything, into ./node-a
  {PROG} bundle node-a --kube-proxy-kubeconfig kube-proxy.kubeconfig \\
    --etcd-ca etcd-ca.crt --etcd-cert flannel.crt --etcd-key flannel.key

  # To the host, and there it becomes the node
  scp -pr node-a root@node-a:/etc/nodegate && ssh root@node-a nodegate-host apply -c /etc/nodegate/node.yaml

exit codes:
  0 written, and node.yaml is complete; 1 written, and something is to be filled in; 2 usage, or a file that
  cannot be read or written; 3 no such enrollment; 4 there is no token that works, or the API server refuses;
  5 the API server cannot be reached; 130 interrupted"""

NODE_FILE, CA, BOOTSTRAP = "node.yaml", "ca.crt", "bootstrap.kubeconfig"
"""The names of the files that are always written, but for the CA of a cluster that needs none."""

_COPIES = {
    "kube_proxy_kubeconfig": "kube-proxy.kubeconfig",
    "etcd_ca": "etcd-ca.crt",
    "etcd_cert": "etcd-client.crt",
    "etcd_key": "etcd-client.key",
}
"""The flags that name a file, and what its copy is called."""

_LIMIT = 1024 * 1024
"""Bytes of a named file; nodegate-host reads no more either."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "bundle",
        "Write all that a host needs to become a node",
        usage="NODE [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("node", metavar="NODE", help="name of the node and of its enrollment")
    parser.add_argument("--output-dir", metavar="DIR", help="where the files go (a new folder called NODE)")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument("--node-server", metavar="URL", help="address of the API server as the node reaches it")
    parser.add_argument("--network", metavar="NAME", help="the FlannelNetwork, where there are several")
    parser.add_argument("--kubernetes-version", metavar="VERSION", help="of the kubelet (the API server's)")
    parser.add_argument("--kube-proxy-kubeconfig", metavar="FILE", help="kube-proxy's kubeconfig")
    parser.add_argument("--etcd-ca", metavar="FILE", help="the CA of flannel's etcd")
    parser.add_argument("--etcd-cert", metavar="FILE", help="flannel's client certificate for etcd")
    parser.add_argument("--etcd-key", metavar="FILE", help="its key")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Write the files, and return what to end with."""
    copies = _copies(args)
    folder = Path(args.output_dir or args.node)
    _refuse_existing(folder, (NODE_FILE, CA, BOOTSTRAP, *copies), force=args.force)
    from nodegate.cli.connection import connect

    with closing(connect(args)) as connection:
        found = joining.joining(connection, args.node, args.node_server, now())
        cluster = read_cluster(connection, args.network)
    answers = Answers(found.enrollment, found.cluster.server, cluster, frozenset(copies), args.kubernetes_version or "")
    made = node_file(answers, has_ca=bool(found.cluster.ca))
    contents = {NODE_FILE: made.text, BOOTSTRAP: joining.kubeconfig(args.node, found.cluster, found.token), **copies}
    if found.cluster.ca:
        contents[CA] = base64.b64decode(found.cluster.ca).decode()
    _write(folder, contents, force=args.force)
    for caution in (*found.cautions, *cluster.notes):
        warn(caution)
    return _tell(folder, made)


def _copies(args: argparse.Namespace) -> dict[str, str]:
    """Return the named files' contents by the names of their copies."""
    found = {}
    for flag, name in _COPIES.items():
        source = getattr(args, flag)
        if source is not None:
            found[name] = _content(Path(source), f"--{flag.replace('_', '-')}")
    etcd = {name for name in found if name.startswith("etcd-")}
    if etcd and len(etcd) != len(_COPIES) - 1:
        raise Stopped(Exit.USAGE, "expected --etcd-ca, --etcd-cert and --etcd-key together, found some of them")
    return found


def _content(path: Path, flag: str) -> str:
    shown = visible(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
        text = content.decode()
    except OSError as error:
        raise Stopped(Exit.USAGE, f"{flag}: expected a readable file {shown}, found: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Stopped(Exit.USAGE, f"{flag}: expected text in {shown}, found other bytes") from error
    if not text.strip() or len(content) > _LIMIT:
        raise Stopped(Exit.USAGE, f"{flag}: expected 1 to {_LIMIT} bytes in {shown}, found {len(content)}")
    return text


def _refuse_existing(folder: Path, names: tuple[str, ...], *, force: bool) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise Stopped(Exit.USAGE, f"expected a folder {visible(str(folder))}, found something else; give --output-dir")
    there = [name for name in names if os.path.lexists(folder / name)]
    if there and not force:
        where = visible(str(folder))
        raise Stopped(
            Exit.USAGE, f"expected no {', '.join(there)} in {where}, found them; give --force to replace them"
        )


def _write(folder: Path, contents: dict[str, str], *, force: bool) -> None:
    """Write every file; node.yaml last, so that it never stands without what it names."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Stopped(
            Exit.USAGE, f"expected to make the folder {visible(str(folder))}, found: {error.strerror}"
        ) from error
    for name in sorted(contents, key=lambda each: each == NODE_FILE):
        joining.write_file(folder / name, contents[name], force=force)
        print(f"{folder / name} written, mode 0600", file=sys.stderr)


def _tell(folder: Path, made: NodeFile) -> Exit:
    """Say what is to be filled in and what nodegate-host's parser finds besides; return what to end with."""
    path = str(folder / NODE_FILE)
    for gap in made.gaps:
        warn(f"{path}: {gap}")
    try:
        parse(made.text, path)
    except ConfigInvalid as invalid:
        for problem in invalid.problems:
            print(f"to do: {sentence(path, problem)}", file=sys.stderr)
        return Exit.FINDING
    return Exit.OK

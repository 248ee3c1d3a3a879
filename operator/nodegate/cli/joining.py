"""``token``: the bootstrap kubeconfig of one node, from the token that its enrollment pins or the operator made.

An enrollment and a Secret are read, a kubeconfig goes to stdout or to a file that only its owner may
read. Rules: the secret half of the token stands in that kubeconfig and nowhere else; nothing is made and
nothing is written to the cluster; a kubeconfig without a way to know the API server is not made.
"""

import argparse
import base64
import binascii
import json
import os
import sys
import tempfile
from contextlib import closing
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from nodegate.cli.arguments import PROG, add_connection, add_verb
from nodegate.cli.exits import Exit, Stopped
from nodegate.cli.objects import warn
from nodegate.cli.tokens import SECRETS, Token, parse_token
from nodegate.cli.yaml_loader import Loader
from nodegate.clock import now
from nodegate.enrollment.model import Enrollment, Mode, State
from nodegate.enrollment.parse import parse_enrollment
from nodegate.enrollment.tokens import secret_name
from nodegate.errors import Forbidden, Malformed, NotFound
from nodegate.fields import Fields, rfc3339
from nodegate.names import API_VERSION
from nodegate.text import visible

if TYPE_CHECKING:
    from nodegate.cli.connection import Connection

_DESCRIPTION = """\
Print a bootstrap kubeconfig for one node, with the token that its enrollment names
(spec.bootstrap.tokenID) or that the operator has made for it (token.issue). The kubelet reads it once,
to ask for its first certificate:
--bootstrap-kubeconfig=FILE.

The token's Secret is read from kube-system; no token is made. The address and the CA of the API server
are those of the ConfigMap kube-public/cluster-info where there is one, else those of your kubeconfig."""

_EPILOG = f"""\
examples:
  # To a file that only you may read
  {PROG} token node-a --output-file bootstrap-kubelet.conf

  # Straight to the node
  {PROG} token node-a | ssh root@node-a 'umask 077; cat > /etc/kubernetes/bootstrap-kubelet.conf'

  # The node reaches the API server under another address than you
  {PROG} token node-a --node-server https://10.0.0.1:6443

exit codes:
  0 printed; 2 usage, or a file that cannot be written; 3 no such enrollment; 4 there is no token that
  works, or the API server refuses; 5 the API server cannot be reached; 130 interrupted"""

_CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
"""Where kubeadm says how nodes reach the cluster (kubernetes, kubeadm: bootstrap discovery)."""

_MAKE = "kubeadm token create, or a Secret bootstrap-token-<id> of type bootstrap.kubernetes.io/token in kube-system"


_WHY = "kubectl get nodeenrollment {} -o yaml"


class Cluster(NamedTuple):
    """How a node reaches the API server."""

    server: str
    ca: str
    """The CA's certificates, base64 of PEM; empty: those that the host trusts anyway."""


class Joining(NamedTuple):
    """What a node needs to ask for its first certificate, and what may keep it from getting that."""

    enrollment: Enrollment
    token: Token
    cluster: Cluster
    cautions: tuple[str, ...]
    """Sentences for whoever joins the node."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "token",
        "Print the bootstrap kubeconfig of a node",
        usage="NODE [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("node", metavar="NODE", help="name of the node and of its enrollment")
    parser.add_argument("--output-file", metavar="FILE", help="write to this file, mode 0600, instead of stdout")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.add_argument("--node-server", metavar="URL", help="address of the API server as the node reaches it")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print or write the kubeconfig, and return what to end with."""
    if args.force and not args.output_file:
        raise Stopped(Exit.USAGE, "expected --force together with --output-file, found it alone")
    if args.output_file and not args.force and os.path.lexists(args.output_file):
        raise _exists(args.output_file)
    from nodegate.cli.connection import connect

    at = now()
    with closing(connect(args)) as connection:
        found = joining(connection, args.node, args.node_server, at)
    for caution in found.cautions:
        warn(caution)
    text = kubeconfig(args.node, found.cluster, found.token)
    if args.output_file:
        write_file(Path(args.output_file), text, force=args.force)
        print(f"{args.output_file} written, mode 0600", file=sys.stderr)
    else:
        sys.stdout.write(text)
    return Exit.OK


def joining(connection: "Connection", node: str, node_server: str | None, at: datetime) -> Joining:
    """Return how a node joins.

    Args:
        connection: The cluster.
        node: The node's name, which is its enrollment's.
        node_server: The API server's address as the node reaches it; None takes the cluster's own word.
        at: The present moment.

    Raises:
        Stopped: There is no enrollment, no token that works, or no way to know the API server.
        ApiError: Something may not be read, or there was no usable answer.
    """
    enrollment = _enrollment(connection, node)
    token = _token(connection, enrollment, at)
    cluster = _cluster(connection, node_server)
    return Joining(enrollment, token, cluster, tuple(_cautions(enrollment, cluster, token, at)))


def _enrollment(connection: "Connection", node: str) -> Enrollment:
    from nodegate.cli.cluster_facts import ENROLLMENTS

    try:
        body = connection.object(ENROLLMENTS, node, "NodeEnrollment", API_VERSION)
    except NotFound as error:
        message = f"expected a NodeEnrollment called {visible(node, 253)}, found none; list them with: {PROG} list"
        raise Stopped(Exit.NOT_FOUND, message) from error
    return parse_enrollment(body)


def _token(connection: "Connection", enrollment: Enrollment, at: datetime) -> Token:
    """Return the token of an enrollment, when the API server would take it."""
    token_id = enrollment.expected_token_id
    if token_id is None:
        raise Stopped(Exit.REFUSED, _tokenless(enrollment))
    name, remedy = secret_name(token_id), f"make it anew: {_MAKE}"
    if enrollment.bootstrap.issue_token:
        remedy = f"wait for the operator to make another, or look at: {_WHY.format(enrollment.name)}"
    try:
        token = parse_token(connection.object(SECRETS, name, "Secret", "v1"))
        fault = token.fault(at)
    except NotFound as error:
        what = f"expected the Secret kube-system/{name} for NodeEnrollment {enrollment.name}, found none"
        raise Stopped(Exit.REFUSED, f"{what}; {remedy}") from error
    except Malformed as error:
        raise Stopped(Exit.REFUSED, f"{error}; {remedy}") from error
    if fault is not None:
        what = f"expected a token that works in the Secret kube-system/{name}, found that {fault}"
        raise Stopped(Exit.REFUSED, f"{what}; {remedy}")
    return token


def _tokenless(enrollment: Enrollment) -> str:
    """Return why there is no token, and what to do."""
    if not enrollment.bootstrap.issue_token:
        what = f"expected spec.bootstrap.tokenID in NodeEnrollment {enrollment.name}, found none"
        return f"{what}; make a token ({_MAKE}) and pin its id there, or set token.issue"
    what = f"expected a token that the operator made for {enrollment.name}, found none"
    said = enrollment.condition("TokenIssued")
    return f"{what}: {said.message if said else 'the operator has not seen the enrollment yet.'}"


def _cluster(connection: "Connection", node_server: str | None) -> Cluster:
    """Return how the node reaches the API server: as the cluster says itself, else as this command does."""
    # What came over a connection that nobody verified says nothing about whom the node may trust.
    told = _cluster_info(connection) if connection.verified else None
    cluster = told or Cluster(connection.host, connection.ca())
    if not cluster.ca and not connection.verified:
        what = "expected a CA by which the node knows the API server, found none, because nothing is verified"
        raise Stopped(Exit.REFUSED, f"{what}; give a kubeconfig with its CA, or the node shows its token to anybody")
    server = (node_server or cluster.server).rstrip("/")
    if urlsplit(server).scheme != "https":
        what = f"expected an https address of the API server, found {visible(server)}"
        raise Stopped(Exit.REFUSED, f"{what}; give --node-server, or the node shows its token to anybody")
    return Cluster(server, cluster.ca)


def _cluster_info(connection: "Connection") -> Cluster | None:
    try:
        data = Fields(connection.get(_CLUSTER_INFO)).child("data").text("kubeconfig")
        first = next(Fields(yaml.load(data, Loader)).children("clusters"), None)  # noqa: S506 - a safe loader of ours
    except (NotFound, Forbidden, Malformed, yaml.YAMLError):
        return None
    cluster = first.child("cluster") if first is not None else Fields({})
    server, ca = cluster.text("server"), cluster.text("certificate-authority-data")
    return Cluster(server, ca) if server and _is_pem(ca) else None


def _is_pem(text: str) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False


def _cautions(enrollment: Enrollment, cluster: Cluster, token: Token, at: datetime) -> list[str]:
    """Return what may keep the node from joining with this."""
    found = []
    if _is_loopback(cluster.server):
        found.append(f"the node is told {cluster.server}, an address of this host; give --node-server")
    if enrollment.state is not State.ACTIVE:
        found.append(f"spec.state is {enrollment.state}: the node's requests are not approved")
    if enrollment.mode is Mode.AUDIT:
        found.append("spec.mode is Audit: the node's requests are judged and not approved")
    end = enrollment.bootstrap.not_after
    if end is not None and end < at:
        found.append(f"the window of the enrollment closed at {rfc3339(end)}")
    if token.expires is None:
        found.append(f"token {token.id} never expires; delete its Secret once the node has joined")
    return found


def _is_loopback(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def kubeconfig(node: str, cluster: Cluster, token: Token) -> str:
    """Return the kubeconfig as YAML: one cluster, one user, one context."""
    # Every value is quoted: a token of digits and one e would be read as a number.
    ca = f"\n    certificate-authority-data: {json.dumps(cluster.ca)}" if cluster.ca else ""
    user = json.dumps(f"bootstrap-{node}")
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: {json.dumps(cluster.server)}{ca}
users:
- name: {user}
  user:
    token: {json.dumps(f"{token.id}.{token.secret}")}
contexts:
- name: {user}
  context:
    cluster: kubernetes
    user: {user}
current-context: {user}
"""


def _exists(file: str) -> Stopped:
    return Stopped(Exit.USAGE, f"expected no file {visible(file)}, found one; give --force to replace it")


def write_file(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner may read; it is there whole or not at all."""
    if path.exists() and not path.is_file():
        raise Stopped(Exit.USAGE, f"expected the name of a file, found {visible(str(path))}, which is something else")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # Always mode 0600.
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if force:
                Path(temporary).replace(path)
            else:
                os.link(temporary, path)  # Fails when somebody has made the file meanwhile.
        finally:
            Path(temporary).unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(str(path)) from error
    except OSError as error:
        raise Stopped(Exit.USAGE, f"expected to write {visible(str(path))}, found: {error.strerror}") from error

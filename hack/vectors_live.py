"""What a real API server says to the vectors: `python -m hack.vectors_live [--record]`.

The vectors come in; whether the API server lets each request be created, and a part of what it says, leave.
Rules: requests are created as the vector's own requester, by impersonation, in a dry run, so nothing stays;
everybody may create requests there, so that only content is refused; without `--record` differences are printed
and nothing is written.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import yaml

from hack.cluster import Cluster
from hack.cluster.requests import CSRS
from hack.impersonation import Connection, Identity
from hack.vectors.vector import Vector
from hack.vectors.write import FOLDER, text

MESSAGE_LIMIT = 160
"""Characters of `apiMessage`."""

_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_EVERYBODY = "nodegate-vectors"


class Answer(NamedTuple):
    """What the API server did."""

    accepts: bool
    message: str
    """What it said when it refused."""

    @property
    def word(self) -> str:
        """How a vector says it."""
        return "accepts" if self.accepts else "refuses"


def vectors() -> dict[str, dict[str, Any]]:
    """Return every vector's content by its path, `<Reason>/<case>`."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {
        str(path.relative_to(FOLDER).with_suffix("")): yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506  # a safe loader, in C where there is one
        for path in sorted(FOLDER.rglob("*.yaml"))
    }


def request(vector: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Return the manifest that a vector's requester sends: what the API server fills in is left out."""
    given = vector["csr"]
    metadata = {key: given["metadata"][key] for key in ("name", "labels", "annotations") if key in given["metadata"]}
    spec = {key: value for key, value in given["spec"].items() if key not in ("username", "groups", "extra", "uid")}
    kind = {key: given[key] for key in ("apiVersion", "kind")}
    return {**kind, "metadata": {**metadata, **({"name": name} if name else {})}, "spec": spec}


@contextmanager
def everybody_may_ask(cluster: Cluster) -> Iterator[None]:
    """Let every user create signing requests for as long as the block lasts."""
    group = "rbac.authorization.k8s.io"
    subjects = [
        {"apiGroup": group, "kind": "Group", "name": name}
        for name in ("system:authenticated", "system:unauthenticated")
    ]
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _EVERYBODY},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:node-bootstrapper"},
        "subjects": subjects,
    }
    cluster.api("POST", _BINDINGS, binding)
    try:
        cluster.kubectl("auth", "can-i", "create", "csr", "--as=anybody", "--as-group=system:authenticated")
        yield
    finally:
        cluster.api("DELETE", f"{_BINDINGS}/{_EVERYBODY}")


def ask(connection: Connection, vector: Mapping[str, Any]) -> Answer | None:
    """Ask the API server in a dry run; None when the requester's name cannot be sent in a header."""
    try:
        who = Identity.of(vector["csr"]["spec"])
        status, answer = connection.call("POST", f"{CSRS}?dryRun=All", request(vector), who=who)
    except ValueError:
        return None
    return Answer(status == HTTPStatus.CREATED, answer.get("message", ""))


def gist(message: str) -> str:
    """Return the part of a message that says what is wrong, without the values it quotes."""
    said = re.split(r'": |Invalid value: \d+: |is forbidden: ', message)[-1]
    return said[:MESSAGE_LIMIT].strip()


def _record(path: str, vector: Mapping[str, Any], answer: Answer) -> bool:
    """Write an answer into a vector's file; tell whether that changed it."""
    content = {key: value for key, value in vector.items() if key not in ("api", "apiMessage")}
    content["api"] = answer.word
    if not answer.accepts:
        content["apiMessage"] = gist(answer.message)
    file = FOLDER / f"{path}.yaml"
    before, after = file.read_text(encoding="utf-8"), text(Vector(path=path, content=content), {})
    if before != after:
        file.write_text(after, encoding="utf-8")
    return before != after


def main() -> int:
    """Ask about every vector; 1 when a file says something else and is not to be written."""
    parser = argparse.ArgumentParser(prog="python -m hack.vectors_live", description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="write `api` and `apiMessage` into the vectors")
    record, differences = parser.parse_args().record, 0
    with Cluster(log=print) as cluster, everybody_may_ask(cluster), Connection(cluster.credentials) as connection:
        for path, vector in vectors().items():
            answer = ask(connection, vector)
            if answer is None:
                print(f"{path}: the requester's name cannot be sent in a header; left as it is")
            elif record:
                differences += _record(path, vector, answer)
            elif answer.word != vector["api"]:
                differences += 1
                print(f"{path}: expected {vector['api']}, found {answer.word}: {gist(answer.message)}")
    print(f"{differences} vectors {'written' if record else 'differ'}")
    return 0 if record else int(differences > 0)


if __name__ == "__main__":
    raise SystemExit(main())

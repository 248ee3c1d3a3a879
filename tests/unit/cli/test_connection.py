"""The connection and what is read through it, against a real HTTP server on loopback.

The server answers with canned JSON and notes what it was asked; what only a real API server can tell is
in the integration tests.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nodegate.cli.__main__ import parser
from nodegate.cli.cluster_facts import ENROLLMENTS, REQUESTS, read_facts, read_request
from nodegate.cli.connection import Connection, connect
from nodegate.cli.exits import Exit, Stopped
from nodegate.csr.model import Fact
from nodegate.errors import Forbidden, NotFound, Unauthorized, Unavailable
from tests.unit.cli import samples
from tests.unit.cli.command import run

Answer = tuple[int, bytes]


class Server(ThreadingHTTPServer):
    """Answers by path and query; everything else is 404."""

    daemon_threads = True

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Mapping[str, list[str]]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """Answer one GET."""
        headers = {name.lower(): self.headers.get_all(name, []) for name in self.headers}
        self.server.asked.append((self.path, headers))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        key = f"{path}?continue={query['continue'][0]}" if "continue" in query else path
        status, body = self.server.answers.get(key, (404, b'{"kind":"Status","reason":"NotFound","message":"gone"}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status in {301, 302, 307}:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(answers: Mapping[str, Answer]) -> Iterator[Server]:
    """Serve answers while the block runs."""
    with Server(answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def connected(server: Server, *words: str) -> Iterator[Connection]:
    """Connect with the flags of ``list``."""
    connection = connect(flags("-s", server.url, *words))
    yield connection
    connection.close()


def flags(*words: str) -> argparse.Namespace:
    """Return the connection flags of a command line, untouched by the tester's own kubeconfig."""
    return parser().parse_args(["list", *words])


@pytest.fixture(autouse=True)
def _no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def body(**value: Any) -> Answer:
    """Return an answer with a JSON object."""
    return 200, json.dumps(value).encode()


def refused(status: int, reason: str = "Forbidden") -> Answer:
    """Return an answer that refuses, as the API server words it."""
    return status, json.dumps({"kind": "Status", "reason": reason, "message": f"that is {reason}"}).encode()


def test_lists_are_read_page_by_page() -> None:
    """Every page is asked for, and every object is given its kind."""
    answers = {
        "/x": body(metadata={"continue": "more"}, items=[{"metadata": {"name": "a"}}]),
        "/x?continue=more": body(metadata={}, items=[{"metadata": {"name": "b"}}]),
    }
    with served(answers) as server, connected(server) as connection:
        found = list(connection.objects("/x", "Node", "v1", labelSelector="a=b"))

    assert [each["metadata"]["name"] for each in found] == ["a", "b"]
    assert all((each["kind"], each["apiVersion"]) == ("Node", "v1") for each in found)
    assert [parse_qs(urlsplit(path).query)["labelSelector"] for path, _ in server.asked] == [["a=b"], ["a=b"]]


def test_user_and_token_go_along() -> None:
    """The token, the impersonated user and every group are headers of the request."""
    with served({"/x": body()}) as server:
        words = ("--token", "t0k", "--as", "joe", "--as-group", "g1", "--as-group", "g2")
        with connected(server, *words) as connection:
            connection.get("/x")

    headers = server.asked[0][1]
    assert headers["authorization"] == ["Bearer t0k"]
    assert headers["impersonate-user"] == ["joe"]
    assert ", ".join(headers["impersonate-group"]) == "g1, g2"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(401), Unauthorized),
        (refused(403), Forbidden),
        (refused(404), NotFound),
        (refused(500), Unavailable),
        ((200, b"no json"), Unavailable),
        ((200, b"[]"), Unavailable),
        ((307, b""), Unavailable),
    ],
)
def test_refusals_are_told_apart(answer: Answer, error: type[Exception]) -> None:
    """Each answer that is no object becomes the error that says what to do; redirects are not followed."""
    with served({"/x": answer, "/elsewhere": body()}) as server, connected(server) as connection:
        with pytest.raises(error):
            connection.get("/x")

        assert len(server.asked) == 1


def test_names_cannot_leave_their_path() -> None:
    """A name that would ask for another path is refused before anything is asked."""
    with served({}) as server, connected(server) as connection:
        for name in ("..", ".", "", "a/b", "a%2fb"):
            with pytest.raises(Stopped, match="expected the name of a"):
                read_request(connection, name)

        assert server.asked == []


def test_nothing_listening_is_unreachable() -> None:
    """A refused connection is exit 5 and one line."""
    with served({}) as server:
        url = server.url
    done = run("explain", "x", "-s", url)

    assert (done.returncode, done.stdout) == (5, "")
    assert (
        done.stderr
        == f"error: Unreachable: no answer from {url}: Connection refused; check the address and the network\n"
    )


def test_no_kubeconfig_is_told() -> None:
    """Without any kubeconfig the message says which was looked for."""
    done = run("list", "--kubeconfig", "absent.yaml")

    assert (done.returncode, done.stdout) == (2, "")
    assert "no file absent.yaml; set KUBECONFIG or give --kubeconfig" in done.stderr


@pytest.mark.parametrize("text", ["", "a: [", "kind: Config\n", "[]", "clusters: 3\n"])
def test_a_broken_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with a kubeconfig is one line and exit 2."""
    file = tmp_path / "config"
    file.write_text(text, encoding="utf-8")

    done = run("list", "--kubeconfig", str(file))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: expected a usable kubeconfig, found: ")
    assert len(done.stderr.splitlines()) == 1


FACT_LISTS = {
    ENROLLMENTS: body(items=[samples.enrollment()]),
    "/api/v1/nodes": body(items=[samples.node()]),
    "/apis/networking.k8s.io/v1/servicecidrs": body(items=[samples.service_cidr("10.96.0.0/12")]),
    "/api/v1/namespaces/default/services": body(items=[samples.service()]),
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": body(
        items=[samples.endpoint_slice("kubernetes", "192.0.2.1", of="kubernetes")]
    ),
}


def test_every_fact_is_read() -> None:
    """With every right there is every fact and no note."""
    with served(FACT_LISTS) as server, connected(server) as connection:
        facts, notes = read_facts(connection)

    assert (facts.missing, notes) == (frozenset(), ())
    assert facts.enrollments.keys() == facts.nodes.keys() == {samples.NODE}


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        (ENROLLMENTS, {Fact.ENROLLMENT, Fact.CLAIMS}),
        ("/api/v1/nodes", {Fact.NODE, Fact.RESERVED}),
        ("/apis/networking.k8s.io/v1/servicecidrs", {Fact.RESERVED}),
        ("/api/v1/namespaces/default/services", {Fact.RESERVED}),
        ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {Fact.RESERVED}),
    ],
)
def test_a_missing_right_makes_its_facts_missing(path: str, missing: set[Fact]) -> None:
    """One list that is forbidden takes exactly its facts away, and the note names it."""
    with served({**FACT_LISTS, path: refused(403)}) as server, connected(server) as connection:
        facts, notes = read_facts(connection)

    assert facts.missing == missing
    assert len(notes) == 1
    assert notes[0].startswith(f"no right to list {path.rpartition('/')[2]}")


def test_a_kind_that_is_not_served_has_no_objects() -> None:
    """An API server before 1.33 has no ServiceCIDRs; one without our CRD cannot be judged."""
    served_kinds = {path: answer for path, answer in FACT_LISTS.items() if "servicecidrs" not in path}
    with served(served_kinds) as server, connected(server) as connection:
        assert read_facts(connection)[0].missing == frozenset()

    del served_kinds[ENROLLMENTS]
    with served(served_kinds) as server, connected(server) as connection:
        facts, notes = read_facts(connection)

    assert facts.missing == {Fact.ENROLLMENT, Fact.CLAIMS}
    assert "install nodegate's CRDs" in notes[0]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("node-csr-b", "did you mean: node-csr-a?"), ("node-a", "did you mean: node-csr-a"), ("zzz", "kubectl get csr")],
)
def test_a_request_that_is_not_there_names_those_that_come_near(name: str, hint: str) -> None:
    """A misspelt name, and the name of a node, lead to the requests that may be meant."""
    requests = body(items=[samples.bootstrap(), samples.bootstrap("other", request=samples.pem("node-q"))])
    with served({REQUESTS: requests}) as server, connected(server) as connection, pytest.raises(Stopped) as raised:
        read_request(connection, name)

    assert raised.value.code is Exit.NOT_FOUND
    assert hint in str(raised.value)

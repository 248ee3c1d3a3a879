"""``list`` from files: rows, filters, and who asks without an enrollment."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli import samples
from tests.unit.cli.command import run, write

JOINED = {
    **samples.enrollment(),
    "metadata": {
        "name": samples.NODE,
        "labels": {"rack": "r1"},
        "creationTimestamp": "2020-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
    },
    "status": {
        "phase": "Joined",
        "bootstrap": {"tokenID": "abcdef"},
        "node": {"ready": "True"},
        "lastDecision": {"verdict": "Approve", "reason": "RenewalApproved"},
        "certificates": {
            "client": {"notAfter": "2021-01-01T00:00:00Z"},
            "serving": {"notAfter": "9000-01-01T00:00:00Z"},
        },
    },
}
SUSPENDED = {**samples.enrollment("node-b", state="Suspended"), "status": {"phase": "Suspended"}}
STRANGER = samples.bootstrap("csr-z", request=samples.pem("node-z"))
OTHERS = (
    samples.bootstrap("csr-enrolled"),
    samples.decided(samples.bootstrap("csr-decided", request=samples.pem("node-y")), "Denied", "x", "y"),
    samples.bootstrap("csr-nameless", request=samples.pem(organization="x")),
    samples.bootstrap("csr-other", request=samples.pem("node-x"), signerName="example.com/signer"),
)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> str:
    return write(tmp_path, "all.json", SUSPENDED, JOINED, STRANGER, *OTHERS)


def cells(*words: str) -> list[list[str]]:
    """Return the printed lines, split into words."""
    done = run("list", *words)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_rows_are_sorted_and_strangers_stand_below(file: str) -> None:
    """Enrollments come by name, then the pending requests of nodes without one, and no other request."""
    lines = cells("-f", file)

    assert lines[0] == ["NAME", "STATE", "PHASE", "NODE-READY", "CLIENT-EXPIRES", "AGE"]
    assert lines[1][:5] == ["node-a", "Active", "Joined", "True", "expired"]
    assert lines[2] == ["node-b", "Suspended", "Suspended", "-", "-", "<unknown>"]
    assert lines[3:6] == [[], ["Asking", "and", "not", "enrolled"], ["NODE", "REQUEST", "FOR", "REQUESTER", "AGE"]]
    assert [line[:4] for line in lines[6:]] == [["node-z", "csr-z", "client", "system:bootstrap:abcdef"]]


def test_wide_shows_token_verdict_and_serving(file: str) -> None:
    """The wide table has the four further columns of the resource itself."""
    lines = cells("-f", file, "-o", "wide", "--phase", "Joined")

    assert lines[0][-4:] == ["TOKEN", "LAST-VERDICT", "REASON", "SERVING-EXPIRES"]
    assert lines[1][-5:-2] == ["abcdef", "Approve", "RenewalApproved"]
    assert lines[1][-2] == "in"


def test_no_headers_leaves_rows_only(file: str) -> None:
    """Without headers every line is a row or empty."""
    assert [line[0] for line in cells("-f", file, "--no-headers") if line] == ["node-a", "node-b", "node-z"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--phase", "Suspended"), ["node-b"]),
        (("--phase", "Suspended", "--phase", "Joined"), ["node-a", "node-b"]),
        (("-l", "rack=r1"), ["node-a"]),
        (("-l", "!rack"), ["node-b"]),
        (("--phase", "Joined", "-l", "!rack"), []),
    ],
)
def test_filters_leave_strangers_out(file: str, words: tuple[str, ...], expected: list[str]) -> None:
    """A filter shows the enrollments that satisfy it, and nobody who is not enrolled."""
    assert [line[0] for line in cells("-f", file, "--no-headers", *words)] == expected


def test_objects_are_whole_without_managed_fields(file: str) -> None:
    """As JSON the enrollments are whole objects, and strangers stand apart."""
    body: dict[str, Any] = json.loads(run("list", "-f", file, "-o", "json").stdout)

    assert (body["apiVersion"], body["kind"]) == ("cli.nodegate.dev/v1", "EnrollmentList")
    assert [item["metadata"]["name"] for item in body["items"]] == ["node-a", "node-b"]
    assert body["items"][0]["status"] == JOINED["status"]
    assert "managedFields" not in body["items"][0]["metadata"]
    assert [(each["name"], each["nodeName"]) for each in body["asking"]] == [("csr-z", "node-z")]


def test_nothing_found_is_told_on_stderr(tmp_path: Path) -> None:
    """An empty list prints no row, says so, and is no error."""
    done = run("list", "-f", write(tmp_path, "none.json", {"kind": "List", "items": []}))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No enrollment found.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [(("-l", "a b"), "expected a label selector"), (("--phase", "Gone"), "invalid choice: 'Gone'")],
)
def test_filters_that_cannot_be_used_are_told(file: str, words: tuple[str, ...], message: str) -> None:
    """A mistake in a filter ends with 2, never with an empty list."""
    done = run("list", "-f", file, *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    """A file with something else is a mistake."""
    done = run("list", "-f", write(tmp_path, "node.json", samples.node()))

    assert done.returncode == 2
    assert "expected a NodeEnrollment or CertificateSigningRequest, found a Node" in done.stderr

"""``watch``: what is news, and how the stream of it begins, breaks off and ends.

What is news is asked of the followers themselves; connections are those to a server on loopback.
"""

import json
import signal
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from nodegate.cli.following import News, enrollments, requests
from tests.unit.cli import cluster_stub as stub
from tests.unit.cli import samples
from tests.unit.cli.command import PROGRAM, environment, run

AT = datetime(2030, 1, 31, 12, tzinfo=UTC)
Body = dict[str, Any]


def told(news: Any) -> list[tuple[str, str, str, str]]:
    """Return node, request, state and reason of each."""
    return [(each.node, each.request, each.state, each.reason) for each in news]


def approved(body: Body, *, certificate: str = "") -> Body:
    """Return a request as the operator has approved it."""
    decided = samples.decided(body, "Approved", "BootstrapApproved", "because")
    return {**decided, "status": {**decided["status"], "certificate": certificate}}


def test_a_request_is_told_from_its_beginning_to_its_certificate() -> None:
    """Pending, approved, issued: each once, whatever repeats; and its deletion afterwards is no news."""
    follower, body = requests(), samples.bootstrap("csr-1")
    assert told(follower.listed([], AT)) == []

    assert told(follower.changed(body, AT)) == [("node-a", "csr-1", "Pending", "")]
    assert told(follower.changed(body, AT)) == []
    assert told(follower.changed(approved(body), AT)) == [("node-a", "csr-1", "Approved", "BootstrapApproved")]
    assert told(follower.changed(approved(body, certificate="eA=="), AT)) == [("node-a", "csr-1", "Issued", "")]
    assert told(follower.deleted(approved(body, certificate="eA=="), AT)) == []


def test_the_first_look_shows_what_waits() -> None:
    """What was decided before is no news; what waits is, with the moment at which it was asked."""
    follower = requests()
    news = list(follower.listed([samples.bootstrap("csr-1"), approved(samples.bootstrap("csr-2"))], AT))

    assert told(news) == [("node-a", "csr-1", "Pending", "")]
    assert news[0].time == datetime(2030, 1, 31, 11, 55, tzinfo=UTC)


def test_a_gap_in_the_watch_loses_nothing() -> None:
    """A list after a break tells what has changed meanwhile: decided, new, gone, and made anew."""
    follower = requests()
    first, second, third = (samples.bootstrap(f"csr-{number}") for number in range(3))
    list(follower.listed([first, second, third], AT))
    again = {**third, "metadata": {**third["metadata"], "uid": "another"}}

    assert told(follower.listed([approved(first), again, samples.bootstrap("csr-9")], AT)) == [
        ("node-a", "csr-1", "Deleted", ""),
        ("node-a", "csr-0", "Approved", "BootstrapApproved"),
        ("node-a", "csr-2", "Pending", ""),
        ("node-a", "csr-9", "Pending", ""),
    ]


def test_other_signers_are_not_followed() -> None:
    """A request that is not for a kubelet certificate is nobody's news here."""
    assert told(requests().changed(samples.bootstrap(signerName="example.com/signer"), AT)) == []


def test_an_enrollment_is_told_by_phase_and_held_requests() -> None:
    """A new phase is news, and a verdict that the request itself does not show; an approval is told by the request."""
    follower = enrollments()
    body = stub.enrolled()
    assert told(follower.listed([body], AT)) == []
    held = {**body["status"], "lastDecision": {"verdict": "Hold", "reason": "NotReady", "csrName": "csr-1"}}
    done = {**body["status"], "phase": "Joined", "lastDecision": {"verdict": "Approve", "reason": "Y", "csrName": "c"}}
    audited = {**body, "spec": {"mode": "Audit"}, "status": done}

    assert told(follower.changed({**body, "status": held}, AT)) == [("node-a", "csr-1", "Hold", "NotReady")]
    assert told(follower.changed({**body, "status": done}, AT)) == [("node-a", "", "Joined", "")]
    assert told(follower.changed(audited, AT)) == [("node-a", "c", "Approve", "Y")]
    assert told(follower.deleted(body, AT)) == [("node-a", "", "Deleted", "")]


def test_news_are_safe_to_print() -> None:
    """Nothing that a requester chose reaches the terminal as a control character."""
    request = samples.pem(organization="\x07")
    body = samples.bootstrap("csr-\x1b[31m", username="system:bootstrap:\u202e", request=request)

    (news,) = requests().changed(body, AT)

    assert all(str(part).isprintable() for part in news)
    assert isinstance(news, News)


def watched(answers: Mapping[str, Any], *words: str) -> "subprocess.CompletedProcess[str]":
    """Watch a cluster for a second."""
    with stub.served(answers) as server:
        return run("watch", "--for", "1s", *words, *server.words)


WAITING = stub.healthy() | {stub.REQUESTS: stub.items(samples.bootstrap("csr-1"))}


def test_lines_have_columns() -> None:
    """A head, then a line for each change; --no-headers leaves the head out."""
    done = watched(WAITING)
    (row,) = watched(WAITING, "--no-headers").stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["TIME", "NODE", "REQUEST", "FOR", "STATE", "REASON"]
    assert done.stdout.splitlines()[1] == row
    assert row.split()[:5] == ["11:55:00Z", "node-a", "csr-1", "bootstrap", "Pending"]


def test_json_is_one_object_a_line() -> None:
    """With -o json every line is an object of its own."""
    (line,) = watched(WAITING, "-o", "json").stdout.splitlines()

    assert json.loads(line) == {
        "apiVersion": "cli.nodegate.dev/v1",
        "kind": "WatchEvent",
        "time": "2030-01-31T11:55:00Z",
        "node": "node-a",
        "request": "csr-1",
        "for": "bootstrap",
        "state": "Pending",
        "reason": "",
        "message": "asked for by system:bootstrap:abcdef",
    }


@pytest.mark.parametrize(
    ("deviation", "code", "words"),
    [
        ({stub.ENROLLMENTS: None}, 3, "know the kind NodeEnrollment"),
        ({stub.REQUESTS: 403}, 4, "Forbidden"),
        ({stub.REQUESTS: 500}, 5, "500"),
    ],
)
def test_what_does_not_mend_by_itself_ends_it(deviation: Mapping[str, Any], code: int, words: str) -> None:
    """A missing kind, a missing right, and an API server that fails at the start: one line and an exit code."""
    answers = {key: body for key, body in (stub.healthy() | dict(deviation)).items() if body is not None}
    done = watched(answers)

    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_watch_that_ends_or_fails_is_taken_up_again() -> None:
    """After a watch has ended, and after a list has failed, what has changed meanwhile is told."""
    decided = stub.items(approved(samples.bootstrap("csr-1"), certificate="eA=="))
    with (
        stub.served(dict(WAITING)) as server,
        subprocess.Popen(
            [*PROGRAM, "watch", "--no-headers", "--for", "60s", *server.words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        server.answers = WAITING | {stub.REQUESTS: 500}
        warning = process.stderr.readline()
        server.answers = WAITING | {stub.REQUESTS: decided}
        later = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGINT)

    assert b"Pending" in first
    assert warning.startswith(b"warning: 500")
    assert [line.split()[4] for line in later] == [b"Approved", b"Issued"]


def test_interruption_ends_it_with_130() -> None:
    """Ctrl-C ends it quietly, whatever its watches are doing."""
    with (
        stub.served(WAITING) as server,
        subprocess.Popen(
            [*PROGRAM, "watch", *server.words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read()

    assert (process.returncode, complaint) == (130, b"")

"""What is new: requests and enrollments go in as they are now, what has changed since comes out.

Rules: pure; level-triggered. An object is compared with what was known of it, so a watch that breaks off
loses nothing that still stands, and an event that comes twice is told once. What was decided before the
first look is no news; what waits then is.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from nodegate.cli.decisions import decisions
from nodegate.csr.parse import parse_csr
from nodegate.errors import Malformed
from nodegate.fields import Fields, rfc3339
from nodegate.names import CLI_API_VERSION, MANAGED_SIGNERS, NODE_USER_PREFIX
from nodegate.text import visible

PENDING = "Pending"
"""The state of a request that nobody has decided."""

_MESSAGE_LIMIT = 1024


class News(NamedTuple):
    """One change, safe to print."""

    time: datetime
    node: str
    request: str
    purpose: str
    """``bootstrap``, ``renewal`` or ``serving`` of a request, ``enrollment`` otherwise."""

    state: str
    reason: str
    message: str

    def as_object(self) -> dict[str, str]:
        """Return it as an object."""
        return {
            "apiVersion": CLI_API_VERSION,
            "kind": "WatchEvent",
            "time": rfc3339(self.time),
            "node": self.node,
            "request": self.request,
            "for": self.purpose,
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
        }


class _Mark(NamedTuple):
    """One thing that holds of an object, and is told once."""

    state: str
    reason: str = ""
    message: str = ""
    request: str = ""


Marks = tuple[_Mark, ...]


class Follower:
    """Knows the objects of one kind and tells what is new about them.

    Args:
        marks: What holds of an object; none when it is not to be followed.
        purpose: Which node it is about and what it is for.
        ends: The states after which it is no news that the object is gone.
    """

    def __init__(
        self,
        marks: Callable[[Mapping[str, Any]], Marks],
        purpose: Callable[[Mapping[str, Any]], tuple[str, str]],
        ends: frozenset[str] = frozenset(),
    ) -> None:
        self._marks = marks
        self._purpose = purpose
        self._ends = ends
        self._known: dict[str, tuple[str, Marks, tuple[str, str]]] = {}
        self._started = False

    def listed(self, bodies: list[Mapping[str, Any]], at: datetime) -> Iterator[News]:
        """Take in everything that there is, and yield what is new; what is missing is gone."""
        first, self._started = not self._started, True
        names = {_name(body) for body in bodies}
        for name in [name for name in self._known if name not in names]:
            yield from self._gone(name, at)
        for body in bodies:
            yield from self._take(body, at, first=first)

    def changed(self, body: Mapping[str, Any], at: datetime) -> Iterator[News]:
        """Take in one object, and yield what is new about it."""
        yield from self._take(body, at, first=False)

    def deleted(self, body: Mapping[str, Any], at: datetime) -> Iterator[News]:
        """Take in that an object is gone."""
        yield from self._gone(_name(body), at)

    def _take(self, body: Mapping[str, Any], at: datetime, *, first: bool) -> Iterator[News]:
        try:
            meta, marks = Fields(body).child("metadata"), self._marks(body)
        except Malformed:
            return  # The API server stores no such object; doctor and explain say what is wrong.
        name, uid = meta.text("name"), meta.text("uid")
        before = self._known.get(name)
        if before is not None and before[0] != uid:  # Deleted and made again while nobody looked.
            before = None
        if not marks or (before is not None and before[1] == marks):
            return
        known = set(before[1]) if before is not None else set()
        about = before[2] if before is not None else self._purpose(body)
        self._known[name] = (uid, marks, about)
        if first and [mark.state for mark in marks] != [PENDING]:
            return
        when = meta.moment("creationTimestamp") or at if first else at
        for mark in marks:
            if mark not in known:
                yield _news(when, name, about, mark)

    def _gone(self, name: str, at: datetime) -> Iterator[News]:
        known = self._known.pop(name, None)
        if known is not None and not any(mark.state in self._ends for mark in known[1]):
            yield _news(at, name, known[2], _Mark("Deleted"))


def _news(at: datetime, name: str, about: tuple[str, str], mark: _Mark) -> News:
    node, purpose = about
    request = mark.request or ("" if purpose == _ENROLLMENT else name)
    return News(
        time=at,
        node=visible(node, 253),
        request=visible(request, 253),
        purpose=purpose,
        state=visible(mark.state, 253),
        reason=visible(mark.reason, 253),
        message=visible(mark.message, _MESSAGE_LIMIT),
    )


def _name(body: Mapping[str, Any]) -> str:
    return Fields(body).child("metadata").text("name")


def _request_marks(body: Mapping[str, Any]) -> Marks:
    root = Fields(body)
    if root.child("spec").text("signerName") not in MANAGED_SIGNERS:
        return ()
    marks = [_Mark(PENDING, "", f"asked for by {root.child('spec').text('username')}")]
    marks += [_Mark(each.type, each.reason, each.message) for each in decisions(body)]
    if root.child("status").text("certificate"):
        marks.append(_Mark("Issued"))
    return tuple(marks)


def _request_purpose(body: Mapping[str, Any]) -> tuple[str, str]:
    csr = parse_csr(body)
    asker = csr.username.removeprefix(NODE_USER_PREFIX) if csr.asked_by_node else ""
    return csr.node_name or asker, csr.kind.value


_ENROLLMENT = "enrollment"
_WRITTEN = frozenset({"Approve", "Deny"})
"""Verdicts that the request itself shows, unless the enrollment's mode is Audit."""


def _enrollment_marks(body: Mapping[str, Any]) -> Marks:
    root = Fields(body)
    status, last = root.child("status"), root.child("status").child("lastDecision")
    ready = next((c for c in status.children("conditions") if c.text("type") == "Ready"), Fields({}))
    marks = [_Mark(status.text("phase") or "Created", ready.text("reason"), ready.text("message"))]
    audited = root.child("spec").text("mode") == "Audit"
    if last.text("verdict") and (audited or last.text("verdict") not in _WRITTEN):
        marks.append(_Mark(last.text("verdict"), last.text("reason"), last.text("message"), last.text("csrName")))
    return tuple(marks)


def _enrollment_purpose(body: Mapping[str, Any]) -> tuple[str, str]:
    return _name(body), _ENROLLMENT


def requests() -> Follower:
    """Return a follower of signing requests; the garbage collector's work is no news."""
    return Follower(_request_marks, _request_purpose, frozenset({"Approved", "Denied", "Failed"}))


def enrollments() -> Follower:
    """Return a follower of enrollments."""
    return Follower(_enrollment_marks, _enrollment_purpose)

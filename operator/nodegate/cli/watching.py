"""``watch``: what happens to requests and enrollments, as it happens.

Two watches run beside each other, each with a list before it and after every break; one line comes out
for each change. Rules: nothing is written; a break is told once on stderr and mended by itself; only what
will not mend by itself (no right, no such kind) ends it.
"""

import argparse
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegate.cli.arguments import PROG, add_connection, add_output, add_verb, duration_s
from nodegate.cli.exits import Exit, Stopped
from nodegate.cli.following import Follower, News, enrollments, requests
from nodegate.cli.layout import GAP
from nodegate.cli.objects import warn
from nodegate.clock import now
from nodegate.errors import ApiError, Expired, Forbidden, NotFound, Unauthorized
from nodegate.text import visible

if TYPE_CHECKING:
    from nodegate.cli.connection import Connection

_DESCRIPTION = """\
Follow signing requests and enrollments: one line for each change, until Ctrl-C. Requests that wait at
the start are shown first. A broken connection is taken up again without losing what still stands."""

_EPILOG = f"""\
examples:
  # While a node joins
  {PROG} watch

  # For a script, for ten minutes, one JSON object a line
  {PROG} watch -o json --for 10m

exit codes:
  0 the time of --for is over; 2 usage; 3 the cluster does not know the kind NodeEnrollment; 4 the API
  server refuses; 5 the API server could not be reached at the start; 130 interrupted"""

_COLUMNS = (("TIME", 9), ("NODE", 24), ("REQUEST", 28), ("FOR", 10), ("STATE", 9), ("REASON", 0))
_LASTS_S = 120
"""Seconds a watch lasts before the list is read again."""

_PAUSES_S = (1, 2, 5, 10, 30)
"""Seconds between tries; the last goes on."""

_TICK_S = 0.2
_FATAL = (Forbidden, NotFound, Unauthorized)
"""What does not mend by itself."""


class _Told(NamedTuple):
    """What a watch has to say: a list, an event, or an error."""

    follower: Follower
    kind: str
    """``LIST``, the type of a watch's event, or ``FATAL``."""

    what: Any


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "watch",
        "Follow requests and enrollments as they change",
        usage="[flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("--for", dest="for_s", type=duration_s, metavar="TIME", help="end after this time, such as 10m")
    parser.add_argument("--no-headers", action="store_true", help="print no column names")
    add_output(parser, ("table", "json"))
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Follow, and return what to end with."""
    from nodegate.cli.cluster_facts import ENROLLMENTS, REQUESTS
    from nodegate.cli.connection import connect

    told: queue.SimpleQueue[_Told] = queue.SimpleQueue()
    followed = ((REQUESTS, requests()), (ENROLLMENTS, enrollments()))
    connection = connect(args)  # Never closed: the threads read from it until the program ends.
    for path, follower in followed:
        watch = _Watch(connection, path, follower, told.put)
        threading.Thread(target=watch.run, name=path, daemon=True).start()
    if args.output == "table" and not args.no_headers:
        print(_line([title for title, _ in _COLUMNS]), flush=True)
    _print(told, args)
    return Exit.OK


def _print(told: "queue.SimpleQueue[_Told]", args: argparse.Namespace) -> None:
    """Print what the watches tell, until the time is over."""
    end = time.monotonic() + args.for_s if args.for_s else None
    while end is None or time.monotonic() < end:
        try:
            each = told.get(timeout=_TICK_S)  # Short, so that Ctrl-C is heard on every system.
        except queue.Empty:
            continue
        if each.kind == "FATAL":
            raise each.what
        for news in _news(each):
            print(json.dumps(news.as_object()) if args.output == "json" else _row(news), flush=True)


def _news(each: _Told) -> Iterable[News]:
    at = now()
    if each.kind == "LIST":
        return each.follower.listed(each.what, at)
    return each.follower.deleted(each.what, at) if each.kind == "DELETED" else each.follower.changed(each.what, at)


def _row(news: News) -> str:
    moment = news.time.strftime("%H:%M:%SZ")
    reason = news.reason or news.message
    return _line([moment, news.node or "-", news.request or "-", news.purpose, news.state, reason or "-"])


def _line(texts: list[str]) -> str:
    padded = (text.ljust(width) for text, (_, width) in zip(texts, _COLUMNS, strict=True))
    return (" " * GAP).join(padded).rstrip()


class _Watch:
    """One list and the watch after it, for ever; runs in a thread of its own."""

    def __init__(self, connection: "Connection", path: str, follower: Follower, tell: Callable[[_Told], None]) -> None:
        self._connection = connection
        self._path = path
        self._follower = follower
        self._tell = tell
        self._failures = 0
        self._started = False

    def run(self) -> None:
        """Follow until the program ends, or what is wrong does not mend by itself."""
        while True:
            try:
                self._round()
            except Expired:
                pass  # The version is too old: the next round lists again.
            except ApiError as error:
                if isinstance(error, _FATAL) or not self._started:
                    self._tell(_Told(self._follower, "FATAL", _explained(error)))
                    return
                self._pause(error)
            time.sleep(_PAUSES_S[0])  # A server that ends every watch at once is not to be kept busy.

    def _round(self) -> None:
        """List, and watch from there."""
        bodies, version = self._list()
        self._tell(_Told(self._follower, "LIST", bodies))
        self._started = True
        for event in self._connection.events(self._path, version, lasts_s=_LASTS_S):
            self._failures = 0
            kind, body = str(event.get("type")), event.get("object") or {}
            if kind == "ERROR":
                raise Expired(int(body.get("code") or 0), str(body.get("reason")), str(body.get("message")))
            if kind in {"ADDED", "MODIFIED", "DELETED"}:
                self._tell(_Told(self._follower, kind, body))

    def _list(self) -> tuple[list[Mapping[str, Any]], str]:
        """Return everything there is, and the version to watch from."""
        page = self._connection.get(self._path)
        return list(page.get("items") or ()), str((page.get("metadata") or {}).get("resourceVersion") or "")

    def _pause(self, error: ApiError) -> None:
        pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        if self._failures == 0:
            warn(f"{visible(str(error), 300)}; trying again")
        self._failures += 1
        time.sleep(pause)


def _explained(error: ApiError) -> Exception:
    if isinstance(error, NotFound):
        from nodegate.cli.cluster_facts import NO_KIND

        return Stopped(Exit.NOT_FOUND, NO_KIND)
    return error

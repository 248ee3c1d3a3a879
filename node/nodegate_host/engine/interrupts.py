"""Ctrl-C and SIGTERM while the host is being changed: heard while going forward, not while going back.

SIGHUP is ignored throughout: a lost connection must not leave a host half changed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _handling(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    # Only the main thread may set handlers; elsewhere nothing reaches this code as a signal either.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def heard() -> contextlib.AbstractContextManager[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt; SIGHUP is ignored."""
    return _handling({signal.SIGINT: _interrupt, signal.SIGTERM: _interrupt, signal.SIGHUP: signal.SIG_IGN})


def unheard() -> contextlib.AbstractContextManager[None]:
    """All three are ignored."""
    return _handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN))

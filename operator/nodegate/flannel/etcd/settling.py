"""What to do about a write whose answer was lost: read again, and only then decide.

An attempt and a look come in, an outcome leaves. Rules: every write here is guarded by the revision it expects, so
that at most one of two identical ones can take effect; therefore, and only after a look has shown the key untouched,
the same write is made again, which also settles a first one that is still on its way.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from nodegate.flannel.etcd.errors import EtcdError
from nodegate.flannel.etcd.values import Change, KeyValue, Kind, Lost, Outcome, Written

ROUNDS: Final = 5
"""Times the same guarded write is made at most while its answers are lost."""


async def settled(attempt: Callable[[], Awaitable[Outcome]], look: Callable[[], Awaitable[Outcome | None]]) -> Outcome:
    """Make a guarded write and find out what became of it.

    Args:
        attempt: Makes the write.
        look: Reads the key: what the write became, or None when the key is as it was before.

    Raises:
        EtcdError: The write was refused; or, with `outcome_unknown`, nobody could say what became of it.
    """
    lost: EtcdError | None = None
    for _ in range(ROUNDS):
        try:
            outcome = await attempt()
        except EtcdError as error:
            if not error.outcome_unknown:
                raise _still_unknown(error, lost) from error
            lost = error
        else:
            if lost is None or not isinstance(outcome, Lost):
                return replace(outcome, reread=lost is not None)
            # It may have been our own first write that took the place: look.
            return replace(await _looked(look) or outcome, reread=True)
        found = await _looked(look)
        if found is not None:
            return replace(found, reread=True)
    raise lost or AssertionError("there is at least one round")


async def by_history(
    ask: Callable[[int], Awaitable[Change | None]], value: bytes, since: int, found: KeyValue | None
) -> Outcome:
    """Settle a write whose key was written again since, by what happened to the key first.

    Args:
        ask: Tells what happened first from a revision on, None when that cannot be told.
        value: That was to be written.
        since: The first revision at which the write can have taken effect; 1 or less when it is not known.
        found: The key as it is.
    """
    try:
        first = await ask(since) if since > 1 else None
    except EtcdError:
        first = None
    if first is None:
        return Lost(found, unsettled=True)
    ours = first.kind is Kind.PUT and first.value == value
    return Written(first.mod_revision) if ours else Lost(found)


def _still_unknown(error: EtcdError, lost: EtcdError | None) -> EtcdError:
    """Mark an error as one that leaves an earlier attempt's outcome open."""
    error.outcome_unknown = lost is not None
    return error


async def _looked(look: Callable[[], Awaitable[Outcome | None]]) -> Outcome | None:
    try:
        return await look()
    except EtcdError as error:
        error.outcome_unknown = True
        raise

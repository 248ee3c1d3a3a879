"""Writes whose answer was lost: every order of events that the retry rules distinguish, by script."""

from collections.abc import Awaitable, Callable

import pytest

from nodegate.flannel.etcd.errors import EtcdError, Failure, Reason, error_of
from nodegate.flannel.etcd.settling import ROUNDS, settled
from nodegate.flannel.etcd.values import KeyValue, Lost, Outcome, Written

_Results = tuple[Outcome | EtcdError | None, ...]

_UNTOUCHED = None
_FOUND = KeyValue("/c", b"theirs", 9, 3)


def _unknown() -> EtcdError:
    return error_of({"https://a:1": Failure(Reason.TIMEOUT, "x", maybe_done=True)}, outcome_unknown=True)


def _refused() -> EtcdError:
    return error_of({"https://a:1": Failure(Reason.QUOTA, "x")})


def _script(*results: Outcome | EtcdError | None) -> tuple[Callable[[], Awaitable[Outcome | None]], list[int]]:
    """Return something that gives these results in turn, and how often it was asked."""
    left, asked = list(results), [0]

    async def give() -> Outcome | None:
        asked[0] += 1
        result = left.pop(0)
        if isinstance(result, EtcdError):
            raise result
        return result

    return give, asked


_CASES: dict[str, tuple[_Results, _Results, Outcome]] = {
    "answered": ((Written(5),), (), Written(5)),
    "lost the race": ((Lost(_FOUND),), (), Lost(_FOUND)),
    "done, answer lost": ((_unknown(),), (Written(5),), Written(5, reread=True)),
    "not done, made again": ((_unknown(), Written(5)), (_UNTOUCHED,), Written(5, reread=True)),
    "made again, and the first had come late": (
        (_unknown(), Lost(_FOUND)), (_UNTOUCHED, Written(5)), Written(5, reread=True)),
    "made again, and somebody else won": (
        (_unknown(), Lost(_FOUND)), (_UNTOUCHED, Lost(_FOUND)), Lost(_FOUND, reread=True)),
    "made again, and a lease came": (
        (_unknown(), Lost(None, leases_changed=True)), (_UNTOUCHED, _UNTOUCHED),
        Lost(None, leases_changed=True, reread=True)),
    "overwritten": ((_unknown(),), (Lost(_FOUND, unsettled=True),), Lost(_FOUND, reread=True, unsettled=True)),
}  # fmt: skip


@pytest.mark.parametrize("case", _CASES)
async def test_settling(case: str) -> None:
    """A write whose answer was lost is looked for before anything else, and never made again unseen."""
    attempts, looks, outcome = _CASES[case]
    attempt, attempted = _script(*attempts)
    look, looked = _script(*looks)

    assert await settled(attempt, look) == outcome  # type: ignore[arg-type]  # attempts of the table never give None
    assert (attempted[0], looked[0]) == (len(attempts), len(looks))


@pytest.mark.parametrize(
    ("attempts", "looks", "reason", "unknown"),
    [
        ((_refused(),), (), Reason.QUOTA, False),
        ((_unknown(), _refused()), (_UNTOUCHED,), Reason.QUOTA, True),
        ((_unknown(),), (_refused(),), Reason.QUOTA, True),
        ((_unknown(),) * ROUNDS, (_UNTOUCHED,) * ROUNDS, Reason.TIMEOUT, True),
    ],
    ids=["refused", "refused the second time", "nobody to ask", "every answer lost"],
)
async def test_what_cannot_be_settled_says_so(
    attempts: tuple[EtcdError, ...], looks: tuple[EtcdError | None, ...], reason: Reason, *, unknown: bool
) -> None:
    """Only a refusal of the first attempt is certain."""
    attempt, _ = _script(*attempts)
    look, _ = _script(*looks)

    with pytest.raises(EtcdError) as raised:
        await settled(attempt, look)  # type: ignore[arg-type]  # attempts of the table never give None

    assert (raised.value.reason, raised.value.outcome_unknown) == (reason, unknown)

"""Eight writers on one key while leaders are killed and frozen: history is checked against what they were told.

Rules: every written value is unique and counts one step further than the value that its writer had read, so a lost
update, a write that took effect twice and a wrong answer each show in the history of the key. The history is what a
watch tells that runs through all faults; for v3 it must equal what etcd itself remembers afterwards.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Self

import pytest

from hack.cluster import NotBuildable
from hack.cluster.etcd_members import EtcdMembers
from hack.cluster.etcd_v2 import find_etcd_v2
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.errors import EtcdError
from nodegate.flannel.etcd.values import Change, Kind, Limits, Lost, Snapshot, Written
from nodegate.flannel.model import Api
from tests.integration.etcd_lab import CONFIG, client_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_log = logging.getLogger("tests.etcd")

_WRITERS = 8
_LEAST_ROUNDS = 4
_MOST_ROUNDS = 12
_PAUSE_S = 0.002
_ROUND_S = 2.0
"""Seconds of writing between two faults, and with a fault: an election fits in."""


@pytest.fixture(name="api", params=[Api.V3, Api.V2])
def _api(request: pytest.FixtureRequest) -> Api:
    """Each store."""
    api: Api = request.param
    return api


@pytest.fixture(name="etcd")
def _etcd(api: Api) -> Iterator[EtcdMembers]:
    """An etcd of this test's own."""
    try:
        program, flags = (None, ()) if api is Api.V3 else (find_etcd_v2().etcd, ("--enable-v2=true",))
    except NotBuildable as error:
        pytest.skip(str(error))
    with EtcdMembers(program, flags=flags) as etcd:
        yield etcd


@dataclass(slots=True)
class _Told:
    """What one writer was told about each of its values, and whether it is writing."""

    writing: bool = False
    written: dict[bytes, Written] = field(default_factory=dict)
    lost: dict[bytes, Lost] = field(default_factory=dict)
    unknown: set[bytes] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)


def _next(seen: Snapshot, writer: int, number: int) -> bytes:
    step = json.loads(seen.config.value)["step"] if seen.config else 0
    return json.dumps({"step": step + 1, "writer": writer, "number": number}).encode()


async def _write(client: EtcdClient, writer: int, told: _Told, stop: asyncio.Event) -> None:
    """Count, as often as possible, until told to stop."""
    number = 0
    while not stop.is_set():
        try:
            seen = await client.read()
        except EtcdError:
            continue
        # The v2 store remembers a thousand events: nobody shall write faster than a watch can follow.
        await asyncio.sleep(_PAUSE_S)
        number += 1
        value = _next(seen, writer, number)
        revision = seen.config.mod_revision if seen.config else 0
        told.writing = True
        try:
            outcome = await client.write_config(value, expected_mod_revision=revision, judged_revision=seen.revision)
        except EtcdError as error:
            (told.unknown if error.outcome_unknown else told.refused).add(value)
            continue
        finally:
            told.writing = False
        if isinstance(outcome, Written):
            told.written[value] = outcome
        else:
            told.lost[value] = outcome


async def _disturb(etcd: EtcdMembers, tolds: list[_Told]) -> Counter[str]:
    """Kill and freeze leaders in turn, until at least one write's answer was lost."""
    done: Counter[str] = Counter()
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and _Sum.of(tolds).reread:
            break
        await asyncio.sleep(_ROUND_S)
        how = ("pause", "kill")[number % 2]
        leader = etcd.members[await asyncio.to_thread(etcd.leader)]
        await _many_writing(tolds)
        # At once, on the loop's own thread: a moment later the writes would have their answers.
        getattr(leader, how)()
        done[how] += 1
        await asyncio.sleep(_ROUND_S)
        await asyncio.to_thread(etcd.recover)
    await asyncio.sleep(_ROUND_S)
    return done


async def _many_writing(tolds: list[_Told]) -> None:
    """Return in a moment when half of the writers have a write under way, or after a while without one."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _ROUND_S
    while sum(told.writing for told in tolds) < _WRITERS // 2:
        if clock() > deadline:
            return
        await asyncio.sleep(0)


async def _follow(client: EtcdClient, last: asyncio.Future[int]) -> list[Change]:
    """Return every change of the config, from the first one to the one at revision `last`, once that is known."""
    changes: list[Change] = []
    async with client, aclosing(client.watch(1)) as watch:
        async for change in watch:
            changes.append(change)
            if last.done() and change.mod_revision >= last.result():
                break
    return changes


async def _entered(client: EtcdClient, writer: int, told: _Told, stop: asyncio.Event) -> None:
    async with client:
        await _write(client, writer, told, stop)


async def _end(etcd: EtcdMembers, api: Api, last: asyncio.Future[int]) -> None:
    """Write once more, so that a watch has something to end with, and tell its revision."""
    async with client_of(etcd, api=api) as client:
        seen = await client.read()
        assert seen.config is not None
        last.set_result(seen.config.mod_revision + 1)
        value = _next(seen, _WRITERS, 0)
        written = await client.write_config(
            value, expected_mod_revision=seen.config.mod_revision, judged_revision=seen.revision
        )
        assert isinstance(written, Written)


async def _own_history(etcd: EtcdMembers) -> list[Change]:
    """Return what etcd itself remembers, v3 only."""
    async with client_of(etcd) as client:
        seen = (await client.read()).config
    assert seen is not None
    last = asyncio.get_running_loop().create_future()
    last.set_result(seen.mod_revision)
    async with asyncio.timeout(60):
        return await _follow(client_of(etcd), last)


@dataclass(frozen=True, slots=True)
class _Sum:
    """What all writers were told together."""

    written: dict[bytes, Written]
    lost: dict[bytes, Lost]
    unknown: set[bytes]
    refused: set[bytes]

    @classmethod
    def of(cls, tolds: list[_Told]) -> Self:
        """Add up."""
        return cls(
            {value: outcome for told in tolds for value, outcome in told.written.items()},
            {value: outcome for told in tolds for value, outcome in told.lost.items()},
            set().union(*(told.unknown for told in tolds)),
            set().union(*(told.refused for told in tolds)),
        )

    @property
    def unsettled(self) -> set[bytes]:
        """Writes of which nobody could say whether they took effect before they were overwritten."""
        return {value for value, outcome in self.lost.items() if outcome.unsettled}

    @property
    def reread(self) -> int:
        """How many writes lost their answer and were settled by reading."""
        written = sum(outcome.reread for outcome in self.written.values())
        return written + sum(outcome.reread for outcome in self.lost.values())

    def counts(self, history: list[Change], faults: Counter[str]) -> dict[str, int]:
        """Return the numbers that matter."""
        return {
            "changes": len(history), "written": len(self.written), "lost": len(self.lost), "settled": self.reread,
            "of these written": sum(outcome.reread for outcome in self.written.values()),
            "unsettled": len(self.unsettled), "unknown": len(self.unknown), "refused": len(self.refused), **faults,
        }  # fmt: skip


async def _run(etcd: EtcdMembers, api: Api) -> tuple[list[Change], _Sum]:
    """Let everybody write through the faults; return the history without its end, and what the writers were told."""
    tolds, stop = [_Told() for _ in range(_WRITERS)], asyncio.Event()
    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    limits = Limits(total_s=20.0, watch_idle_s=1.0)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(_follow(client_of(etcd, api=api, limits=limits), last))
        writers = set()
        for number, own in enumerate(tolds):
            endpoints = etcd.endpoints[number % 3 :] + etcd.endpoints[: number % 3]
            client = client_of(etcd, api=api, endpoints=endpoints, limits=limits)
            writers.add(group.create_task(_entered(client, number, own, stop)))
        faults = await _disturb(etcd, tolds)
        stop.set()
        await asyncio.wait(writers)
        await _end(etcd, api, last)
    *history, end = following.result()
    assert json.loads(end.value)["writer"] == _WRITERS
    told = _Sum.of(tolds)
    _log.info("%s: %s", api, told.counts(history, faults))
    return history, told


async def test_no_update_is_lost_and_every_open_write_is_settled(etcd: EtcdMembers, api: Api) -> None:
    """The key went through what the writers were told: each success once, no failure, every step one further."""
    history, told = await _run(etcd, api)

    kept = {change.value: change.mod_revision for change in history}
    assert {(change.kind, change.key) for change in history} == {(Kind.PUT, CONFIG)}
    assert len(kept) == len(history), "expected every value once"
    assert [json.loads(change.value)["step"] for change in history] == list(range(1, len(history) + 1))
    assert {value: outcome.mod_revision for value, outcome in told.written.items()} == kept
    assert told.reread > 0
    assert told.unknown == told.unsettled == set()
    if api is Api.V3:
        assert (await _own_history(etcd))[:-1] == history

"""``python -m hack.bench``: starts a control plane, measures, prints a Markdown table."""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import NamedTuple

from hack.bench.load import CSRS, ENROLLMENTS, Api, connect, flood, make_enrollments, make_requests
from hack.bench.raw import approve_all
from hack.bench.subject import Subject, approved, running, waits

STEADY_S = 30
"""Seconds of the steady run."""

STEADY_RATE = 5
"""Requests a second of the steady run, the rate of design's latency aim."""

FLOOD = 10_000
"""Requests that one token makes as fast as it can."""

FLOOD_S = 20
"""Seconds for which the neighbours are watched in each stage of it."""

FLOODED = "flooded"
"""The node for which the flood asks."""

FLOOD_STAGES = {
    "idle": "nothing else going on",
    "making": "while one token makes {} requests",
    "standing": "while these {} stand",
}


class Row(NamedTuple):
    """One figure of the table."""

    what: str
    value: str


class Target(NamedTuple):
    """Where to measure: an API server and an administrator's files."""

    server: str
    ca_file: str
    certificate: str
    key: str
    kubeconfig: Path
    signer: int
    """The controller manager's process id."""


@contextmanager
def unsigned(target: Target) -> Iterator[None]:
    """Stop the signer: it would take the API server's time from the slower client for the faster one's requests."""
    os.kill(target.signer, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(target.signer, signal.SIGCONT)


async def wait_approved(api: Api, prefix: str, count: int) -> list[float]:
    """Return the moments of `count` approvals, in order."""
    moments: list[float] = []
    async with aclosing(approved(api, prefix)) as approvals:
        async for _, moment in approvals:
            moments.append(moment)
            if len(moments) == count:
                return moments
    raise RuntimeError(f"expected {count} approvals, found {len(moments)} and the end of the watch")


async def settled(subject: Subject) -> None:
    """Wait until it has brought statuses up to date."""
    calls = -1.0
    while calls != subject.all_calls():
        calls = subject.all_calls()
        await asyncio.sleep(2)


async def clear(api: Api) -> None:
    """Delete every request and enrollment."""
    await api.call("DELETE", CSRS)
    await api.call("DELETE", ENROLLMENTS)


async def backlog(target: Target, api: Api, nodes: list[str], scratch: Path) -> list[Row]:
    """Measure a backlog: the raw client twice, then the operator, on the same API server."""
    count, rates = len(nodes), {}
    for prefix, record in (("put", False), ("same", True)):
        await make_requests(api, prefix, nodes)
        rates[prefix] = await approve_all(api, prefix, record=record)
        await clear(api)
        await make_enrollments(api, nodes)
    with running(target.kubeconfig, scratch) as subject:
        await settled(subject)
        calls = subject.decision_calls()
        subject.pause()
        await make_requests(api, "ours", nodes)
        seen = asyncio.create_task(wait_approved(api, "ours", count))
        await asyncio.sleep(1)
        before, started = subject.cpu_s, time.perf_counter()
        subject.resume()
        moments = await seen
        cpu = subject.cpu_s - before
        calls = subject.decision_calls() - calls
    ours = count / (moments[-1] - started)
    return [
        Row(f"backlog of {count}, raw client, PUT only", f"{rates['put']:.0f}/s"),
        Row(f"backlog of {count}, raw client, PATCH and PUT as ours", f"{rates['same']:.0f}/s"),
        Row(f"backlog of {count}, nodegate", f"{ours:.0f}/s"),
        Row("ratio to the raw client, PUT only", f"{ours / rates['put']:.2f}"),
        Row("ratio to the raw client, same calls", f"{ours / rates['same']:.2f}"),
        Row("CPU a decision, status bookkeeping included", f"{1000 * cpu / count:.2f} ms"),
        Row("requests on the way to a decision", f"{calls / count:.2f}"),
    ]


async def steady(api: Api, subject: Subject, nodes: list[str]) -> list[Row]:
    """Measure the wait from creation to approval at a steady rate, and CPU a decision with it."""
    total = min(len(nodes), STEADY_S * STEADY_RATE)
    before, requests = subject.cpu_s, subject.all_calls()
    cuts = statistics.quantiles(await waits(api, "steady", nodes[:total], STEADY_RATE), n=100)
    await asyncio.sleep(3)
    cpu, after = subject.cpu_s - before, subject.all_calls()
    return [
        Row(f"created to approved at {STEADY_RATE}/s, p50", f"{1000 * cuts[49]:.1f} ms"),
        Row(f"created to approved at {STEADY_RATE}/s, p99", f"{1000 * cuts[98]:.1f} ms"),
        Row("CPU a decision at that rate, everything included", f"{1000 * cpu / total:.2f} ms"),
        Row("requests a decision at that rate, status included", f"{(after - requests) / total:.2f}"),
    ]


async def flooded(target: Target, api: Api, size: int, scratch: Path) -> list[Row]:
    """Measure the neighbours' wait idle, while one token makes `size` requests, and while these stand."""
    await clear(api)
    rounds = {stage: [f"{stage}{number:03}" for number in range(FLOOD_S * STEADY_RATE)] for stage in FLOOD_STAGES}
    await make_enrollments(api, [FLOODED, *(node for nodes in rounds.values() for node in nodes)])
    cuts: dict[str, list[float]] = {}
    with running(target.kubeconfig, scratch) as subject:
        await settled(subject)
        quiet_mib = subject.rss_mib
        for stage, nodes in rounds.items():
            print(f"neighbours, {FLOOD_STAGES[stage].format(size)} ...", file=sys.stderr, flush=True)
            making = asyncio.create_task(flood(api, FLOODED, size)) if stage == "making" else None
            cuts[stage] = statistics.quantiles(await waits(api, stage, nodes, STEADY_RATE), n=100)
            if making is not None:
                await making
        held, full_mib = subject.metric("nodegate_csr_held", reason="rate_limited"), subject.rss_mib
    await clear(api)
    return [
        *(
            Row(
                f"neighbours, {FLOOD_STAGES[stage].format(size)}, p50 and p99",
                f"{1e3 * c[49]:.1f}, {1e3 * c[98]:.1f} ms",
            )
            for stage, c in cuts.items()
        ),
        Row("p99 while the flood stands, by idle p99", f"{cuts['standing'][98] / cuts['idle'][98]:.2f}"),
        Row("requests of the flood that are held back at the end", f"{held:.0f}"),
        Row("resident memory before and after the flood", f"{quiet_mib:.0f}, {full_mib:.0f} MiB"),
    ]


async def memory(target: Target, api: Api, size: int, scratch: Path) -> list[Row]:
    """Measure resident memory idle, and with many enrollments and decided requests."""
    await clear(api)
    with running(target.kubeconfig, scratch) as subject:
        await asyncio.sleep(2)
        idle = subject.rss_mib
    nodes = [f"m{number:05}" for number in range(size)]
    await make_enrollments(api, nodes)
    await make_requests(api, "decided", nodes)
    await approve_all(api, "decided", record=False)
    with running(target.kubeconfig, scratch) as subject:
        await asyncio.sleep(20)
        full = subject.rss_mib
    await clear(api)
    return [
        Row("resident memory, idle", f"{idle:.0f} MiB"),
        Row(f"resident memory, {size} enrollments and {size} decided requests", f"{full:.0f} MiB"),
    ]


async def measure(target: Target, count: int, size: int, scratch: Path) -> list[Row]:
    """Run every measurement and return the table."""
    nodes = [f"b{number:05}" for number in range(count)]
    async with connect(target.server, target.ca_file, target.certificate, target.key) as api:
        await make_enrollments(api, nodes)
        with running(target.kubeconfig, scratch) as subject:
            await settled(subject)
        with unsigned(target):
            rows = await backlog(target, api, nodes, scratch)
        await clear(api)
        await make_enrollments(api, nodes)
        with running(target.kubeconfig, scratch) as subject:
            await settled(subject)
            rows += await steady(api, subject, nodes)
        rows += await flooded(target, api, FLOOD, scratch)
        return rows + await memory(target, api, size, scratch)


async def only_flood(target: Target, scratch: Path) -> list[Row]:
    """Run the flood alone."""
    async with connect(target.server, target.ca_file, target.certificate, target.key) as api:
        return await flooded(target, api, FLOOD, scratch)


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    return "\n".join(("| figure | value |", "|---|---|", *(f"| {row.what} | {row.value} |" for row in rows)))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="requests in the backlog (default 1000)")
    parser.add_argument("--only-flood", action="store_true", help="measure the effect of a flood and nothing else")
    parser.add_argument("--size", type=int, default=5000, help="enrollments and requests for memory (default 5000)")
    flags = parser.parse_args()
    from hack.cluster import Cluster

    with tempfile.TemporaryDirectory(prefix="nodegate-bench-") as scratch, Cluster(log=print) as cluster:
        cluster.kubectl("apply", "-k", "crds")
        target = Target(
            cluster.server,
            str(cluster.ca_file),
            str(cluster.admin_certificate),
            str(cluster.admin_key),
            cluster.kubeconfig,
            cluster.controller_manager.pid,
        )
        work = (
            only_flood(target, Path(scratch))
            if flags.only_flood
            else measure(target, flags.count, flags.size, Path(scratch))
        )
        print(table(asyncio.run(work)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

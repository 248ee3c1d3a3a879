"""Everything wired together and run: settings in, an exit status out.

The order: the HTTP endpoints first, so that probes see a process that is alive and not ready; then,
with leader election, the Lease; then the stores; and only when every store has been listed once the
workers and kopf. SIGTERM stops the intake, lets what is being written finish, and ends with 0.
"""

import asyncio
import gc
import logging
import platform
import secrets
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import kopf
from prometheus_client import CollectorRegistry

from nodegate.approvers import CompetingApprovers
from nodegate.clock import now
from nodegate.csr.decide import judge
from nodegate.csr.findings import FindingReports
from nodegate.csr.flow import RequestFlow
from nodegate.csr.limits import Limits
from nodegate.csr.report import Reports
from nodegate.enrollment.flow import EnrollmentFlow
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import SettingsInvalid
from nodegate.facts import LiveFacts
from nodegate.fields import Fields
from nodegate.flannel.flow import FlannelFlow
from nodegate.flannel.handlers import register as register_networks
from nodegate.kube.auth import UrlGate
from nodegate.kube.client import ApiClient
from nodegate.kube.credentials import Credentials, load_credentials
from nodegate.kube.lease import LeaseElector
from nodegate.kube.work import WorkQueue, run_workers
from nodegate.lifecycle import Lifecycle
from nodegate.metrics import Metrics, Snapshot, StateCollector
from nodegate.names import MANAGED_SIGNERS
from nodegate.networks import Networks
from nodegate.outbox import Outbox
from nodegate.pool.flow import PoolFlow
from nodegate.pool.handlers import register as register_pools
from nodegate.pool.index import PoolIndex
from nodegate.server import HttpServer
from nodegate.settings import Settings
from nodegate.tls import own_tls, tls_of_files

STATUS_WORKERS: Final = 4
"""Enrollment statuses written at once: few, so that approvals keep the connections."""

DRAIN_S: Final = 10.0
"""Seconds that writes in flight may take after SIGTERM."""

POOL_COLLECT_S: Final = 1.0
"""Seconds for which changes of one pool are collected before its status is written."""

NETWORK_COLLECT_S: Final = 0.2
"""Seconds for which changes of one FlannelNetwork are collected before it is looked at."""

NETWORK_WORKERS: Final = 4
"""FlannelNetworks looked at at once: one whose etcd does not answer must not delay the others."""

LEASE_NAME: Final = "nodegate"

_log = logging.getLogger("nodegate")


async def run_operator(settings: Settings) -> int:
    """Run the operator until it is told to stop.

    Returns:
        0 after SIGTERM or SIGINT, 1 when the lead was lost or a part has died.

    Raises:
        SettingsInvalid: The credentials or the listening address cannot be used.
    """
    credentials = load_credentials(kubeconfig=settings.kubeconfig, context=settings.context)
    operator = Operator(settings, credentials)
    try:
        return await operator.run()
    finally:
        await operator.close()


class Operator:
    """Both planes, their stores and the endpoints; made inside the running loop."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        lease_namespace = _lease_namespace(settings, credentials)  # A mistake is told before anything is opened.
        self._settings = settings
        self._metrics = Metrics(CollectorRegistry())
        self._client = ApiClient(credentials, self._metrics)
        self._requests, self._statuses, self._pool_names = WorkQueue(), WorkQueue(), WorkQueue()
        self._network_names = WorkQueue()
        self._outbox = Outbox(self._client, self._metrics, lambda: self._requests.depth > 0)
        pools = PoolIndex(self._look_at_pool, asyncio.get_running_loop().time) if settings.pools else None
        self._facts = LiveFacts(self._client, settings, self._metrics, self._requests, self._statuses, pools)
        self._enrollments = EnrollmentFlow(self._client, self._facts, self._statuses, self._outbox, self._metrics)
        self._reports = Reports(self._metrics, self._outbox, self._enrollments.note)
        self._pools = self._pool_flow(pools) if pools is not None else None
        self._flow = RequestFlow(
            self._client,
            self._facts,
            self._enrollments,
            self._reports,
            self._requests,
            limits=Limits(on=settings.rate_limits),
            enroller=self._pools,
        )
        self._networks = self._network_store() if settings.flannel else None
        self._flannel = self._flannel_flow(self._networks) if self._networks is not None else None
        self._lifecycle = Lifecycle(
            credentials, self._enrollments.observe, self._metrics, self._take_signals, self._register
        )
        self._elector = _elector(self._client, lease_namespace) if lease_namespace else None
        self._server = HttpServer(self._metrics.registry, alive=self._deaths, ready=self._problems)
        self._approvers = CompetingApprovers(self._client, settings.bootstrap_group, self._metrics, self._outbox)
        self._metrics.registry.register(StateCollector(self._snapshot))
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._judging: asyncio.Task[None] | None = None

    def _pool_flow(self, pools: PoolIndex) -> PoolFlow:
        """Return what enrolls nodes through pools; a request is judged by the same function as ever."""
        return PoolFlow(
            self._client,
            self._facts,
            pools,
            self._pool_names,
            self._outbox,
            judge=lambda csr, enrollment: judge(self._facts.case(csr, enrollment)),
            parse=parse_enrollment,
        )

    def _look_at_pool(self, name: str) -> None:
        self._pool_names.add_after(name, POOL_COLLECT_S)

    def _network_store(self) -> Networks:
        return Networks(self._client, self._settings, self._metrics, self._facts, self._look_at_network)

    def _flannel_flow(self, networks: Networks) -> FlannelFlow:
        allowed = self._settings.allow_flannel_extension
        return FlannelFlow(self._client, networks, self._network_names, self._outbox, allow_extension=allowed)

    def _look_at_network(self, name: str) -> None:
        self._network_names.add_after(name, NETWORK_COLLECT_S)

    def _register(self, registry: kopf.OperatorRegistry) -> None:
        """Register the handlers of the kinds that are switched on."""
        if self._pools is not None:
            register_pools(registry, self._look_at_pool)
        if self._flannel is not None:
            register_networks(registry, self._look_at_network)

    async def run(self) -> int:
        """Run until SIGTERM, SIGINT, or a part's end; return the exit status."""
        self._take_signals()
        await self._listen()
        stop = self._start("stop", self._stopping.wait())
        if await self._lead() and await self._follow():
            self._act()
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        return await self._end(done - {stop})

    async def _listen(self) -> None:
        """Answer probes, and scrapes of who may; both before anything else, so that a start can be watched."""
        settings = self._settings
        await self._server.start(*settings.listen, insecure_metrics=settings.insecure_metrics)
        _log.info("listening on port %d, talking to %s", self._server.port, self._client.server)
        if settings.insecure_metrics:
            _log.info("--insecure-metrics: /metrics is plain and for everybody on port %d", self._server.port)
            return
        if settings.metrics_tls_cert is not None and settings.metrics_tls_key is not None:
            tls, source = tls_of_files(settings.metrics_tls_cert, settings.metrics_tls_key), "from files"
        else:
            tls, source = own_tls(), "made now and signed by itself, which no client can verify"
        gate = UrlGate(self._client, "/metrics")
        await self._server.start_metrics(*settings.metrics_listen, tls, gate.admit)
        _log.info("/metrics over TLS on port %d, its certificate %s", self._server.metrics_port, source)

    def _act(self) -> None:
        """Start what decides and writes."""
        self._judging = self._work("requests", self._requests, self._flow.handle, self._settings.workers)
        self._work("statuses", self._statuses, self._enrollments.handle, STATUS_WORKERS)
        if self._pools is not None:
            self._work("pools", self._pool_names, self._pools.handle, 1)
        if self._networks is not None and self._flannel is not None:
            self._work("networks", self._network_names, self._flannel.handle, NETWORK_WORKERS)
            self._networks.look_at_all()
        self._start("events", self._outbox.run())
        self._start("approvers", self._approvers.run())
        self._start("lifecycle", self._lifecycle.run())
        self._facts.aftermath.listen(FindingReports(self._metrics, self._outbox, self._facts.enrollment).tell)
        self._facts.wake_all()
        _tune_collector()
        _log.info("ready: %d enrollments, %d undecided requests", *self._sizes())

    def _sizes(self) -> tuple[int, int]:
        return len(self._facts.enrollments.store), sum(1 for _ in self._facts.undecided())

    def _work(
        self, name: str, queue: WorkQueue, handle: Callable[[str], Awaitable[None]], count: int
    ) -> "asyncio.Task[None]":
        failures = self._metrics.failures.labels(name)
        return self._start(name, run_workers(queue, handle, count, on_error=lambda *_: failures.inc()))

    def _start(self, name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        return task

    async def _lead(self) -> bool:
        """Take the Lease and go on renewing it; return False when it is time to stop before that."""
        if self._elector is None:
            return True
        if not await self._first(self._elector.acquire()):
            return False
        self._start("lease", self._elector.hold())
        return True

    async def _follow(self) -> bool:
        """Fill the stores; return False when it is time to stop before that."""
        for informer in self._facts.informers:
            self._start("informer", informer.run())
        return await self._first(self._synced())

    async def _first(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Wait for `work`; return False when the stop, or a part's end, comes before that."""
        task = asyncio.create_task(work)
        done, _ = await asyncio.wait({*self._tasks, task}, return_when=asyncio.FIRST_COMPLETED)
        if done != {task}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return False
        await task
        return True

    async def _synced(self) -> None:
        await asyncio.gather(*(informer.synced.wait() for informer in self._facts.informers))

    async def _end(self, ended: "set[asyncio.Task[Any]]") -> int:
        """Stop the intake, let writes in flight finish, and tell why the process ends."""
        for task in ended:
            error = task.exception()
            _log.error("%s ended: %s", task.get_name(), error or task.result())
        self._requests.close()
        if self._judging is not None and not ended:
            _log.info("stopping: %d decisions in flight", self._requests.in_flight)
            await asyncio.wait({self._judging}, timeout=DRAIN_S)
        return 1 if ended else 0

    async def close(self) -> None:
        """Cancel what runs, release the lead and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._flannel is not None:
            await self._flannel.close()
        if self._elector is not None:
            await self._elector.release()
        await self._server.close()
        await self._client.close()

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)

    def _deaths(self) -> Sequence[str]:
        """Return what has ended that should run, one line each."""
        return [f"{task.get_name()} has ended" for task in self._tasks if task.done()]

    def _problems(self) -> Sequence[str]:
        """Return what keeps decisions from being made, one line each."""
        if self._elector is not None and not self._elector.is_leader:
            return ()  # A standby is ready to take over, so that rolling updates go on.
        problems = [informer.problem or "" for informer in self._facts.informers]
        problems += [f"{i.state}: no fresh view" for i in self._facts.informers if not i.problem and not i.is_fresh()]
        problems += [self._reports.problem or "", self._enrollments.problem or ""]
        return [problem for problem in dict.fromkeys(problems) if problem]  # Two signers share one line.

    def _snapshot(self) -> Snapshot:
        pending = dict.fromkeys(MANAGED_SIGNERS, 0)
        created = now()
        for body in self._facts.undecided():
            pending[body["spec"]["signerName"]] += 1
            made = Fields(body["metadata"]).moment("creationTimestamp") or created
            if not self._facts.is_given_up(body["metadata"]["name"], made):
                created = min(created, made)
        return Snapshot(
            pending=pending,
            held=self._reports.held(),
            oldest_pending_age_s=(now() - created).total_seconds(),
            queue_depth=self._requests.depth,
            enrollments=self._facts.phases(),
            last_event=self._facts.last_seen(),
            earliest_expiry=self._facts.earliest_expiry(),
            leader=self._elector is None or self._elector.is_leader,
            flannel=self._networks.state() if self._networks is not None else None,
        )


def _lease_namespace(settings: Settings, credentials: Credentials) -> str | None:
    """Return where the Lease lives; None without leader election."""
    namespace = settings.lease_namespace or credentials.namespace
    if settings.leader_elect and namespace is None:
        raise SettingsInvalid(("--leader-elect: expected --lease-namespace outside a pod, found none",))
    return namespace if settings.leader_elect else None


def _elector(client: ApiClient, namespace: str) -> LeaseElector:
    return LeaseElector(client, namespace, LEASE_NAME, f"{platform.node()}_{secrets.token_hex(4)}")


def _tune_collector() -> None:
    """Keep Python's collector from walking the stores again and again (measured: a fifth more decisions)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)

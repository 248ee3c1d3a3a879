"""The lifecycle plane: kopf for our own kinds, kept running.

Rules: kopf gets its own registry, settings and a bounded session of ours; it ends by itself on ERROR
events and HTTP 410, so a supervisor starts it again and counts that. It shares the loop with the
decision plane and must neither take its signals nor cancel its tasks.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any, Final

import aiohttp
import kopf

from nodegate.enrollment.handlers import RESOURCE, NoProgress, ObservedGeneration, register
from nodegate.enrollment.model import Enrollment
from nodegate.kube.credentials import Credentials
from nodegate.metrics import Metrics

CONNECTIONS: Final = 8
"""Connections of kopf's session: one watch a kind and room for its look-ups."""

RESTART_S: Final = (0.5, 1, 2, 5, 10)
"""Seconds before kopf is started again after it ended by itself; the last repeats."""

STOP_S: Final = 5.0
"""Seconds that kopf may take to stop."""

UNPROCESSED: Final = "status.phase="
"""What kopf watches of NodeEnrollments: those without a phase, which nobody has looked at yet. Later changes
come through the decision plane's own store (ADR 0005); a second watch of every status write would cost a
quarter of the approvals a second (measured)."""

PAGE_SIZE: Final = 250
"""Objects in one page of kopf's lists: it keeps a worker for each for a moment (measured: 60 MB less at 5,000)."""

WORKER_IDLE_S: Final = 0.02
"""Seconds that kopf keeps an object's worker after its last event."""

_KOPF_CLIENTS: Final = "kopf._cogs.clients"
"""The loggers that say at level error, for every try, that a request is made again (kopf 1.45, clients/api.py)."""

_log = logging.getLogger("nodegate.lifecycle")


class Backoffs(Collection[float]):
    """Endless jittered pauses for kopf's own retries; kopf iterates over it anew for every request."""

    def __iter__(self) -> Iterator[float]:
        """Yield pauses in seconds, growing to about two."""
        for pause in itertools.chain((0.1, 0.2, 0.5, 1.0), itertools.repeat(2.0)):
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries

    def __len__(self) -> int:
        """Return a number that nobody counts up to."""
        return 1_000_000

    def __contains__(self, pause: object) -> bool:
        """Tell whether a pause may occur."""
        return isinstance(pause, float)


class OurTasks(Collection["asyncio.Task[Any]"]):
    """Every task of the loop: when kopf ends it cancels what it did not find in such a list.

    kopf stops its own tasks before that; the rest belongs to the decision plane, which goes on.
    """

    def __contains__(self, task: object) -> bool:
        """Claim every task."""
        return True

    def __iter__(self) -> Iterator["asyncio.Task[Any]"]:
        """Yield the tasks there are."""
        return iter(asyncio.all_tasks())

    def __len__(self) -> int:
        """Return how many tasks there are."""
        return len(asyncio.all_tasks())


class Lifecycle:
    """Runs kopf until told to stop, again and again.

    Args:
        credentials: Where the API server is and who we are.
        observe: Brings the status of an enrollment up to date; must not raise.
        metrics: Counts restarts.
        take_signals: Takes SIGTERM and SIGINT back from kopf.
        also: Registers the handlers of further kinds.
    """

    def __init__(
        self,
        credentials: Credentials,
        observe: Callable[[Enrollment], Awaitable[None]],
        metrics: Metrics,
        take_signals: Callable[[], None],
        also: Callable[[kopf.OperatorRegistry], None] | None = None,
    ) -> None:
        self._credentials = credentials
        self._observe = observe
        self._metrics = metrics
        self._take_signals = take_signals
        self._also = also

    async def run(self) -> None:
        """Keep kopf running until cancelled."""
        # The stores follow the same collection with the same credentials and say once what is wrong with it.
        if not logging.getLogger(_KOPF_CLIENTS).isEnabledFor(logging.DEBUG):
            logging.getLogger(_KOPF_CLIENTS).setLevel(logging.CRITICAL)
        for pause in itertools.chain(RESTART_S, itertools.repeat(RESTART_S[-1])):
            try:
                await self._run_once()
                why = "it ended"
            except Exception as error:  # noqa: BLE001 - whatever ends kopf, it is started again
                why = f"{type(error).__name__}: {error}"
            self._metrics.kopf_restarts.inc()
            _log.warning("kopf stopped by itself, starting it again in %g s: %.256s", pause, why)
            await asyncio.sleep(pause)

    async def _run_once(self) -> None:
        registry = kopf.OperatorRegistry()
        register(registry, self._observe)
        if self._also is not None:
            self._also(registry)
        kopf.on.login(registry=registry)(self._login)
        tasks = await kopf.spawn_tasks(registry=registry, settings=_settings(), standalone=True, clusterwide=True)
        # kopf has just taken SIGTERM and SIGINT for itself, without a pause in between.
        self._take_signals()
        await kopf.run_tasks(tasks, ignored=OurTasks())

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Give kopf a bounded session that asks for the token anew each time; kopf closes it."""

        async def authorize(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            header = self._credentials.authorization()
            if header is not None:
                request.headers["Authorization"] = header
            return await handler(request)

        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._credentials.ssl_context or False),
            middlewares=(authorize,),
            trust_env=False,
        )
        return kopf.AiohttpSession(aiohttp_session=session, server=self._credentials.server)


def _settings() -> kopf.OperatorSettings:
    """Return kopf's settings: bounded, quiet, and storing nothing on objects."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = ObservedGeneration()
    settings.persistence.progress_storage = NoProgress()
    settings.networking.error_backoffs = Backoffs()
    settings.networking.request_timeout = 10
    settings.networking.connect_timeout = 5
    settings.watching.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.field_selectors[RESOURCE] = UNPROCESSED
    settings.watching.chunk_size = PAGE_SIZE
    settings.queueing.idle_timeout = WORKER_IDLE_S
    settings.process.ultimate_exiting_timeout = None
    return settings

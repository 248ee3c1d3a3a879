"""The cluster as the decision plane knows it: informers in, a `Case` for one request out.

Rules: stores follow LIST and WATCH and know how fresh they are; a store that is not fresh makes its
facts missing, never old. Nothing here writes. Names of requests and enrollments that have to be
looked at again go out through the two queues.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_network
from typing import Any, Final

from nodegate.clock import now
from nodegate.csr.aftermath import Aftermath
from nodegate.csr.apply import CSR_PATH, TRIMMED
from nodegate.csr.limits import Duplicates
from nodegate.csr.model import Case, CsrFacts, Fact, NodeFacts, Policy
from nodegate.csr.parse import parse_endpoint_slice, parse_node, parse_service, parse_service_cidr
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.model import Enrollment, IPAddress, NodeName, NodeRef, NodeTemplate, Phase, State
from nodegate.enrollment.parse import parse_enrollment
from nodegate.identity import IPNetwork, ReservedIndex
from nodegate.kube.client import ApiClient
from nodegate.kube.informer import Informer
from nodegate.kube.observer import InformerObserver
from nodegate.kube.work import Place, WorkQueue
from nodegate.names import MANAGED_SIGNERS
from nodegate.observed import CertificateKind, Observed
from nodegate.pool.apply import POOL_PATH
from nodegate.pool.index import PoolIndex
from nodegate.pool.model import Pool
from nodegate.pool.parse import parse_pool
from nodegate.settings import Settings

REQUEST_KEPT: Final = 24_000
"""Characters kept of ``spec.request``: base64 of more than the 16 KiB that the encoding rule accepts."""

KOPF_FIRST_S: Final = 2.0
"""Seconds after which a new enrollment is looked at here if kopf has not done so."""

BULKY: Final = 2_000
"""Characters of labels, annotations or owners that are kept in memory; kubelets set none."""

AFTER_S: Final = 1.0
"""Seconds for which what follows approvals is collected before an enrollment's status is written."""

GIVEN_UP: Final = timedelta(minutes=15)
"""After this long a kubelet gives a request up and makes another (client-go, certificate manager)."""

Body = Mapping[str, Any]
_DECIDED: Body = {}
"""What is kept of a request that needs no decision: that it exists, and no more."""


class LiveFacts:
    """Everything that decisions rest on, kept fresh.

    Args:
        client: Reads; nothing here writes.
        settings: Group, ranges and the re-list interval.
        observer: Hears of lists and events.
        requests: The queue that names of requests go to.
        enrollments: The queue that names of enrollments go to when something beside them changed.
        pools: What is told of pools and of the enrollments made through them; None does without pools.
    """

    def __init__(
        self,
        client: ApiClient,
        settings: Settings,
        observer: InformerObserver,
        requests: WorkQueue,
        enrollments: WorkQueue,
        pools: PoolIndex | None = None,
    ) -> None:
        self.policy = Policy(
            bootstrap_group=settings.bootstrap_group,
            never_deny=settings.never_deny,
            require_known_credential=settings.require_known_credential,
        )
        self.manages_nodes = settings.manage_nodes
        self.mints_for = settings.bootstrap_group if settings.issue_tokens else None
        self._pools = pools
        self.claims = ClaimIndex()
        self.reserved = ReservedIndex()
        self.reserved.put("setting", settings.service_cidr, "service network")
        self._client = client
        self._observer = observer
        self._relist_s = settings.relist_seconds
        self._requests = requests
        self._enrollment_queue = enrollments
        self._node_of: dict[str, NodeName | None] = {}
        self._pending: dict[NodeName, set[str]] = {}
        self._duplicates = Duplicates()
        requests.share_by(self._place)
        self.aftermath = Aftermath(lambda node: enrollments.add_after(node, AFTER_S))
        self._csrs = tuple(self._csr_informer(signer) for signer in MANAGED_SIGNERS)
        self.enrollments = self._informer(
            ENROLLMENT_PATH,
            parse_enrollment if pools is None else pools.reading(parse_enrollment),
            self._enrollment_changed,
            if_absent="apply the CRD: kubectl apply -k crds",
        )
        self.nodes = self._informer(
            "/api/v1/nodes", partial(parse_node, settings=settings.manage_nodes), self._node_changed
        )
        self._cluster = self._cluster_informers(read_service_cidrs=not settings.service_cidr)
        self._pool_informers: tuple[Informer[Pool], ...] = (self._pool_informer(),) if pools is not None else ()
        self.further: list[Informer[Any]] = []
        """Stores of whoever else reserves networks; decisions need them as fresh as the others."""

    def _informer(self, path: str, transform: Any, on_change: Any, **options: Any) -> Informer[Any]:
        return Informer(
            self._client,
            path,
            transform=transform,
            on_change=on_change,
            relist_s=self._relist_s,
            resource=options.pop("resource", path.rpartition("/")[2]),
            observer=self._observer,
            **options,
        )

    def _csr_informer(self, signer: str) -> Informer[Body]:
        # A re-list reports held requests again, so nothing that changed unseen stays undecided.
        return self._informer(
            CSR_PATH,
            self._take,
            self._csr_changed,
            params={"fieldSelector": f"spec.signerName={signer}"},
            resync=True,
        )

    def _cluster_informers(self, *, read_service_cidrs: bool) -> tuple[Informer[Any], ...]:
        only = {"params": {"fieldSelector": "metadata.name=kubernetes"}}
        service = self._informer("/api/v1/namespaces/default/services", parse_service, self._service_changed, **only)
        endpoints = self._informer(
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            parse_endpoint_slice,
            self._endpoints_changed,
            **only,
        )
        if not read_service_cidrs:
            return (service, endpoints)
        path = "/apis/networking.k8s.io/v1/servicecidrs"
        absent = "before Kubernetes 1.33 set --service-cidr"
        cidrs = self._informer(path, parse_service_cidr, self._service_cidr_changed, if_absent=absent)
        return (service, endpoints, cidrs)

    def _pool_informer(self) -> Informer[Pool]:
        absent = "apply the component manifests/components/pools, or run without --pools"
        return self._informer(POOL_PATH, parse_pool, self._pool_changed, if_absent=absent)

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """Every informer, to be run and watched over."""
        return (*self._csrs, self.enrollments, self.nodes, *self._cluster, *self._pool_informers, *self.further)

    def request(self, name: str) -> Body | None:
        """Return an undecided request's object, or None when there is nothing to decide."""
        for informer in self._csrs:
            body = informer.store.get(name)
            if body is not None:
                return body if body is not _DECIDED else None
        return None

    def undecided(self) -> Iterator[Body]:
        """Yield the objects of all undecided requests."""
        for informer in self._csrs:
            yield from (body for body in informer.store.values() if body is not _DECIDED)

    def case(self, csr: CsrFacts, enrollment: Enrollment | None) -> Case:
        """Return everything that a decision about `csr` under `enrollment` rests on, as it is now."""
        name = csr.node_name
        return Case(
            csr=csr,
            enrollment=enrollment,
            node=self.nodes.store.get(name) if name else None,
            claims=self.claims,
            reserved=self.reserved,
            policy=self.policy,
            now=now(),
            missing=frozenset(self._missing()),
        )

    def known_enrollment(self, csr: CsrFacts) -> Enrollment | None:
        """Return the enrollment of the name that a request asks for, as the store knows it."""
        fresh = csr.node_name is not None and self.enrollments.is_fresh()
        return self.enrollments.store.get(csr.node_name) if fresh and csr.node_name else None

    def intend(self, name: str, uid: str) -> None:
        """Note that this process is about to approve a request, so that the approval is known as its own."""
        self.aftermath.intend(name, uid)

    def observed(self, name: NodeName) -> Observed:
        """Return what the requests that exist tell of a node's certificates."""
        return self.aftermath.observed(name)

    def is_known(self) -> bool:
        """Tell whether everything that enrollments are judged beside is fresh."""
        return not any(self._missing())

    def is_busy(self) -> bool:
        """Tell whether requests wait to be decided."""
        return self._requests.depth > 0

    def enrollment(self, name: str) -> Enrollment | None:
        """Return an enrollment as the store knows it."""
        return self.enrollments.store.get(name)

    def node_ref(self, name: str) -> NodeRef | None:
        """Return the Node of a name as an enrollment's status has it, or None."""
        node = self.nodes.store.get(name)
        return NodeRef(uid=node.uid, ready=node.ready) if node is not None else None

    def node_settings(self, name: str) -> NodeTemplate | None:
        """Return labels, annotations and taints of the Node of a name; None when they are not known."""
        node = self.nodes.store.get(name)
        return node.settings if node is not None else None

    def nodes_with(self, address: IPAddress) -> frozenset[str]:
        """Return the Nodes that report an address."""
        return frozenset(name for name, node in self.nodes.store.items() if address in node.addresses)

    def knows_pools(self) -> bool:
        """Tell whether the view of pools is fresh."""
        return all(informer.is_fresh() for informer in self._pool_informers)

    def phases(self) -> Mapping[str, int]:
        """Return how many enrollments are in each phase."""
        phases = (enrollment.status.phase or Phase.PENDING for enrollment in self.enrollments.store.values())
        return dict.fromkeys(Phase, 0) | Counter(phases)

    def earliest_expiry(self) -> Mapping[str, float]:
        """Return the Unix seconds at which the first certificate of each kind ends, over the nodes in the cluster."""
        ends: dict[str, float] = {}
        for enrollment in self.enrollments.store.values():
            held = enrollment.status.certificates
            if enrollment.name in self.nodes.store and enrollment.state is not State.REVOKED:
                for kind, record in ((CertificateKind.CLIENT, held.client), (CertificateKind.SERVING, held.serving)):
                    if record is not None:
                        end = record.not_after.timestamp()
                        ends[kind] = min(end, ends.get(kind, end))
        return ends

    def last_seen(self) -> Mapping[str, float]:
        """Return the Unix seconds of the last sign of life, by resource; the oldest where two watches share one."""
        moment = now().timestamp()
        seen: dict[str, float] = {}
        for informer in self.informers:
            if informer.synced.is_set():
                age = moment - informer.age_s()
                seen[informer.resource] = min(age, seen.get(informer.resource, age))
        return seen

    def _missing(self) -> Iterator[Fact]:
        if not self.enrollments.is_fresh():
            yield from (Fact.ENROLLMENT, Fact.CLAIMS)
        if not self.nodes.is_fresh():
            yield Fact.NODE
        if not all(informer.is_fresh() for informer in (*self._cluster, *self.further)):
            yield Fact.RESERVED

    def note_node(self, name: str, node_name: NodeName | None) -> None:
        """Remember which node a pending request asks for, so that changes there wake it."""
        self.forget(name)
        self._node_of[name] = node_name
        if node_name is not None:
            self._pending.setdefault(node_name, set()).add(name)
            body = self.request(name)
            if body is not None:
                spec, created = body["spec"], body["metadata"].get("creationTimestamp") or ""
                self._duplicates.note(name, (node_name, spec["signerName"], spec.get("username", "")), created)

    def forget(self, name: str) -> None:
        """Forget a request that is decided or gone."""
        self._duplicates.forget(name)
        node_name = self._node_of.pop(name, None)
        names = self._pending.get(node_name) if node_name else None
        if names is not None and node_name is not None:
            names.discard(name)
            if not names:
                del self._pending[node_name]

    def is_given_up(self, name: str, created: datetime) -> bool:
        """Tell whether nobody waits for a request: it is old, and its requester has made another for the same."""
        return self._duplicates.superseded(name) and now() - created > GIVEN_UP

    def _place(self, name: str) -> Place:
        """Return where a request waits: in turn with other requesters', the given-up ones last."""
        body = self.request(name)
        return Place(body["spec"].get("username", "") if body else "", self._duplicates.superseded(name))

    def _wake(self, node_name: NodeName) -> None:
        for name in self._pending.get(node_name, ()):
            self._requests.add(name)

    def wake_requests(self) -> None:
        """Have every undecided request judged again."""
        for name in self._node_of:
            self._requests.add(name)

    def wake_all(self) -> None:
        """Have every undecided request and every enrollment looked at again."""
        self.wake_requests()
        for name in self.enrollments.store:
            self._enrollment_queue.add(name)

    def _take(self, body: Body) -> Body:
        """Return what is kept of a request's object; what its decision has led to is read here, once."""
        self.aftermath.take(body)
        return _undecided(body)

    def _csr_changed(self, name: str, body: Body | None) -> None:
        if body is None:
            self.aftermath.forget(name)
        pending = body is not None and body is not _DECIDED
        # One that was pending goes to the queue once more when it no longer is: the flow forgets it there.
        if pending or name in self._node_of:
            self._requests.add(name)
        if not pending:
            self.forget(name)

    def _enrollment_changed(self, name: str, enrollment: Enrollment | None) -> None:
        touched = self.claims.put(NodeName(name), enrollment)
        for other in (NodeName(name), *touched):
            self._wake(other)
        for other in touched:
            self._enrollment_queue.add(other)
        if enrollment is None:
            if self._pools is not None:
                self._pools.forget(name)
            return
        if enrollment.processed:
            # Its Node may have come before it, and an annotation that accepts a Node raises no generation.
            if self._shows_another_node(enrollment):
                self._enrollment_queue.add(name)
            return
        # New ones are kopf's to begin with; it sees no later change.
        if enrollment.status.observed_generation is None:
            self._enrollment_queue.add_after(name, KOPF_FIRST_S)
        else:
            self._enrollment_queue.add(name)

    def _shows_another_node(self, enrollment: Enrollment) -> bool:
        """Tell whether the status is about another Node, or another readiness, than the Node has that is there."""
        node, shown = self.node_ref(enrollment.name) or NodeRef(), enrollment.status.node
        return (node.uid, node.ready) != (shown.uid, shown.ready)

    def _node_changed(self, name: str, node: NodeFacts | None) -> None:
        self.reserved.put(f"Node {name}", node.pod_cidrs if node else (), "pod network", claimed=True)
        self.reserved.put_hosts(name, node.addresses if node else ())
        self._wake(NodeName(name))
        if name in self.enrollments.store:
            self._enrollment_queue.add(name)

    def _pool_changed(self, name: str, pool: Pool | None) -> None:
        if self._pools is not None and self._pools.put(name, pool):
            self.wake_requests()

    def _service_changed(self, name: str, addresses: tuple[IPAddress, ...] | None) -> None:
        hosts = [ip_network(address) for address in addresses or ()]
        self.reserved.put(f"Service {name}", hosts, "kubernetes Service")
        self.wake_all()

    def _endpoints_changed(self, name: str, addresses: tuple[IPAddress, ...] | None) -> None:
        self.reserved.put_api_servers(name, addresses or ())
        self.wake_all()

    def _service_cidr_changed(self, name: str, networks: tuple[IPNetwork, ...] | None) -> None:
        self.reserved.put(f"ServiceCIDR {name}", networks or (), "service network")
        self.wake_all()


def _undecided(body: Body) -> Body:
    """Return what decisions need of an object that needs one, else only that it exists.

    Requesters choose a request's size, and a held one is kept for a day: what is longer than a rule could
    accept is cut, and bulky metadata is left out and marked, to be read again before anything is written.
    """
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    if status.get("conditions") or status.get("certificate") or metadata.get("deletionTimestamp"):
        return _DECIDED
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    bulky = {key for key in ("labels", "annotations", "ownerReferences") if len(str(kept.get(key, ""))) > BULKY}
    return {
        "metadata": {key: value for key, value in kept.items() if key not in bulky},
        "spec": {**spec, "request": spec.get("request", "")[:REQUEST_KEPT]},
        **({TRIMMED: True} if bulky else {}),
    }

"""The FlannelNetworks beside everything else in the cluster: their store in, facts and sums out.

Rules: nothing here writes. Every network's ranges are reserved, so that no host gets a certificate for an address of a
pod; a network is judged beside the Nodes, the Services' ranges and the other networks as the stores know them now.
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, Final

from nodegate.facts import LiveFacts
from nodegate.flannel.apply import NETWORK_PATH
from nodegate.flannel.index import Known, read_known, totals
from nodegate.flannel.network import Facts
from nodegate.identity import IPNetwork
from nodegate.kube.client import ApiClient
from nodegate.kube.informer import Informer
from nodegate.kube.observer import InformerObserver
from nodegate.metrics import FlannelState
from nodegate.settings import Settings

_ABSENT: Final = "apply the CRD and the component manifests/components/flannel, or run without --flannel"


class Networks:
    """The store of FlannelNetworks, and what stands around them.

    Args:
        client: Reads.
        settings: The re-list interval, and ranges that are set.
        observer: Hears of lists and events.
        facts: The other stores; this one joins them.
        look: Has a network looked at soon, by name.
    """

    def __init__(
        self,
        client: ApiClient,
        settings: Settings,
        observer: InformerObserver,
        facts: LiveFacts,
        look: Callable[[str], None],
    ) -> None:
        self._facts = facts
        self._service_ranges = settings.service_cidr
        self._look = look
        self._ranges: dict[str, tuple[IPNetwork, ...]] = {}
        self._informer: Informer[Known] = Informer(
            client,
            NETWORK_PATH,
            transform=read_known,
            on_change=self._changed,
            relist_s=settings.relist_seconds,
            resource=NETWORK_PATH.rpartition("/")[2],
            observer=observer,
            if_absent=_ABSENT,
        )
        facts.further.append(self._informer)

    def _changed(self, name: str, known: Known | None) -> None:
        """Reserve the ranges, and have the network looked at unless only its status is another."""
        ranges = known.ranges if known is not None else ()
        if self._ranges.pop(name, ()) != ranges:
            self._facts.reserved.put(f"FlannelNetwork {name}", ranges, "flannel network")
            self._facts.wake_all()
        if ranges:
            self._ranges[name] = ranges
        if known is None or known.network is None or known.network.deleting or not known.current:
            self._look(name)

    def is_known(self) -> bool:
        """Tell whether everything that networks are judged beside is fresh."""
        return self._facts.is_known()

    def flannel_facts(self, name: str) -> Facts:
        """Return what a network is judged beside."""
        others = (known.network for other, known in self._informer.store.items() if other != name)
        return Facts(
            nodes=dict(self._nodes()),
            node_count=len(self._facts.nodes.store),
            taken=tuple(self._taken()),
            others=tuple(network for network in others if network is not None),
        )

    def _nodes(self) -> Iterator[tuple[str, str]]:
        for name, node in sorted(self._facts.nodes.store.items()):
            yield from ((str(address), name) for address in node.addresses)

    def _taken(self) -> Iterator[tuple[str, IPNetwork]]:
        """Yield the ranges that others use, each with whose it is."""
        yield from (("the service network", each) for each in self._service_ranges)
        for name, network in self._store("servicecidrs"):
            yield from ((f"ServiceCIDR {name}", each) for each in network)
        for name, addresses in self._store("services"):
            yield from ((f"Service {name}", ip_network(each)) for each in addresses)
        for name, node in self._facts.nodes.store.items():
            yield from ((f"Node {name}", ip_network(each)) for each in node.addresses)

    def _store(self, resource: str) -> Iterator[tuple[str, Any]]:
        for informer in self._facts.informers:
            if informer.resource == resource:
                yield from informer.store.items()

    def look_at_all(self) -> None:
        """Have every network looked at."""
        for name in self._informer.store:
            self._look(name)

    def state(self) -> FlannelState | None:
        """Return how the networks stand by their statuses; None when there are none."""
        found = totals(self._informer.store.values())
        return FlannelState(*found) if found is not None else None

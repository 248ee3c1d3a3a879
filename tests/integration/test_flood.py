"""A flood on a real control plane: one token makes thousands of requests, and its neighbours are approved meanwhile.

Rules: nothing here asserts a time; that the neighbours' requests are through while the flood still waits is what
shows that they did not wait for it. `make bench` measures by how much.
"""

import pytest

from hack.cluster import make_csr
from hack.impersonation import Identity
from tests.integration.lab import Document, Lab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FLOOD = 1_000
"""Five times what one token may ask at once (`nodegate.csr.limits.SHARED_RATE`)."""


def _requests(node: str, token_id: str, count: int) -> list[tuple[Identity, Document]]:
    """Return requests for one node as its token's user makes them, all with one key."""
    manifest, _ = make_csr(node_name=node, signer="client")
    who = Identity(f"system:bootstrap:{token_id}", ("system:bootstrappers", "system:authenticated"))
    return [(who, {**manifest, "metadata": {"name": f"flood-{node}-{number}"}}) for number in range(count)]


def test_neighbours_are_served_while_a_flood_waits(own_lab: Lab) -> None:
    """What one token asks too often is held back; other nodes join meanwhile, and the flood's own node joins too."""
    lab = own_lab
    flooded, neighbours = lab.name("flooded"), [lab.name() for _ in range(10)]
    token = lab.token()
    lab.enroll(flooded, bootstrap={"tokenID": token.token_id})
    lab.operator.stop()
    lab.burst(_requests(flooded, token.token_id, FLOOD))
    lab.operator.start()
    lab.operator.wait_ready()
    lab.wait(lambda: lab.operator.metric("nodegate_csr_held", reason="rate_limited") > 0, "requests held back")
    for name in neighbours:
        mine = lab.token()
        lab.enroll(name, bootstrap={"tokenID": mine.token_id})
        lab.approved(lab.ask(name, mine))
    assert lab.operator.metric("nodegate_csr_held", reason="rate_limited") > 0
    assert lab.operator.metric("nodegate_rate_limited_total") >= 1
    lab.wait(lambda: lab.status(flooded).get("joinCount") == 1, "the flooded node's own join", node=flooded)

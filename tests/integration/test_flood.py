"""A flood on a real control plane: one token makes thousands of requests, and its neighbours are approved meanwhile.

Rules: nothing here asserts a time; that the neighbours' requests are through while the flood still waits is what
shows that they did not wait for it. `make bench` measures by how much.
"""

import pytest

from hack.cluster import make_csr
from hack.impersonation import Identity
from tests.integration.lab import Document, Lab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FLOOD = 300
"""Fifteen times what one node may ask at once (`nodegate.csr.limits.NODE_RATE`), however slow the machine is."""


def _renewals(node: str) -> list[tuple[Identity, Document]]:
    """Return renewals for one node as itself, all with one key."""
    manifest, _ = make_csr(node_name=node, signer="client")
    who = Identity(f"system:node:{node}", ("system:nodes", "system:authenticated"))
    return [(who, {**manifest, "metadata": {"name": f"flood-{node}-{number}"}}) for number in range(FLOOD)]


def test_neighbours_are_served_while_a_flood_waits(own_lab: Lab) -> None:
    """What one node asks too often is held back; other nodes join meanwhile, and its own next request waits too."""
    lab = own_lab
    flooded = lab.join(lab.name("flooded")).name
    lab.operator.stop()
    lab.burst(_renewals(flooded))
    lab.operator.start()
    lab.operator.wait_ready()
    lab.wait(lambda: lab.operator.metric("nodegate_csr_held", reason="rate_limited") > 0, "requests held back")
    for _ in range(10):
        neighbour, token = lab.name(), lab.token()
        lab.enroll(neighbour, bootstrap={"tokenID": token.token_id})
        lab.approved(lab.ask(neighbour, token))
    held = lab.operator.metric("nodegate_csr_held", reason="rate_limited")
    assert held > FLOOD / 2
    assert lab.operator.metric("nodegate_rate_limited_total") >= held

"""The base without the component: the operator that is told to look after networks says what it lacks."""

from http import HTTPStatus

import pytest

from hack.cluster import Cluster
from tests.integration.operator_fixtures import Start

pytestmark = pytest.mark.integration


def test_without_the_component_the_operator_is_not_ready(cluster: Cluster, start: Start) -> None:
    """The rights are the component's: /readyz names the resource, and nothing is approved without its ranges."""
    assert cluster
    lab = start("--flannel", ready=False)

    def tells() -> bool:
        status, text = lab.operator.get("/readyz")
        return status == HTTPStatus.SERVICE_UNAVAILABLE and "flannelnetworks: 403" in text

    lab.wait(tells, "/readyz to name the networks")

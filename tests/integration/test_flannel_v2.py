"""A FlannelNetwork for flannel 0.7.1: its config in the v2 store of three real TLS members of etcd 3.4.

Rules: what stands in etcd is asked of etcdctl with the v2 API; the test is skipped where no etcd with it can be had.
"""

import json
from collections.abc import Iterator

import pytest

from hack.cluster import Cluster
from hack.cluster.errors import NotBuildable
from hack.cluster.etcd_members import EtcdMembers
from hack.cluster.etcd_v2 import EtcdV2, find_etcd_v2
from tests.integration.flannel_lab import MAIN_SPEC, SECRET, Network, granted
from tests.integration.lab import Lab

pytestmark = pytest.mark.integration

OPERATOR_FLAGS = ("--flannel",)
WRITTEN = (
    '{"Network":"172.30.0.0/16","SubnetLen":24,"SubnetMin":"172.30.1.0","SubnetMax":"172.30.255.0",'
    '"Backend":{"Type":"vxlan","VNI":1,"Port":8472}}'
)


@pytest.fixture(scope="module", name="v2")
def _v2() -> EtcdV2:
    """Return the programs of etcd 3.4."""
    try:
        return find_etcd_v2()
    except NotBuildable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", name="etcd")
def _etcd(v2: EtcdV2) -> Iterator[EtcdMembers]:
    """Yield three members that serve the v2 API."""
    with EtcdMembers(v2.etcd, flags=("--enable-v2=true",)) as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def _component(cluster: Cluster, account: object, etcd: EtcdMembers) -> Iterator[None]:
    """Apply the component before the module's operator starts; the base must be there."""
    assert account
    with granted(cluster, etcd):
        yield


def test_the_config_lies_in_the_v2_store(lab: Lab, etcd: EtcdMembers, v2: EtcdV2) -> None:
    """It is written, widened, seen with the leases of 0.7.1, and a renumbering waits for those."""
    network = Network(lab, etcd, lab.name("net"))
    where = {
        "endpoints": etcd.endpoints,
        "api": "V2",
        "tls": {"secretRef": {"namespace": "nodegate-system", "name": SECRET}},
    }
    spec = {**MAIN_SPEC, "flannelVersion": "0.7.1", "etcd": where}
    key = f"{network.prefix}/config"
    try:
        network.apply(**spec, subnetMax="172.30.100.0")
        network.wait_for("Ready", "True", "InSync")
        assert v2.run(etcd, "get", key).strip() == WRITTEN.replace("172.30.255.0", "172.30.100.0")
        assert network.status()["etcd"]["transport"] == "Keys"
        value = '{"PublicIP":"10.9.9.1","BackendType":"vxlan","BackendData":{"VtepMAC":"82:4b:b6:2f:54:4e"}}'
        v2.run(etcd, "set", "--ttl", "86400", f"{network.prefix}/subnets/172.30.19.0-24", value)
        network.wait(lambda: network.status()["leases"]["total"] == 1, "the lease")
        network.apply(**spec)
        network.wait_for("RestartRequired", "True")
        assert v2.run(etcd, "get", key).strip() == WRITTEN
        network.apply(**{**spec, "subnetLen": 25})
        network.wait_for("ChangeBlocked", "True", "LeasesInTheWay")
        assert json.loads(v2.run(etcd, "get", key))["SubnetLen"] == 24
    finally:
        network.remove()

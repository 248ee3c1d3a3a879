"""Each thing that can be wrong with a node has its own answer, with what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from nodegate_host.engine.records import State
from nodegate_host.engine.survey import Survey, survey
from nodegate_host.engine.verifying import Answer, flannel, identity, units_and_files
from nodegate_host.facts.model import (
    Certificate,
    EtcdFacts,
    Facts,
    IdentityFacts,
    Interface,
    Kubeconfig,
    Lease,
    NetworkFacts,
    Place,
)
from nodegate_host.parse import parse
from tests.unit.host.engine.scene import CONFIG, Scene, first, run_apply
from tests.unit.host.sample import GOOD

_CONFIG = parse(GOOD)
_NAME = _CONFIG.node.name
_ADDRESS = _CONFIG.node.ips[0]
_RANGE = _CONFIG.cluster.pod_cidr[0]
_SUBNET = f"{_RANGE.rsplit('.', 2)[0]}.7.1/24"
_KEY = f"{_RANGE.rsplit('.', 2)[0]}.7.0/24"
_MAC = "aa:bb:cc:dd:ee:ff"
_CERT = Certificate("pem", f"system:node:{_NAME}", ("system:nodes",), not_after=2_000.0)


def _survey(certificate: Certificate | None = _CERT, subnet: str = _SUBNET) -> Survey:
    return Survey(State(), None, None, (), {}, {}, certificate, {"FLANNEL_SUBNET": subnet} if subnet else {})


def _results(answers: Iterable[Answer]) -> dict[str, str]:
    return {each.id: each.result for each in answers}


def _message(answers: Iterable[Answer], name: str) -> str:
    return next(each.message for each in answers if each.id == name)


def _flannel(lease: Lease, mac: str = _MAC, config: str | None = f'{{"Network": "{_RANGE}"}}') -> Facts:
    return Facts(
        network=NetworkFacts(interfaces=(Interface("flannel.1", mac=mac), Interface("cni0", (_SUBNET,)))),
        etcd=EtcdFacts(config=config, config_read=True, leases=(lease,)),
    )


_LEASE = Lease(_KEY, _ADDRESS, _MAC)


def test_a_good_node_passes() -> None:
    """A lease with our address and MAC, a config with our range and a valid certificate pass."""
    answers = [*flannel(_CONFIG, _flannel(_LEASE), _survey()), *identity(_CONFIG, Facts(), _survey(), 1_000.0)]

    assert set(_results(answers).values()) == {"pass"}


def test_another_nodes_public_address_fails() -> None:
    """A PublicIP that is not the node's address, as when flannel took the wrong interface, names flannel.iface."""
    answers = list(flannel(_CONFIG, _flannel(dataclasses.replace(_LEASE, public_ip="203.0.113.9")), _survey()))

    assert _results(answers)["flannel.lease"] == "fail"
    assert "flannel.iface" in _message(answers, "flannel.lease")


def test_another_mac_fails() -> None:
    """A VtepMAC that is not flannel.1's makes Pods unreachable; the answer says to restart flanneld."""
    answers = list(flannel(_CONFIG, _flannel(_LEASE, mac="00:00:00:00:00:01"), _survey()))

    assert "restart flanneld" in _message(answers, "flannel.lease")


def test_no_lease_in_etcd_fails() -> None:
    """A lease file without its lease in etcd is told."""
    answers = list(flannel(_CONFIG, _flannel(dataclasses.replace(_LEASE, subnet="192.0.2.0/24")), _survey()))

    assert "no lease for" in _message(answers, "flannel.lease")


def test_another_network_in_etcd_fails() -> None:
    """Flannel's Network must be the cluster's Pod range."""
    answers = flannel(_CONFIG, _flannel(_LEASE, config='{"Network": "192.0.2.0/24"}'), _survey())

    assert _results(answers)["flannel.config"] == "fail"


def test_a_bridge_off_the_lease_fails() -> None:
    """A cni0 that is left from an older lease is told with both addresses."""
    facts = Facts(network=NetworkFacts(interfaces=(Interface("cni0", ("172.31.9.1/24",)),)))

    answers = list(flannel(_CONFIG, facts, _survey()))

    assert _results(answers)["flannel.bridge:cni0"] == "fail"
    assert _results(answers)["flannel.lease"] == "skipped"


def test_no_lease_file_fails() -> None:
    """Without subnet.env there is no Pod network."""
    assert _results(flannel(_CONFIG, Facts(), _survey(subnet="")))["flannel.subnet-env"] == "fail"


def test_certificates_of_others_or_the_past_fail() -> None:
    """Missing, expired, another node's, and an administrator's certificate all fail, each with its cure."""
    cases = {
        "waits for approval": None,
        "expired": dataclasses.replace(_CERT, not_after=500.0),
        "expected system:node:": dataclasses.replace(_CERT, common_name="system:node:other"),
        "of system:nodes": dataclasses.replace(_CERT, organizations=("system:masters",)),
    }
    for text, cert in cases.items():
        answers = list(identity(_CONFIG, Facts(), _survey(cert), 1_000.0))
        assert _results(answers)["identity.certificate"] == "fail"
        assert text in _message(answers, "identity.certificate")


def test_open_secrets_and_admin_kubeconfigs_fail() -> None:
    """A key that others may read, and a kubelet with an administrator's kubeconfig, fail."""
    admin = Kubeconfig(
        "kubeconfig", "usable", certificate=dataclasses.replace(_CERT, organizations=("system:masters",))
    )
    facts = Facts(identity=IdentityFacts(kubelet=admin, secrets=(Place("/key", "file", 0o640),)))

    results = _results(identity(_CONFIG, facts, _survey(), 1_000.0))

    assert (results["identity.modes"], results["identity.kubeconfig"]) == ("fail", "fail")


def test_units_and_files_are_looked_at(scene: Scene) -> None:
    """A node as applied passes; a stopped, disabled unit and an edited file fail by their names."""
    assert _results(units_and_files(scene.site(), survey(scene.site()))) == {"applied": "fail"}
    run_apply(scene.site(), first())
    assert set(_results(units_and_files(scene.site(), survey(scene.site()))).values()) == {"pass"}

    scene.put(CONFIG, "edited\n")
    (scene.home / "active/kubelet.service").write_text("failed\n")
    (scene.home / "enabled/kubelet.service").unlink()
    results = _results(units_and_files(scene.site(), survey(scene.site())))

    assert {name for name, result in results.items() if result == "fail"} == {
        "files.applied", "unit.enabled:kubelet.service", "unit.running:kubelet.service",
    }  # fmt: skip

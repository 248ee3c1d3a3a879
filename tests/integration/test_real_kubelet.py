"""A real kubelet with containerd on a host of its own joins, serves, renews and survives a power cut.

The control plane listens on the hosts' bridge, the operator is the real process with the shipped rights, and the
node is a Debian under systemd (`hack.hosts`). Rules: the tests share one node and run in order; certificates hold
for minutes, so that the kubelet renews both by itself while we wait; nothing is approved by hand.
"""

import base64
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509

from hack.cluster import Cluster
from hack.cluster.binaries import find
from hack.hosts import Host, Hosts
from tests.integration import real_node
from tests.integration.lab import Document, Lab, Token
from tests.integration.operator_fixtures import finish, install, new_lab
from tests.integration.real_node import KUBELET_PORT, kubelet_answers, reached_by_api_server

pytestmark = [pytest.mark.integration, pytest.mark.hosts]

LIFETIME = "2m30s"
"""Of certificates; they begin five minutes ago, and a kubelet renews at 70 to 90 % of the whole: in 15 to 105 s."""

RENEWED_S = 150
JOINED_S = 60


@dataclass(frozen=True, slots=True)
class Real:
    """A lab with one real node.

    Attributes:
        lab: Its operator, and a control plane on the bridge.
        host: The node's host.
        token: What the node joins with.
    """

    lab: Lab
    host: Host
    token: Token

    def approved(self, reason: str) -> list[str]:
        """Return the requests that the operator approved for this reason, the newest last."""
        lines = [line for line in self.lab.audit() if line["verdict"] == "Approve" and line["reasons"] == [reason]]
        return list(dict.fromkeys(line["csr"] for line in lines))

    def ready(self) -> Document:
        """Return the Node's Ready condition, or an empty one."""
        node = self.lab.cluster.node(self.host.name) or {}
        return next((c for c in node.get("status", {}).get("conditions", ()) if c["type"] == "Ready"), {})

    def served(self) -> x509.Certificate:
        """Return the certificate that the kubelet serves with."""
        return x509.load_pem_x509_certificate(ssl.get_server_certificate((self.host.ip, KUBELET_PORT)).encode())

    def wait(self, check: Callable[[], bool], what: str, timeout: float = JOINED_S) -> None:
        """Wait until a check holds; if it does not, tell what the kubelet says too."""
        try:
            self.lab.wait(check, what, node=self.host.name, timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.host.journal('kubelet', 40)}") from None


@pytest.fixture(name="real", scope="module")
def _real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """Yield an enrolled node whose machine has just been switched on."""
    programs = find(programs=real_node.PROGRAMS).paths
    with Hosts() as hosts, Cluster(address=hosts.gateway, signing_duration=LIFETIME) as cluster:
        account = install(cluster)
        lab = new_lab(cluster, account, tmp_path_factory.mktemp("operator"))
        lab.operator.start()
        lab.operator.wait_ready()
        try:
            yield _switched_on(hosts.host("node-a", programs=programs), lab)
        finally:
            finish(lab, account)


def _switched_on(host: Host, lab: Lab) -> Real:
    token = lab.token()
    lab.enroll(host.name, addresses=[host.ip], bootstrap={"tokenID": token.token_id})
    real_node.install(host, lab.cluster, token.kubeconfig)
    host.boot()
    return Real(lab, host, token)


def issued(lab: Lab, csr: str) -> x509.Certificate:
    """Return the certificate of an issued request."""
    lab.approved(csr, issued=True)
    return x509.load_pem_x509_certificate(base64.b64decode(lab.csr(csr)["status"]["certificate"]))


def test_the_node_joins(real: Real) -> None:
    """The operator approves the kubelet's own first request, for the enrolled token, and the Node becomes Ready."""
    real.wait(lambda: real.ready().get("status") == "True", "a Ready Node")

    (csr,) = real.approved("BootstrapApproved")
    assert real.lab.csr(csr)["spec"]["username"] == f"system:bootstrap:{real.token.token_id}"
    real.wait(lambda: real.lab.status(real.host.name).get("phase") == "Joined", "phase Joined")
    (join,) = real.lab.status(real.host.name)["joins"]
    assert join["csrName"] == csr


def test_the_kubelet_serves_with_its_approved_certificate(real: Real) -> None:
    """Its certificate, with its name and address, is the approved one, and the API server verifies it too."""
    real.wait(lambda: kubelet_answers(real.host, real.lab.cluster), "a kubelet that serves")

    names = real.served().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [real.host.name]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [real.host.ip]
    assert real.served() in [issued(real.lab, csr) for csr in real.approved("ServingApproved")]
    assert reached_by_api_server(real.host, real.lab.cluster)


def test_an_address_that_is_not_enrolled_is_held(real: Real) -> None:
    """While the enrollment lacks the address the next serving request waits; it is approved once that is back."""
    bootstrap = {"tokenID": real.token.token_id}
    real.lab.enroll(real.host.name, addresses=[], bootstrap=bootstrap)
    before = {csr["metadata"]["name"] for csr in real.lab.cluster.csrs()}
    real_node.ask_for_serving_anew(real.host)

    def asked() -> list[str]:
        new = [csr for csr in real.lab.cluster.csrs() if csr["metadata"]["name"] not in before]
        return [csr["metadata"]["name"] for csr in new if csr["spec"]["signerName"] == "kubernetes.io/kubelet-serving"]

    real.wait(lambda: bool(asked()), "a new serving request")
    (csr,) = asked()
    real.lab.held(csr, "SubjectAltNameNotEnrolled")
    with pytest.raises(OSError, match=r"(?i)alert|refused"):
        kubelet_answers(real.host, real.lab.cluster)

    real.lab.enroll(real.host.name, addresses=[real.host.ip], bootstrap=bootstrap)
    assert real.lab.approved(csr)["reason"] == "ServingApproved"
    real.wait(lambda: real.served() == issued(real.lab, csr), "a kubelet that serves with it")
    assert kubelet_answers(real.host, real.lab.cluster)


def test_a_power_cut_needs_no_new_join(real: Real) -> None:
    """After a power cut the node comes back with the certificates it has, and joins no second time."""
    real.wait(lambda: real.ready().get("status") == "True", "a Ready Node")

    def boot() -> str:
        return str((real.lab.cluster.node(real.host.name) or {})["status"]["nodeInfo"]["bootID"])

    before = boot()
    real.host.power_cut()
    real.host.boot()

    real.wait(lambda: boot() != before, "the Node of another boot")
    real.wait(lambda: kubelet_answers(real.host, real.lab.cluster), "a kubelet that serves")
    real.wait(lambda: real.ready().get("status") == "True", "a Ready Node")
    assert len(real.approved("BootstrapApproved")) == 1


@pytest.mark.timeout(2 * RENEWED_S)
def test_the_kubelet_renews_both_certificates(real: Real) -> None:
    """Before they expire the kubelet asks anew for both, is approved, uses the new ones, and the Node stays Ready."""
    steady = real.ready()
    first = real.served()

    real.wait(lambda: bool(real.approved("RenewalApproved")), "a renewal of the client certificate", RENEWED_S)
    real.wait(lambda: real.served() != first, "a renewal of the serving certificate", RENEWED_S)

    assert real.served() in [issued(real.lab, csr) for csr in real.approved("ServingApproved")]
    renewed = [issued(real.lab, csr) for csr in real.approved("RenewalApproved")]
    pem = real.host.read("/var/lib/kubelet/pki/kubelet-client-current.pem").encode()
    assert x509.load_pem_x509_certificate(pem) in renewed
    assert real.ready()["status"] == "True"
    assert real.ready()["lastTransitionTime"] == steady["lastTransitionTime"]
    assert not [line for line in real.lab.audit() if line["verdict"] == "Deny"]

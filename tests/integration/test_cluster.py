"""The local control plane keeps its promises: it starts, it survives, and nothing outlives its caller.

The real programs come in; processes, certificates and nodes leave. Rules: what a test kills is its own control
plane, except where the session's one is only looked at.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import ApiRefused, Cluster, ClusterError, HollowNode, PartFailed
from hack.cluster.etcd_member import make_etcd
from hack.cluster.pki import make_pki
from hack.cluster.process import process_state, wait_until
from hack.cluster.requests import node_credentials
from hack.cluster.state import sweep

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"

HOLDER = """
import json, sys, time
from hack.cluster import Cluster
with Cluster() as cluster:
    token = cluster.bootstrap_token("hold00")
    cluster.hollow_node("held", cluster.bootstrap_kubeconfig(token))
    print(json.dumps([str(cluster.state_dir), [part.pid for part in cluster.parts]]), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def node(cluster: Cluster) -> Iterator[HollowNode]:
    """Yield a hollow node that asks for its certificate, and remove its traces."""
    token = cluster.bootstrap_token("nodea0")
    with cluster.hollow_node("cluster-test-a", cluster.bootstrap_kubeconfig(token)) as started:
        yield started
    cluster.kubectl("delete", "node", "cluster-test-a", "--ignore-not-found")
    cluster.kubectl("delete", "csr", "--all")
    cluster.kubectl("delete", "secret", "-n", "kube-system", "bootstrap-token-nodea0")


def first_request(cluster: Cluster, username: str) -> str:
    """Wait for the first request of a user and return its name."""

    def names() -> list[str]:
        return [item["metadata"]["name"] for item in cluster.csrs() if item["spec"]["username"] == username]

    wait_until(lambda: bool(names()), 30, lambda: f"no request of {username}")
    return names()[0]


def approve_and_join(cluster: Cluster, node: HollowNode) -> None:
    """Approve the node's bootstrap request by hand and wait until it is Ready."""
    name = first_request(cluster, "system:bootstrap:nodea0")
    cluster.kubectl("certificate", "approve", name)
    node.wait_joined()


def test_versions_are_the_pinned_ones(cluster: Cluster) -> None:
    """Server and kubectl call themselves by the version that go.mod pins."""
    versions = json.loads(cluster.kubectl("version", "-o", "json").stdout)

    assert versions["serverVersion"]["gitVersion"] == "v1.37.2"
    assert versions["clientVersion"]["gitVersion"] == "v1.37.2"


def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    """Every listening socket of the programs is bound to 127.0.0.1."""
    ports = {port for part in cluster.parts for port in part.ports}

    def addresses(table: str) -> list[str]:
        rows = [line.split() for line in Path(table).read_text(encoding="ascii").splitlines()[1:]]
        listening = [fields[1].split(":") for fields in rows if fields[3] == "0A"]
        return [address for address, port in listening if int(port, 16) in ports]

    assert addresses("/proc/net/tcp") == ["0100007F"] * len(ports)
    assert addresses("/proc/net/tcp6") == []


def test_keys_are_their_owners_only(cluster: Cluster) -> None:
    """No key and no kubeconfig can be read by others."""
    secrets = [*cluster.state_dir.rglob("*.key"), *cluster.state_dir.rglob("*.kubeconfig")]

    assert len(secrets) > 5
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


def test_hollow_node_joins_after_approval_by_hand(cluster: Cluster, node: HollowNode) -> None:
    """A hollow node has no certificate before the approval, and is Ready after it."""
    first_request(cluster, "system:bootstrap:nodea0")
    before = (node.client_certificate, cluster.node(node.name))

    approve_and_join(cluster, node)

    assert before == (None, None)
    assert node.client_certificate == node.cert_dir / "kubelet-client-current.pem"
    assert node_credentials(node).node_name == node.name
    assert "Ready" in cluster.kubectl("get", "nodes", "--no-headers", node.name).stdout.split()


def test_requests_come_from_the_node(cluster: Cluster, node: HollowNode) -> None:
    """A renewal and a serving request carry the node's user, and take both decisions."""
    approve_and_join(cluster, node)

    renewal = cluster.request_renewal(node.kubeconfig)
    serving = cluster.request_serving(node.kubeconfig, dns=[node.name], ips=["192.0.2.7"])
    cluster.kubectl("certificate", "approve", renewal)
    cluster.kubectl("certificate", "deny", serving)

    issued, denied = cluster.wait_csr(renewal, "Issued"), cluster.wait_csr(serving, "Denied")
    assert {item["spec"]["username"] for item in (issued, denied)} == {f"system:node:{node.name}"}
    assert issued["spec"]["usages"] == ["digital signature", "client auth"]
    with pytest.raises(ClusterError, match="expected Approved"):
        cluster.wait_csr(serving, "Approved")


def test_node_restriction_and_rbac_are_on(cluster: Cluster, node: HollowNode) -> None:
    """A node may not ask in another node's name, nor read Secrets."""
    approve_and_join(cluster, node)

    with pytest.raises(ApiRefused) as foreign:
        cluster.request_renewal(node.kubeconfig, node_name="cluster-test-b")
    with pytest.raises(ApiRefused) as secrets:
        cluster.api("GET", "/api/v1/namespaces/kube-system/secrets", credentials=node.kubeconfig)

    assert (foreign.value.status, secrets.value.status) == (403, 403)


def test_credentials_of_other_users(cluster: Cluster) -> None:
    """Users with certificates and service accounts are who they say."""
    user = cluster.user_kubeconfig("jane", ("readers",))
    account = cluster.service_account_kubeconfig("default", "default")

    def who(path: Path) -> tuple[str, list[str]]:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        info = cluster.api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, credentials=path)
        return info["status"]["userInfo"]["username"], info["status"]["userInfo"]["groups"]

    assert who(user) == ("jane", ["readers", "system:authenticated"])
    assert who(account)[0] == "system:serviceaccount:default:default"


def test_killed_apiserver_comes_back_with_its_data() -> None:
    """After kill -9 of the API server and a restart, the data is there and the controllers still work."""
    with Cluster() as own:
        own.api("POST", CONFIG_MAPS, {"metadata": {"name": "kept"}, "data": {"a": "b"}})
        before = own.apiserver.pid

        own.apiserver.kill()
        assert not own.apiserver.running
        with pytest.raises(OSError, match="refused"):
            own.api("GET", f"{CONFIG_MAPS}/kept")
        own.apiserver.restart()

        assert own.apiserver.pid != before
        assert own.api("GET", f"{CONFIG_MAPS}/kept")["data"] == {"a": "b"}
        own.kubectl("create", "namespace", "later")
        accounts = ("get", "serviceaccounts", "-n", "later", "-o", "name")
        wait_until(lambda: "default" in own.kubectl(*accounts).stdout, 30, lambda: "the controllers do nothing")
        assert own.controller_manager.running


def test_paused_etcd_stalls_and_goes_on() -> None:
    """While etcd is paused nothing is written; afterwards it is as before, and a paused part can be stopped."""
    with Cluster() as own:
        own.etcd[0].pause()
        assert process_state(own.etcd[0].pid) == "paused"
        with pytest.raises(ApiRefused):
            own.api("POST", f"{CONFIG_MAPS}?timeout=1s", {"metadata": {"name": "late"}})
        own.etcd[0].resume()
        own.apiserver.wait_ready()
        own.api("POST", CONFIG_MAPS, {"metadata": {"name": "after"}})
        own.etcd[0].pause()
    assert not own.etcd[0].running


def test_two_side_by_side_end_without_a_trace() -> None:
    """Two control planes know nothing of each other, and both leave neither process nor folder."""
    with Cluster() as one, Cluster() as two:
        one.api("POST", CONFIG_MAPS, {"metadata": {"name": "mine"}})
        with pytest.raises(ApiRefused) as missing:
            two.api("GET", f"{CONFIG_MAPS}/mine")
        assert missing.value.status == 404
        pids = [part.pid for cluster in (one, two) for part in cluster.parts]
        folders = [one.state_dir, two.state_dir]
        assert len(pids) == len(set(pids)) == 6

    assert {process_state(pid) for pid in pids} == {"ended"}
    assert not any(folder.exists() for folder in folders)


def test_three_member_etcd_with_tls_survives_a_member() -> None:
    """A cluster on three etcd members works with one of them killed, and refuses clients without certificate."""
    with Cluster(etcd_members=3) as own:
        files = own.etcd_client_files
        assert files is not None
        flags = [f"--cacert={files.ca}", f"--cert={files.certificate}", f"--key={files.key}"]
        listing = ["member", "list", "--write-out=json", f"--endpoints={','.join(own.etcd_endpoints)}"]
        done = subprocess.run([own.binaries["etcdctl"], *listing, *flags], capture_output=True, check=True)
        assert len(json.loads(done.stdout)["members"]) == 3
        bare = subprocess.run(
            [own.binaries["etcdctl"], *listing, "--command-timeout=2s", flags[0]], capture_output=True, check=False
        )
        assert bare.returncode != 0

        own.etcd[0].kill()
        # The killed member may have been the leader: writes fail until the others have chosen one.
        manifest = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two-of-three"}})
        apply = ("apply", "-f", "-")
        wait_until(lambda: not own.kubectl(*apply, input=manifest, check=False).returncode, 30, lambda: "no writes")
        own.etcd[0].restart()
        assert own.etcd[0].running


def test_nothing_outlives_a_killed_caller() -> None:
    """When the calling process is killed, every program ends, and the next start removes the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLDER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder, pids = json.loads(holder.stdout.readline())
        assert {process_state(pid) for pid in pids} == {"running"}
        assert len(pids) == 4

        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda: {process_state(pid) for pid in pids} == {"ended"}, 10, lambda: f"some of {pids} live on")

    sweep()
    assert not Path(folder).exists()


def test_a_taken_port_is_told_apart(cluster: Cluster, tmp_path: Path) -> None:
    """A program that finds its port taken fails with that reason, on which the start tries others."""
    etcd = make_etcd(
        cluster.binaries["etcd"], tmp_path, make_pki(tmp_path / "pki", "10.96.0.0/12"), members=1, tls=True
    ).members[0]
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", etcd.ports[0]))
        taker.listen()
        etcd.start()
        with pytest.raises(PartFailed) as failure:
            etcd.wait_ready()
    assert failure.value.address_taken


def test_bad_flag_fails_with_the_log() -> None:
    """A start that cannot succeed raises with the program's own words, and leaves nothing behind."""
    failing = Cluster(apiserver_flags=("--no-such-flag",))

    with pytest.raises(PartFailed, match="no-such-flag"):
        failing.start()

    assert not failing.state_dir.exists()
    assert failing.parts == []


def test_background_cluster_comes_and_goes(tmp_path: Path) -> None:
    """Up, status, kubeconfig and down work from a shell and may each be repeated."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hack.cluster", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    try:
        first, again = run("up"), run("up")
        assert first.returncode == again.returncode == 0, first.stderr + again.stderr
        assert first.stdout == again.stdout
        assert "up already" in again.stderr
        table = [line.split() for line in run("status").stdout.splitlines()]
        assert [row[0] for row in table[1:]] == ["supervisor", "etcd", "kube-apiserver", "kube-controller-manager"]
        assert {row[2] for row in table[1:]} == {"running"}
        assert first.stdout == f"export KUBECONFIG={run('kubeconfig').stdout}"
    finally:
        last, after = run("down"), run("down")
    assert last.returncode == after.returncode == 0, last.stderr + after.stderr
    assert "down already" in after.stderr
    assert run("status").returncode == 3
    assert {process_state(int(row[1])) for row in table[1:]} == {"ended"}

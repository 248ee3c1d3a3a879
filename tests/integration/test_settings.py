"""Starts that cannot work, and starts that must wait: what the process says and how it ends.

Rules: the real command is run with the flags and the environment that a person would give; what is wrong is said
in lines for people, all mistakes at once, and never as a traceback.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.kubeconfig import write_kubeconfig
from tests.integration.lab import Lab
from tests.integration.operator_fixtures import APPLY, BASE, Start

pytestmark = pytest.mark.integration

CRD = "nodeenrollments.nodegate.dev"


def run(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `nodegate operator`, which must end by itself."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("NODEGATE_", "KUBE"))}
    return subprocess.run(
        [sys.executable, "-m", "nodegate", "operator", *flags],
        capture_output=True, text=True, check=False, timeout=60, env={**clean, "HOME": os.devnull, **environment},
    )  # fmt: skip


@pytest.fixture(name="crd")
def _crd(cluster: Cluster, account: Path) -> Iterator[None]:
    """Take the CRD away, and give it back afterwards."""
    assert account.exists()
    cluster.kubectl("delete", "crd", CRD)
    yield
    install_crd(cluster)


def install_crd(cluster: Cluster) -> None:
    """Apply the base and wait until the kind is served."""
    cluster.kubectl(*APPLY, "-k", str(BASE))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{CRD}")


def test_every_mistake_is_listed_at_once(tmp_path: Path) -> None:
    """Wrong flags, variables and misspelt variables: exit 2, one line each, nothing started."""
    flags = ("--workers", "0", "--listen", "nowhere", "--never-deny", "perhaps", "--kubeconfig", str(tmp_path / "no"))
    done = run(*flags, NODEGATE_RELIST_SECONDS="1h", NODEGATE_BOOTSTRAP_GROOP="x")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    for source in (
        "--workers", "--listen", "--never-deny", "--kubeconfig", "NODEGATE_RELIST_SECONDS", "NODEGATE_BOOTSTRAP_GROOP",
    ):  # fmt: skip
        (line,) = [line for line in lines if source in line]
        assert "expected" in line
    assert "nothing was started" in lines[-1]
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "expected"),
        ("current-context: gone\nclusters: []\nusers: []\ncontexts: []\n", "gone"),
        ("kind: Config\n", "current-context"),
    ],
    ids=["no-yaml", "no-such-context", "no-context"],
)
def test_a_kubeconfig_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str, said: str) -> None:
    """Exit 2 with what is wrong in the file, and no traceback."""
    (tmp_path / "kubeconfig").write_text(content)
    done = run("--kubeconfig", str(tmp_path / "kubeconfig"), "--listen", "127.0.0.1:0")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_credentials_at_all_stop_the_start() -> None:
    """Without a kubeconfig or a pod's token: exit 2, and what to give."""
    done = run("--listen", "127.0.0.1:0")
    assert done.returncode == 2, done.stderr
    assert "--kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_stops_the_start(account: Path, start: Start) -> None:
    """A second operator on the same address: exit 2, and the address."""
    first = start()
    address = first.operator.url.removeprefix("http://")
    done = run("--kubeconfig", str(account), "--listen", address)
    assert done.returncode == 2, done.stderr
    assert address in done.stderr
    assert "Traceback" not in done.stderr


def waits(lab: Lab, said: str) -> list[str]:
    """Wait until the operator is alive, not ready and says why; return its warnings."""

    def tells() -> bool:
        status, text = lab.operator.get("/readyz")
        return status == 503 and said in text

    lab.wait(tells, f"/readyz to say {said!r}")
    assert lab.operator.get("/healthz")[0] == 200
    assert lab.said("ready:") == []
    return [line["msg"] for line in lab.said("", "warning")]


@pytest.mark.usefixtures("crd")
def test_a_missing_crd_is_waited_for(cluster: Cluster, start: Start) -> None:
    """The operator says in one line that the kind is not there, and is ready once somebody applies the CRD."""
    lab = start(ready=False)
    warnings = waits(lab, "nodeenrollments: 404")
    assert len(warnings) == 1
    assert "nodeenrollments" in warnings[0]
    install_crd(cluster)
    lab.operator.wait_ready(60)
    assert lab.join(lab.name()).name
    assert lab.said("", "error") == []


@pytest.mark.usefixtures("crd")
def test_a_crd_that_comes_back_is_followed_again(cluster: Cluster, start: Start) -> None:
    """Deleted while running: not ready and nothing decided; applied again: enrollments work as before."""
    install_crd(cluster)
    lab = start()
    lab.join(lab.name())
    cluster.kubectl("delete", "crd", CRD)

    def tells() -> bool:
        return lab.operator.get("/readyz")[0] == 503

    lab.wait(tells, "the operator to be not ready", timeout=60)
    node, token = lab.name(), lab.token()
    name = lab.ask(node, token)
    lab.wait(lambda: lab.audit(name) != [], "a verdict", csr=name)
    assert lab.last_verdict(name)["verdict"] == "Hold"
    install_crd(cluster)
    lab.enroll(node, settled=False, bootstrap={"tokenID": token.token_id})
    lab.approved(name, timeout=80)
    lab.wait(lab.operator.is_ready, "the operator to be ready")


def test_refused_credentials_are_waited_for(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    """A token that the API server does not know: one line for each collection, no flood, no traceback."""
    refused = write_kubeconfig(tmp_path / "refused", cluster.server, cluster.ca_file, "nobody-knows-this-token")
    lab = start(kubeconfig=refused, ready=False)
    warnings = waits(lab, "401 Unauthorized")
    collections = {
        "certificatesigningrequests",
        "nodeenrollments",
        "nodes",
        "services",
        "endpointslices",
        "servicecidrs",
    }
    lab.wait(lambda: lab.operator.metric("nodegate_relists_total", reason="error") > 2 * 7, "several tries")
    warnings = [line["msg"] for line in lab.said("", "warning")]
    assert {warning.split()[2].rstrip(":") for warning in warnings} == collections
    assert len(warnings) == len(collections) + 1, "the requests of two signers are followed apart"
    lab.operator.stop()
    assert lab.exit_status() == 0
    assert "nobody-knows-this-token" not in lab.operator.log_text()


def test_an_api_server_that_is_away_is_waited_for(cluster: Cluster, start: Start) -> None:
    """Started while the API server is down: says where it looked, once, and is ready when it comes."""
    cluster.apiserver.kill()
    try:
        lab = start(ready=False)
        warnings = waits(lab, f"expected an answer of {cluster.server}, found none")
        assert len(warnings) <= 7
    finally:
        cluster.apiserver.start()
        cluster.apiserver.wait_ready()
    lab.operator.wait_ready(60)


def test_sigterm_before_the_first_list_ends_cleanly(cluster: Cluster, start: Start) -> None:
    """Stopped while it waits for an API server that is away: exit 0."""
    cluster.apiserver.kill()
    try:
        lab = start(ready=False)
        waits(lab, "found none")
        lab.operator.stop()
        assert lab.exit_status() == 0
    finally:
        cluster.apiserver.start()
        cluster.apiserver.wait_ready()


def test_environment_variables_are_flags(start: Start) -> None:
    """NODEGATE_… variables set what flags set: another bootstrap group makes a member of the usual one a stranger."""
    lab = start(environment={"NODEGATE_BOOTSTRAP_GROUP": "example:joiners", "NODEGATE_WORKERS": "2"})
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    lab.denied(lab.ask(node, token), "RequesterMismatch")


def test_never_deny_holds_instead(start: Start) -> None:
    """With --never-deny a fault that cannot be mended is held, and the reason is the same."""
    lab = start("--never-deny")
    node, own, foreign = lab.name(), lab.token(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": own.token_id})
    lab.held(lab.ask(node, foreign), "TokenMismatch")
    lab.approved(lab.ask(node, own))


@pytest.mark.timeout(240)
def test_one_of_two_operators_acts_and_the_other_takes_over(start: Start) -> None:
    """With leader election the standby is ready and idle, and goes on when the leader is gone."""
    elect = ("--leader-elect", "--lease-namespace", "nodegate-system")
    first = start(*elect)
    second = start(*elect)
    assert second.operator.metric("nodegate_leader") == 0
    assert first.operator.metric("nodegate_leader") == 1
    first.join(first.name())
    assert second.audit() == []
    first.operator.stop()
    assert first.exit_status() == 0
    second.wait(lambda: second.operator.metric("nodegate_leader") == 1, "the standby to lead", timeout=30)
    second.join(second.name())

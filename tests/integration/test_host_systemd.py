"""nodegate-host on a real systemd: the scenarios of a node's life, with daemons that do as they are told.

The shipped zipapp runs in a systemd-nspawn machine; every assertion is on what systemd and the disk say. Preflight
is told to go on (``--ignore all``), since there is no cluster and no etcd to find.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hack.build_host_pyz import build
from hack.cluster.process import wait_until
from hack.hosts import Host, Hosts
from tests.integration import host_daemons
from tests.integration.host_daemons import CONFIG, FILES, UNITS, node_yaml, tool_command

# A busy machine takes seconds for each start of the tool, and a scenario has a dozen.
pytestmark = [pytest.mark.integration, pytest.mark.hosts, pytest.mark.timeout(400)]

OWN = ("flanneld.service", "kubelet.service", "kube-proxy.service")
APPLY = ("apply", "--yes", "--ignore", "all")


def _certificate() -> bytes:
    """Return a client certificate of node-a, for a day, with its key, as a kubelet keeps it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:node:node-a"),
        ]
    )
    now = datetime.now(UTC)  # noqa: TID251 - a certificate for the test host's own clock
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return cert.public_bytes(serialization.Encoding.PEM) + private


@pytest.fixture(name="hosts", scope="module")
def _hosts() -> Iterator[Hosts]:
    """Yield a bridge for the module."""
    with Hosts() as hosts:
        yield hosts


@pytest.fixture(name="pyz", scope="module")
def _pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the zipapp, built from the tree."""
    target = tmp_path_factory.mktemp("pyz") / "nodegate-host.pyz"
    build(target)
    return target


@pytest.fixture(name="number", scope="module")
def _number() -> list[int]:
    """Return a counter for the names of hosts."""
    return [0]


@pytest.fixture(name="host")
def _host(hosts: Hosts, pyz: Path, number: list[int]) -> Iterator[Host]:
    """Yield a new host with the tool, the daemons and a certificate, nothing applied yet."""
    number[0] += 1
    host = hosts.host(f"node-{number[0]}", data=()).boot()
    host.put(host_daemons.TOOL, pyz.read_bytes(), 0o755)
    for path, (content, mode) in FILES.items():
        host.put(path, content, mode)
    host.put("/etc/nodegate/ca.crt", _certificate().split(b"-----BEGIN EC")[0])
    host.put("/var/lib/kubelet/pki/kubelet-client-current.pem", _certificate(), 0o600)
    host.put(CONFIG, node_yaml(host.ip), 0o600)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--now", "containerd.service")
    yield host
    host.power_cut()


def _tool(host: Host, *words: str, expect: int = 0) -> str:
    """Run the tool and return all that it said; its exit code must be `expect`."""
    done = host.run(*tool_command(*words), check=False, timeout=120)
    assert done.returncode == expect, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def _json(host: Host, *words: str, expect: int = 0) -> dict[str, Any]:
    done = host.run(*tool_command("-o", "json", *words), check=False, timeout=120)
    assert done.returncode == expect, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _show(host: Host, unit: str, name: str) -> str:
    return host.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()


def _pids(host: Host) -> dict[str, str]:
    return {unit: _show(host, unit, "MainPID") for unit in UNITS}


def _generation(host: Host) -> int:
    return int(_json(host, "status")["summary"]["generation"])


def test_a_fresh_host_becomes_a_node_and_stays_one(host: Host) -> None:
    """Apply starts and enables all, verify agrees, a second apply changes nothing and keeps every process."""
    _tool(host, *APPLY)

    assert {unit: _show(host, unit, "ActiveState") for unit in UNITS} == dict.fromkeys(UNITS, "active")
    assert {_show(host, unit, "UnitFileState") for unit in OWN} == {"enabled"}
    verified = _json(host, "verify")
    assert [each for each in verified["items"] if each["result"] == "fail"] == []
    pids = _pids(host)

    assert "nothing to do" in _tool(host, *APPLY)

    assert _pids(host) == pids
    assert _generation(host) == 1

    host.reboot()

    _tool(host, "verify", "--timeout", "30s")


def test_each_edit_restarts_what_it_concerns(host: Host) -> None:
    """Another proxy mode restarts kube-proxy alone; flanneld restarted by hand keeps runtime and kubelet running."""
    _tool(host, *APPLY)
    before = _pids(host)
    host.put(CONFIG, node_yaml(host.ip, mode="nftables"), 0o600)

    plan = _json(host, "plan", "--no-preflight")
    _tool(host, *APPLY)

    assert plan["summary"]["restarts"] == ["kube-proxy.service"]
    after = _pids(host)
    assert {unit for unit in UNITS if before[unit] != after[unit]} == {"kube-proxy.service"}

    host.run("systemctl", "restart", "flanneld.service")

    assert {unit for unit in UNITS if _pids(host)[unit] != after[unit]} == {"flanneld.service"}


def test_a_kubelet_that_crashes_is_taken_back(host: Host) -> None:
    """A configuration with which the kubelet ends at once is exit 4; the old one is back and runs."""
    _tool(host, *APPLY)
    old = host.read("/etc/kubernetes/kubelet-config.yaml")
    host.put(CONFIG, node_yaml(host.ip, pods=7), 0o600)

    said = _tool(host, *APPLY, "--wait", "20s", expect=4)

    assert "everything is as before" in said
    assert "kubelet.service" in said
    assert host.read("/etc/kubernetes/kubelet-config.yaml") == old
    assert _show(host, "kubelet.service", "ActiveState") == "active"
    assert _generation(host) == 1
    host.put(CONFIG, node_yaml(host.ip), 0o600)
    _tool(host, "verify", "--timeout", "20s")


def test_a_trial_ends_by_itself_or_is_confirmed(host: Host) -> None:
    """Without confirm the timer takes it back, and looking at the plan is no confirm; with confirm it stays."""
    _tool(host, *APPLY)
    host.put(CONFIG, node_yaml(host.ip, pods=50), 0o600)
    assert "on trial" in _tool(host, *APPLY, "--try", "6s")

    wait_until(
        lambda: "maxPods: 110" in host.read("/etc/kubernetes/kubelet-config.yaml") and _trial(host) is None,
        90,
        lambda: host.journal("nodegate-host-try-2-deciding.service"),
    )
    assert "rollback" in _json(host, "status")["summary"]["purpose"]

    _tool(host, *APPLY, "--try", "1h")
    _tool(host, "apply", "--dry-run")
    _tool(host, *APPLY, expect=9)
    assert _trial(host) is not None
    _tool(host, "confirm")
    assert _trial(host) is None
    assert "maxPods: 50" in host.read("/etc/kubernetes/kubelet-config.yaml")
    timers = host.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "nodegate-host-try-*.timer").stdout
    assert timers == ""


def _trial(host: Host) -> Any:
    return _json(host, "status")["summary"]["onTrialUntil"]


def test_two_at_once_are_one_too_many(host: Host) -> None:
    """While one apply runs another ends with 7 and names the holder; after Ctrl-C the first leaves all as it was."""
    host.put("/usr/local/bin/flanneld", "#!/bin/sh\nexec sleep infinity\n", 0o755)
    words = shlex.join(tool_command(*APPLY, "--wait", "5m"))
    host.run("systemd-run", "--quiet", "--unit=first-apply", "/bin/sh", "-c", f"exec {words}")
    wait_until(
        lambda: _show(host, "flanneld.service", "ActiveState") == "activating", 30, lambda: host.journal("first-apply")
    )

    assert "(apply)" in _tool(host, *APPLY, expect=7)

    host.run("systemctl", "kill", "--signal=INT", "first-apply.service")
    wait_until(
        lambda: _show(host, "first-apply.service", "ActiveState") in {"inactive", "failed"},
        60,
        lambda: host.journal("first-apply"),
    )
    assert _show(host, "first-apply.service", "ExecMainStatus") == "130"
    assert _show(host, "flanneld.service", "LoadState") == "not-found"
    assert _show(host, "containerd.service", "ActiveState") == "active"


def test_kill_9_in_the_middle_is_undone_by_the_next_run(host: Host) -> None:
    """An apply that is killed while a unit starts leaves a journal; the next apply undoes it and ends well."""
    _tool(host, *APPLY)
    files = host.read("/etc/kubernetes/kubelet-config.yaml")
    good = host.read("/usr/local/bin/flanneld")
    host.put("/usr/local/bin/flanneld", "#!/bin/sh\nexec sleep infinity\n", 0o755)
    host.put(CONFIG, node_yaml(host.ip, pods=50), 0o600)
    words = shlex.join(tool_command(*APPLY, "--wait", "5m"))
    host.run("systemd-run", "--quiet", "--unit=first-apply", "/bin/sh", "-c", f"exec {words}")
    wait_until(
        lambda: _show(host, "flanneld.service", "ActiveState") == "activating", 30, lambda: host.journal("first-apply")
    )
    host.run("systemctl", "kill", "--signal=KILL", "first-apply.service")
    assert host.read("/etc/kubernetes/kubelet-config.yaml") != files
    assert _json(host, "status")["summary"]["interrupted"] == "apply"

    host.put("/usr/local/bin/flanneld", good, 0o755)
    said = _tool(host, *APPLY)

    assert "was undone" in said
    assert "maxPods: 50" in host.read("/etc/kubernetes/kubelet-config.yaml")
    _tool(host, "verify", "--timeout", "20s")


def test_rollback_and_reset_leave_a_clean_host(host: Host) -> None:
    """Rollback goes back with the units; reset removes what is ours, twice without harm, and keeps the identity."""
    _tool(host, *APPLY)
    host.put(CONFIG, node_yaml(host.ip, pods=50), 0o600)
    _tool(host, *APPLY)
    _tool(host, "rollback")
    assert "maxPods: 110" in host.read("/etc/kubernetes/kubelet-config.yaml")
    assert _show(host, "kubelet.service", "ActiveState") == "active"
    host.put("/etc/sysctl.d/99-theirs.conf", "# theirs\n")

    _tool(host, "reset", "--yes")
    _tool(host, "reset", "--yes")

    assert {_show(host, unit, "LoadState") for unit in OWN} == {"not-found"}
    assert _show(host, "containerd.service", "ActiveState") == "active"
    assert host.run("find", "/etc/systemd/system", "-xtype", "l", "-not", "-lname", "/dev/null").stdout == ""
    assert host.read("/etc/sysctl.d/99-theirs.conf") == "# theirs\n"
    assert "BEGIN CERTIFICATE" in host.read("/var/lib/kubelet/pki/kubelet-client-current.pem")
    _tool(host, *APPLY)


def test_a_reset_cleans_up_after_half_an_apply(host: Host) -> None:
    """A first apply that was killed while a unit started leaves nothing that reset does not find."""
    host.put("/usr/local/bin/flanneld", "#!/bin/sh\nexec sleep infinity\n", 0o755)
    words = shlex.join(tool_command(*APPLY, "--wait", "5m"))
    host.run("systemd-run", "--quiet", "--unit=first-apply", "/bin/sh", "-c", f"exec {words}")
    wait_until(
        lambda: _show(host, "flanneld.service", "ActiveState") == "activating", 30, lambda: host.journal("first-apply")
    )
    host.run("systemctl", "kill", "--signal=KILL", "first-apply.service")

    assert "was undone" in _tool(host, "reset", "--yes")

    assert {_show(host, unit, "LoadState") for unit in OWN} == {"not-found"}
    assert host.run("find", "/etc/kubernetes", "-type", "f", check=False).stdout == ""


def test_an_unapproved_node_is_waiting_and_may_join_again(host: Host) -> None:
    """Without a client certificate apply ends with 8, whatever kubeconfig there is; rejoin moves an old one aside."""
    pem = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    certificate = host.read(pem)
    host.run("rm", pem)
    host.put("/etc/kubernetes/kubelet.kubeconfig", FILES["/etc/nodegate/kube-proxy.kubeconfig"][0], 0o600)

    said = _tool(host, *APPLY, "--wait", "0", expect=8)

    assert "waits for approval" in said
    assert _show(host, "kubelet.service", "ActiveState") == "active"
    host.put(pem, certificate, 0o600)
    _tool(host, *APPLY)
    host.put(
        "/etc/nodegate/new.kubeconfig", FILES["/etc/nodegate/kube-proxy.kubeconfig"][0].replace("made-up", "new"), 0o600
    )
    # Nobody answers for an API server here, so following the join ends with 6.
    _tool(host, "rejoin", "--yes", "--wait", "0", "--bootstrap-kubeconfig", "/etc/nodegate/new.kubeconfig", expect=6)
    assert host.run("test", "-e", pem, check=False).returncode == 1
    assert "token: new" in host.read("/etc/kubernetes/bootstrap.kubeconfig")
    assert _show(host, "kubelet.service", "ActiveState") == "active"
    assert (
        "BEGIN CERTIFICATE" in host.run("sh", "-c", "cat /var/lib/nodegate/aside/*/kubelet-client-current.pem").stdout
    )


def test_a_hand_edited_unit_is_drift_and_is_put_back(host: Host) -> None:
    """An edit that systemd has not read is seen as both, put back, and the unit runs with what is on disk."""
    _tool(host, *APPLY)
    good = host.read("/etc/systemd/system/kubelet.service")
    host.put("/etc/systemd/system/kubelet.service", good.replace("RestartSec=10", "RestartSec=99"))

    plan = _json(host, "plan", "--no-preflight")
    assert plan["summary"]["files"]["drifted"] == 1
    assert plan["summary"]["restarts"] == ["kubelet.service"]
    _tool(host, *APPLY)

    assert host.read("/etc/systemd/system/kubelet.service") == good
    assert _show(host, "kubelet.service", "NeedDaemonReload") == "no"
    assert _show(host, "kubelet.service", "RestartUSec") == "10s"


def test_a_masked_unit_is_refused(host: Host) -> None:
    """A masked kubelet is exit 9 with the way out, and nothing is written."""
    host.run("systemctl", "mask", "kubelet.service")

    said = _tool(host, *APPLY, expect=9)

    assert "unmask" in said
    assert host.run("test", "-e", "/etc/kubernetes/kubelet-config.yaml", check=False).returncode == 1


def test_units_start_and_stop_in_order(host: Host) -> None:
    """Stop takes ours down and leaves the runtime; start brings them back; restart gives each a new process."""
    _tool(host, *APPLY)
    _tool(host, "stop")
    assert {_show(host, unit, "ActiveState") for unit in OWN} == {"inactive"}
    assert _show(host, "containerd.service", "ActiveState") == "active"

    _tool(host, "start")
    before = _pids(host)
    _tool(host, "restart", "--unit", "kubelet")

    assert {unit for unit in UNITS if before[unit] != _pids(host)[unit]} == {"kubelet.service"}

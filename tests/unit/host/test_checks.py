"""Every preflight check finds its fault on a host that has only that, and passes on a healthy one."""

from dataclasses import replace
from typing import Any

import pytest

from nodegate_host import envfile
from nodegate_host.checks.engine import Selection, evaluate, run_checks
from nodegate_host.checks.model import ERROR, FAIL, PASS, SKIPPED, WARNING, Finding
from nodegate_host.checks.table import BY_ID, CHECKS
from nodegate_host.facts.model import (
    CgroupSetting,
    EnvironmentFile,
    Facts,
    HostFacts,
    Interface,
    Mount,
    NodeObject,
    Route,
)
from nodegate_host.model import (
    CgroupDriver,
    KubeProxy,
    NodeConfig,
    ProxyMode,
    RuntimeKind,
    Swap,
    Version,
)
from tests.unit.host import faults_cluster, faults_machine
from tests.unit.host import healthy as h

_V1 = Version(1, 34, 0)
_CGROUP_FILE = "/etc/containerd/config.toml"
_ETH1 = Interface("eth1", ("47.96.40.139/24",))
_STRANGER = NodeObject("u-2", ready=True, machine_id="other", addresses=("10.0.0.99",))


def _kubelet(**changes: Any) -> NodeConfig:
    return h.config("kubelet", config=changes)


def _proxy(**changes: Any) -> NodeConfig:
    return h.config("kube_proxy", **changes)


FAULTS = [*faults_machine.FAULTS, *faults_cluster.FAULTS]

_RIGHT: list[tuple[str, Facts, NodeConfig]] = [
    ("host.swap", h.host(swaps=("/dev/sda2",)), h.config("host", swap=Swap.ALLOW)),
    ("host.swap", h.host(swaps=("/dev/sda2",)), _kubelet(failSwapOn=False)),
    ("host.cgroup", h.host(cgroup=1), _kubelet(failCgroupV1=False)),
    ("host.sysctl", h.host(sysctls=h.sysctl("net.ipv4.ip_forward", "1", "0", "/etc/sysctl.d/10-a.conf")), h.CONFIG),
    (
        "ip.multi",
        h.network(interfaces=(*(h.HEALTHY.network.interfaces or ()), _ETH1)),
        h.config("flannel", iface="eth0"),
    ),
    ("net.overlap", h.network(routes=(Route("10.244.0.0/16", "flannel.1"),)), h.CONFIG),
    ("net.forward", h.network(forward_policy="DROP", forward_rules=("-A FORWARD -j FLANNEL-FWD",)), h.CONFIG),
    ("name.conflict", h.api(node=replace(_STRANGER, ready=False)), h.CONFIG),
    ("bin.conntrack", h.program("conntrack", exists=False), h.CONFIG),
    ("net.iptables", h.network(iptables="missing"), _proxy(mode=ProxyMode.NFTABLES)),
    ("bin.flags", h.HEALTHY, h.config("kubelet", extra_args=("--vmodule=x=1",))),
    ("rt.cgroup", h.runtime(cgroups=(CgroupSetting("systemd", "x", 1, "runc"),)), h.CONFIG),
    (
        "bin.conntrack",
        h.host(mounts=(Mount("/proc/sys", "proc", ("ro",)),)),
        h.config(kube_proxy=KubeProxy(enabled=False)),
    ),
]


def _found(facts: Facts, config: NodeConfig, identifier: str) -> list[Finding]:
    return run_checks(facts, config, Selection(only=(identifier,)))


def test_there_are_57_numbers_each_with_a_long_text() -> None:
    """The numbers are those of the design; every id explains itself."""
    assert {each.number for each in CHECKS} == set(range(1, 58))
    assert len(BY_ID) == len(CHECKS) == 60
    assert all(each.doc and each.remedy and each.title for each in CHECKS)


def test_every_check_passes_on_a_healthy_host() -> None:
    """Nothing is found, and nothing is skipped for want of facts but docker's, which is not there."""
    results = evaluate(h.HEALTHY, h.CONFIG)

    assert [(each.check.id, each.status, each.findings, each.reason) for each in results if each.status != PASS] == []


@pytest.mark.parametrize(("identifier", "facts", "config", "severity", "part"), FAULTS)
def test_a_check_finds_its_fault(identifier: str, facts: Facts, config: NodeConfig, severity: str, part: str) -> None:
    """The finding carries the id, the severity, what was found, and a remedy."""
    found = [each for each in _found(facts, config, identifier) if part in each.message]

    assert [(each.id, each.severity) for each in found] == [(identifier, severity)]
    assert found[0].remedy


@pytest.mark.parametrize(("identifier", "facts", "config"), _RIGHT)
def test_a_check_leaves_the_right_alone(identifier: str, facts: Facts, config: NodeConfig) -> None:
    """What only looks like the fault is not found."""
    assert _found(facts, config, identifier) == []


def test_every_check_has_a_fault() -> None:
    """No check is without proof that it can fail."""
    assert {each for each, *_ in FAULTS} == set(BY_ID)


def test_evidence_names_file_and_line() -> None:
    """Where a file is to blame, its name and line are there to click on."""
    found = _found(h.runtime(cgroups=(CgroupSetting("cgroupfs", _CGROUP_FILE, 12, "runc"),)), h.CONFIG, "rt.cgroup")

    assert str(found[0].evidence[0]) == f"{_CGROUP_FILE}:12"


_REMEDIES = [
    (
        "net.firewall",
        h.network(firewall="ufw"),
        h.CONFIG,
        "ufw allow 10250/tcp && ufw allow 8472/udp && ufw allow 30000:32767/tcp",
    ),
    (
        "net.firewall",
        h.network(firewall="firewalld", open_ports=("10250/tcp", "30000-32767/tcp")),
        h.CONFIG,
        "firewall-cmd --permanent --add-port=8472/udp && firewall-cmd --reload",
    ),
    (
        "rt.cgroup",
        h.HEALTHY,
        h.config("runtime", cgroup_driver=CgroupDriver.CGROUPFS),
        f"SystemdCgroup = false in {_CGROUP_FILE}, or runtime.manage: true",
    ),
    (
        "rt.cgroup",
        h.runtime(cgroups=(CgroupSetting("cgroupfs", "/d.json", 0, "docker"),)),
        h.config("runtime", kind=RuntimeKind.CRI_DOCKERD),
        '"exec-opts": ["native.cgroupdriver=systemd"] in /d.json',
    ),
    ("cfg.units", h.units(x=h.unit("x.service", load_state="masked")), h.CONFIG, "systemctl unmask x.service"),
    ("cfg.units", h.units(x=h.unit("x.service", load_state="error")), h.CONFIG, "systemd-analyze verify x.service"),
    ("host.modules", h.host(modules={**h.HEALTHY.host.modules, "vxlan": "available"}), h.CONFIG, "modprobe vxlan"),
    ("ip.multi", h.network(interfaces=(*(h.HEALTHY.network.interfaces or ()), _ETH1)), h.CONFIG, "flannel.iface: eth0"),
]


@pytest.mark.parametrize(("identifier", "facts", "config", "remedy"), _REMEDIES)
def test_a_remedy_fits_this_host(identifier: str, facts: Facts, config: NodeConfig, remedy: str) -> None:
    """Commands name this host's firewall, files, units and interfaces."""
    assert [each.remedy for each in _found(facts, config, identifier)] == [remedy]


def test_what_switches_the_cri_off_is_named_with_its_line() -> None:
    """The line of disabled_plugins where it is known, else the runtime's file."""
    off = _found(h.runtime(cri=False, cri_disabled=f"{_CGROUP_FILE}:3"), h.CONFIG, "rt.socket")[0]
    other = _found(h.runtime(cri=False), h.CONFIG, "rt.socket")[0]

    assert (str(off.evidence[0]), str(other.evidence[0])) == (f"{_CGROUP_FILE}:3", _CGROUP_FILE)


def test_a_flag_is_not_refused_before_its_removal() -> None:
    """--pod-infra-container-image lives until 1.35."""
    facts = h.program("kubelet", flags=frozenset())
    kubelet = h.config("kubelet", extra_args=("--pod-infra-container-image=x",))

    assert _found(facts, replace(kubelet, kubernetes=h.config("kubernetes", version=_V1).kubernetes), "bin.flags") == []
    assert _found(facts, kubelet, "bin.flags") != []


def test_windows_line_ends_are_no_finding() -> None:
    """They do no harm with them outside of quotes."""
    files = (EnvironmentFile("/etc/kubernetes/kubelet", envfile.lint("A=1\r\nB=2\r\n")),)

    assert _found(replace(h.HEALTHY, environment_files=files), h.CONFIG, "cfg.env") == []


def test_without_facts_checks_are_skipped_and_never_pass_by_accident() -> None:
    """A root directory without a running host gives no errors about what could not be asked."""
    bare = Facts(host=HostFacts())
    states = {each.check.id: each.status for each in evaluate(bare, h.CONFIG)}

    for identifier in (
        "host.root",
        "host.systemd",
        "host.kernel",
        "host.swap",
        "ip.local",
        "rt.socket",
        "api.tcp",
        "etcd.conn",
    ):
        assert states[identifier] == SKIPPED


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        (Selection(only=("host.swap",)), {"host.swap"}),
        (Selection(only=("etcd",)), {"etcd.conn", "etcd.config", "etcd.lease"}),
        (Selection(only=("etcd.",), skip=("etcd.lease",)), {"etcd.conn", "etcd.config"}),
        (
            Selection(phases=("runtime",)),
            {"rt.socket", "rt.version", "rt.cgroup", "rt.sandbox", "rt.dockerflags", "rt.cni"},
        ),
    ],
)
def test_a_selection_takes_ids_groups_and_phases(selection: Selection, ids: set[str]) -> None:
    """--only, --skip and --phase choose together."""
    assert {each.check.id for each in evaluate(h.HEALTHY, h.CONFIG, selection)} == ids


def test_ignored_errors_become_warnings() -> None:
    """--ignore keeps the finding and takes its weight; 'all' ignores everything."""
    facts = h.host(swaps=("/dev/sda2",), euid=1)

    assert {each.severity for each in run_checks(facts, h.CONFIG, Selection(ignore=("all",)))} == {WARNING}
    assert [
        each.id for each in run_checks(facts, h.CONFIG, Selection(ignore=("host.root",))) if each.severity == ERROR
    ] == ["host.swap"]


def test_knows_ids_that_name_no_check() -> None:
    """A misspelt id is told, not taken as 'nothing to do'."""
    assert Selection(only=("host.swop", "host"), skip=("etcd.conn",), ignore=("all", "nope")).unknown() == (
        "host.swop",
        "nope",
    )


def test_what_was_found_before_facts_ran_out_counts() -> None:
    """A missing CA is told although the API server was not asked."""
    facts = replace(h.identity(ca_problem="no certificate in ca.crt"), api=None)

    assert [each.status for each in evaluate(facts, h.CONFIG, Selection(only=("api.tls",)))] == [FAIL]

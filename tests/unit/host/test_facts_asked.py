"""What programs of a host answer: stand-ins on PATH print what the real ones print, and only questions are asked."""

import json
from pathlib import Path

import pytest

from nodegate_host.facts import network, system, units
from nodegate_host.facts.host import Host

_ADDRESSES = [
    {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
    {
        "ifname": "eth0",
        "address": "02:00:00:00:00:01",
        "addr_info": [{"local": "10.0.0.3", "prefixlen": 24}, {"local": "fd00::3", "prefixlen": 64}],
    },
    {"ifname": "flannel.1", "address": "c2:25:29:32:b6:68", "linkinfo": {"info_kind": "vxlan"}, "addr_info": [{}]},
]
_ROUTES = [
    {"dst": "default", "gateway": "10.0.0.254", "dev": "eth0"},
    {"dst": "10.244.31.0/24", "dev": "cni0"},
    {"dst": "10.9.9.9", "dev": "eth0"},
]
_SHOW = """\
Id=kubelet.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
FragmentPath=/etc/systemd/system/kubelet.service
DropInPaths=
MainPID=77
NeedDaemonReload=no

Id=docker.service
LoadState=masked
ActiveState=inactive
UnitFileState=masked
FragmentPath=/etc/systemd/system/docker.service
DropInPaths=
MainPID=0
"""


class _Programs:
    """Stand-ins on PATH; each answers by its arguments and writes down that it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"

    def add(self, name: str, **answers: str) -> None:
        """Answer a question that has the key (underscores are blanks) in its arguments with the value."""
        lines = ["#!/bin/sh", f'echo "{name} $*" >>"{self.asked}"', 'case "$*" in']
        for number, (key, answer) in enumerate(answers.items()):
            text = self.folder / f"{name}.{number}"
            text.write_text(answer)
            lines.append(f'*"{key.replace("_", " ")}"*) while IFS= read -r line; do echo "$line"; done <"{text}";;')
        lines += ["*) exit 3;;", "esac"]
        (self.folder / name).write_text("\n".join(lines) + "\n")
        (self.folder / name).chmod(0o755)

    def words(self) -> list[str]:
        """Return what was asked."""
        return self.asked.read_text().splitlines() if self.asked.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Programs:
    """Give a PATH on which nothing is but stand-ins."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return _Programs(folder)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Give an empty host whose programs may be asked."""
    (tmp_path / "root").mkdir()
    return Host(tmp_path / "root", live=True)


def _write(host: Host, path: str, text: str) -> None:
    place = host.root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_reads_addresses_and_routes(host: Host, programs: _Programs) -> None:
    """Interfaces with their kind and MAC, routes with the default and single hosts as CIDRs."""
    programs.add("ip", address_show=json.dumps(_ADDRESSES) + "\n", route_show=json.dumps(_ROUTES) + "\n")

    found = network.gather(host)

    assert [(each.name, each.addresses, each.kind) for each in found.interfaces or ()] == [
        ("lo", ("127.0.0.1/8",), ""),
        ("eth0", ("10.0.0.3/24", "fd00::3/64"), ""),
        ("flannel.1", (), "vxlan"),
    ]
    routes = [(each.destination, each.device, each.gateway) for each in found.routes or ()]
    assert routes[:3] == [
        ("0.0.0.0/0", "eth0", "10.0.0.254"),
        ("10.244.31.0/24", "cni0", ""),
        ("10.9.9.9/32", "eth0", ""),
    ]


def test_reads_iptables_and_its_forward_policy(host: Host, programs: _Programs) -> None:
    """The backend from its version, rules counted, the policy and the rules of FORWARD."""
    programs.add(
        "iptables", version="iptables v1.8.9 (nf_tables)\n", FORWARD="-P FORWARD DROP\n-A FORWARD -j FLANNEL-FWD\n"
    )
    (programs.folder / "iptables-nft-save").write_text("#!/bin/sh\necho '*filter'\necho '-A FORWARD -j X'\n")
    (programs.folder / "iptables-nft-save").chmod(0o755)

    found = network.gather(host)

    assert (found.iptables, found.legacy_rules, found.nft_rules) == ("nf_tables", 0, 1)
    assert (found.forward_policy, found.forward_rules) == ("DROP", ("-A FORWARD -j FLANNEL-FWD",))


def test_legacy_iptables_is_not_asked_while_its_module_is_not_loaded(host: Host, programs: _Programs) -> None:
    """Asking would load the module, which would change the host."""
    programs.add("iptables", version="iptables v1.6.0\n", FORWARD="-P FORWARD DROP\n")
    programs.add("iptables-legacy-save")

    found = network.gather(host)

    assert (found.iptables, found.forward_policy) == ("legacy", None)
    assert not any("FORWARD" in each or "legacy-save" in each for each in programs.words())


def test_without_programs_nothing_is_known(host: Host, programs: _Programs) -> None:
    """A bare host has no iptables, and its addresses are not known rather than none."""
    found = network.gather(host)

    assert (found.interfaces, found.routes, found.iptables, found.nft) == (None, None, "missing", None)
    assert programs.words() == []


def test_reads_the_firewall(host: Host, programs: _Programs) -> None:
    """The ports of firewalld when it is active, those of ufw when it is enabled."""
    _write(host, "/etc/ufw/ufw.conf", "ENABLED=yes\n")
    _write(host, "/etc/ufw/user.rules", "### tuple ### allow tcp 10250 0.0.0.0/0 any 0.0.0.0/0 in\n")
    found = network.gather(host)
    assert (found.firewall, found.open_ports) == ("ufw", ("10250/tcp",))

    programs.add("systemctl", firewalld="active\n", NetworkManager="inactive\n")
    (programs.folder / "firewall-cmd").write_text("#!/bin/sh\necho '10250/tcp 8472/udp'\n")
    (programs.folder / "firewall-cmd").chmod(0o755)
    found = network.gather(host)

    assert (found.firewall, found.open_ports) == ("firewalld", ("10250/tcp", "8472/udp"))
    assert found.managers == {"NetworkManager": False, "systemd-networkd": False, "nm-cloud-setup": False}


def test_asks_systemd_for_all_units_at_once(host: Host, programs: _Programs) -> None:
    """One question, and its answers go to the units by name."""
    programs.add("systemctl", show=_SHOW)
    _write(host, "/etc/systemd/system/kubelet.service", "[Service]\nExecStart=/bin/kubelet --v=2\n")

    found = units.gather(host, ["kubelet.service", "docker.service", "flanneld.service"])

    assert (found["kubelet.service"].main_pid, found["kubelet.service"].active_state) == (77, "active")
    assert found["docker.service"].load_state == "masked"
    assert found["flanneld.service"].load_state == "not-found"
    assert len(programs.words()) == 1


def test_reads_clock_and_systemd_version(host: Host, programs: _Programs) -> None:
    """The version of systemd and whether it says that the clock is synchronised."""
    programs.add("systemctl", version="systemd 252 (252.39-1~deb12u1)\n")
    programs.add("timedatectl", show="no\n")

    found = system.gather(host)

    assert (found.systemd, found.ntp_synchronized) == (252, False)


def test_only_questions_are_asked(host: Host, programs: _Programs) -> None:
    """No program is run with a word that changes something."""
    for name in ("ip", "systemctl", "iptables", "nft", "timedatectl", "firewall-cmd", "iptables-nft-save"):
        programs.add(name, version="iptables v1.8.9 (nf_tables)\n")

    network.gather(host)
    system.gather(host)
    units.gather(host)

    forbidden = {
        "start",
        "stop",
        "restart",
        "enable",
        "disable",
        "add",
        "del",
        "set",
        "-A",
        "-D",
        "-F",
        "flush",
        "load",
    }
    assert programs.words()
    assert not any(forbidden & set(each.split()) for each in programs.words())

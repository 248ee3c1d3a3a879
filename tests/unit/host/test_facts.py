"""Gathering: files under a root directory become facts; what is not there is not known, never false."""

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509 as reference
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodegate_host.facts import identity, network, programs, system, units, x509
from nodegate_host.facts.commands import flag
from nodegate_host.facts.gather import gather
from nodegate_host.facts.host import Host
from nodegate_host.model import CniPlugin
from nodegate_host.unitfile import Source
from tests.unit.host import healthy

_FROM = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Give an empty host."""
    return Host(tmp_path)


def _write(host: Host, path: str, content: str | bytes, mode: int = 0o644) -> None:
    place = host.root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    place.chmod(mode)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(key: ec.EllipticCurvePrivateKey, *, until: datetime = _FROM + timedelta(days=36500)) -> bytes:
    name = reference.Name(
        [
            reference.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            reference.NameAttribute(NameOID.COMMON_NAME, "system:node:node-a"),
        ]
    )
    public = key.public_key()
    builder = (
        reference.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(7)
        .not_valid_before(_FROM)
        .not_valid_after(until)
        .add_extension(reference.SubjectAlternativeName([reference.DNSName("node-a")]), critical=False)
        .add_extension(reference.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(reference.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(reference.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _kubeconfig(key: bytes, certificate: bytes) -> str:
    user = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


@pytest.mark.parametrize("until", [_FROM + timedelta(days=90), _FROM + timedelta(days=36500)])
def test_reads_a_certificate_as_the_library_does(until: datetime) -> None:
    """Names, times, usages and key identifiers are those that a full X.509 library reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = _certificate(key, until=until)
    known = reference.load_pem_x509_certificate(pem)

    found = x509.parse_pem(pem.decode(), "f")[0]

    assert (found.common_name, found.organizations) == ("system:node:node-a", ("system:nodes",))
    assert (found.not_before, found.not_after) == (_FROM.timestamp(), until.timestamp())
    assert found.names == ("node-a",)
    assert found.usages == ("clientAuth",)
    assert found.subject == known.subject.public_bytes().hex()
    assert found.key_id == found.authority_id != ""
    assert x509.is_issued_by(found, found)


def test_refuses_a_broken_certificate() -> None:
    """Whatever is cut off, the reader raises its own error or reads less; it never crashes otherwise."""
    der = ssl.PEM_cert_to_DER_cert(_certificate(ec.generate_private_key(ec.SECP256R1())).decode())
    for length in range(len(der)):
        with pytest.raises(x509.Malformed):
            x509.parse_der(der[:length], "f")


def test_a_certificate_and_its_key_belong_together() -> None:
    """TLS itself says so, without the key touching a disk."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    assert identity.matches(_certificate(key), _pem(key)) is True
    assert identity.matches(_certificate(key), _pem(other)) is False
    assert identity.matches(b"", _pem(key)) is None


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("{}", "empty"),
        ("a: [", "invalid"),
        ("- 1", "invalid"),
        ("contexts: []", "empty"),
    ],
)
def test_tells_what_is_wrong_with_a_kubeconfig(host: Host, text: str, state: str) -> None:
    """An empty file, one without contexts and one that is no YAML are told apart."""
    _write(host, "/etc/k", text)

    found = identity.load(host, "/etc/k").fact

    assert (found.state, bool(found.problem)) == (state, True)


def test_reads_a_kubeconfig_and_shows_no_secret(host: Host) -> None:
    """Server, user and certificate are facts; the key is not in any text of them."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write(host, "/etc/k", _kubeconfig(_pem(key), _certificate(key)))

    loaded = identity.load(host, "/etc/k")

    assert (loaded.fact.state, loaded.fact.server, loaded.fact.key_matches) == ("usable", "https://10.0.0.1:6443", True)
    assert loaded.fact.certificate is not None
    assert "PRIVATE KEY" not in repr(loaded)
    assert loaded.key == _pem(key)


def test_a_missing_kubeconfig_is_missing(host: Host) -> None:
    """No file is a state of its own."""
    assert identity.load(host, "/etc/k").fact.state == "missing"


def test_links_stay_inside_the_root(host: Host) -> None:
    """An absolute link of the host is one of the root directory, and .. does not lead out."""
    _write(host, "/data/real", "x")
    (host.root / "etc").mkdir()
    (host.root / "etc/a").symlink_to("/data/real")
    (host.root / "etc/b").symlink_to("../../../../data/real")
    (host.root / "etc/loop").symlink_to("loop")

    assert host.text("/etc/a") == "x"
    assert host.text("/etc/b") == "x"
    assert host.text("/etc/loop") is None


def test_runs_nothing_for_a_root_directory(host: Host) -> None:
    """Another host's directory is not asked with this host's programs."""
    assert host.run("true") is None
    ran = Host(host.root, live=True).run("true")
    assert ran is not None
    assert ran.code == 0


def test_reads_the_elf_architecture(host: Host) -> None:
    """A program for another processor is told by its header, without being run."""
    _write(host, "/b/kubelet", b"\x7fELF\x02\x01\x01" + b"\0" * 11 + b"\xb7\x00" + b"\0" * 44, 0o755)

    found = programs.program(host, "kubelet", "/b/kubelet", digest=True)

    assert (found.exists, found.executable, found.machine, len(found.sha256)) == (True, True, "aarch64", 64)
    assert programs.program(host, "kubelet", "/b/none").exists is False


def test_asks_a_program_for_version_and_flags(host: Host) -> None:
    """On the running host a program is asked what it is."""
    usage = 'printf "  -h, --help  x\\n      --v Level  y\\n"'
    script = f'#!/bin/sh\n[ "$1" = --version ] && echo Kubernetes v1.36.2 || {usage}\n'
    _write(host, "/b/kubelet", script, 0o755)
    path = str(host.root / "b/kubelet")

    found = programs.program(Host("/", live=True), "kubelet", path)

    assert found.version is not None
    assert found.version.text == "1.36.2"
    assert found.flags == {"--help", "--v"}


def test_the_last_sysctl_file_wins(host: Host) -> None:
    """Names decide the order, not directories; a name in /etc hides the same name in /usr."""
    _write(host, "/usr/lib/sysctl.d/50-a.conf", "net.ipv4.ip_forward=0\n")
    _write(host, "/usr/lib/sysctl.d/99-z.conf", "\n# c\nnet/ipv4/ip_forward = 0\n")
    _write(host, "/etc/sysctl.d/90-nodegate.conf", "net.ipv4.ip_forward=1\n")
    _write(host, "/usr/lib/sysctl.d/91-x.conf", "net.ipv4.ip_forward=0\n")
    _write(host, "/etc/sysctl.d/91-x.conf", "-vm.swappiness=1\n")
    _write(host, "/proc/sys/net/ipv4/ip_forward", "1\n")

    found = system.gather(host).sysctls["net.ipv4.ip_forward"]

    assert (found.live, found.persisted, found.file, found.line) == ("1", "0", "/usr/lib/sysctl.d/99-z.conf", 3)


def test_tells_modules_apart(host: Host) -> None:
    """Loaded, built in, available and missing are four things; without lists nothing is called missing."""
    assert system.gather(host).modules == {}
    _write(host, "/proc/sys/kernel/osrelease", "6.1.0\n")
    _write(host, "/lib/modules/6.1.0/modules.builtin", "kernel/fs/overlayfs/overlay.ko\n")
    _write(host, "/lib/modules/6.1.0/modules.dep", "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge.ko.xz\n")
    _write(host, "/proc/modules", "nf_conntrack 1 1 - Live 0x0\n")

    assert system.gather(host).modules == {
        "overlay": "builtin", "br_netfilter": "available", "nf_conntrack": "loaded", "vxlan": "missing",
    }  # fmt: skip


def test_reads_cgroups_swaps_and_mounts(host: Host) -> None:
    """Both hierarchies are told by their mounts; a mount's path may hold a space."""
    _write(host, "/proc/swaps", "Filename Type\n/dev/zram0 partition 1 0 100\n")
    _write(host, "/proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n/dev/a /mnt/a\\040b ext4 ro,noexec 0 0\n")
    _write(host, "/sys/fs/cgroup/cgroup.controllers", "cpu memory\n")

    found = system.gather(host)

    assert (found.swaps, found.cgroup, found.controllers) == (("/dev/zram0",), 2, ("cpu", "memory"))
    assert (found.mounts[1].path, found.mounts[1].options) == ("/mnt/a b", ("ro", "noexec"))


def test_reads_cgroup_v1_controllers(host: Host) -> None:
    """A controller that is switched off is not there."""
    _write(host, "/proc/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n")
    _write(host, "/proc/cgroups", "#name h n e\ncpu 1 1 1\nmemory 0 1 0\n")

    assert (system.gather(host).cgroup, system.gather(host).controllers) == (1, ("cpu",))


def test_reads_listening_sockets(host: Host) -> None:
    """Listening TCP and bound UDP of both families, nothing that is connected."""
    row = "   {}: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n"
    _write(host, "/proc/net/tcp", "h\n" + row.format(0, "0100007F:280A", "0A") + row.format(1, "0100007F:0050", "01"))
    _write(host, "/proc/net/tcp6", "h\n" + row.format(0, "00000000000000000000000001000000:2808", "0A"))
    _write(host, "/proc/net/udp", "h\n" + row.format(0, "00000000:2118", "07"))

    found = [(each.protocol, each.address, each.port) for each in network.gather(host).listeners or ()]

    assert found == [
        ("tcp", "127.0.0.1", 10250),
        ("tcp", "0000:0000:0000:0000:0000:0000:0000:0001", 10248),
        ("udp", "0.0.0.0", 8472),  # noqa: S104 (what the kernel says)
    ]


def test_knows_who_keeps_off_flannel(host: Host) -> None:
    """Files of NetworkManager and networkd that name flannel's interfaces are seen."""
    assert network.gather(host).unmanaged == ()
    _write(host, "/etc/NetworkManager/conf.d/n.conf", "[keyfile]\nunmanaged-devices=interface-name:flannel*\n")
    _write(
        host, "/etc/systemd/network/50-flannel.link", "[Match]\nOriginalName=flannel*\n[Link]\nMACAddressPolicy=none\n"
    )

    assert network.gather(host).unmanaged == ("NetworkManager", "systemd-networkd")


def test_arguments_keep_the_place_where_they_are_written(host: Host) -> None:
    """A bare variable is split, one in braces is a word, an undefined one is nothing; drop-ins win."""
    _write(host, "/usr/lib/systemd/system/kubelet.service", "[Service]\nEnvironmentFile=-/etc/k\nExecStart=/bin/old\n")
    _write(
        host,
        "/etc/systemd/system/kubelet.service.d/10-a.conf",
        '[Service]\nExecStart=\nExecStart=-/bin/kubelet \\\n  $ARGS \\\n  --x=${ARGS} $NONE "a b"\n',
    )
    _write(host, "/etc/k", "\nARGS='--v=2 --w'\n")

    found = units.gather(host, ["kubelet.service"])["kubelet.service"]

    assert [each.text for each in found.command] == ["/bin/kubelet", "--v=2", "--w", "--x=--v=2 --w", "a b"]
    assert found.command[1].source == Source("/etc/k", 2)
    assert found.command[4].source == Source("/etc/systemd/system/kubelet.service.d/10-a.conf", 3)
    assert flag(found, "--v") == "2"


def test_a_masked_unit_and_a_missing_environment_file_are_seen(host: Host) -> None:
    """Without systemd the files themselves tell it."""
    (host.root / "etc/systemd/system").mkdir(parents=True)
    (host.root / "etc/systemd/system/kubelet.service").symlink_to("/dev/null")
    _write(host, "/usr/lib/systemd/system/flanneld.service", "[Service]\nEnvironmentFile=/etc/sysconfig/flanneld\n")

    found = units.gather(host, ["kubelet.service", "flanneld.service", "docker.service"])

    assert found["kubelet.service"].load_state == "masked"
    assert found["docker.service"].load_state == "not-found"
    assert found["flanneld.service"].missing_environment == (
        ("/etc/sysconfig/flanneld", "/usr/lib/systemd/system/flanneld.service:2"),
    )


def test_gathers_a_whole_root_directory_without_running_anything(host: Host) -> None:
    """A node.yaml and a directory are enough; nothing that needs a running host is claimed."""
    _write(host, "/opt/cni/bin/bridge", "x", 0o755)
    _write(host, "/etc/systemd/system/kubelet.service", "# Managed by nodegate-host\n")
    _write(host, "/etc/systemd/system/other.service", "[Service]\n")
    targets = ["/etc/systemd/system/kubelet.service", "/etc/systemd/system/other.service", "/etc/none"]

    before = sorted(host.root.rglob("*"))

    facts = gather(host.root, healthy.CONFIG, targets=targets, owned=["/etc/none"])

    assert (facts.live, facts.api, facts.etcd, facts.host.euid, facts.network.interfaces) == (
        False,
        None,
        None,
        None,
        None,
    )
    assert healthy.CONFIG.cni.plugin is CniPlugin.BRIDGE
    assert facts.runtime.cni_plugins == {"bridge": True, "host-local": False, "portmap": False, "loopback": False}
    assert [facts.targets[each].managed for each in targets] == [True, False, True]
    assert sorted(host.root.rglob("*")) == before

"""The script that hands flannel's lease to the runtime, run by a real shell with its paths moved into a folder."""

import json
import subprocess
from pathlib import Path

import pytest

from hack.host_golden import node_yaml, rendered, special
from tests.unit.host.sample import GOOD

LEASE = """\
FLANNEL_NETWORK=172.30.0.0/16
FLANNEL_SUBNET={subnet}
FLANNEL_MTU=1450
FLANNEL_IPMASQ={masq}
"""
CONFLIST = "etc/cni/net.d/10-flannel.conflist"


def run_script(folder: Path, text: str = GOOD) -> "subprocess.CompletedProcess[str]":
    """Run the rendered script with /run and /etc inside `folder`, and without waiting long for a lease."""
    file = rendered(text).file("/etc/nodegate/hand-over-lease.sh")
    assert file is not None
    script = file.content.decode()
    assert "-gt 30 ]" in script
    moved = (
        script.replace("=/run/", f"={folder}/run/").replace("=/etc/", f"={folder}/etc/").replace("-gt 30 ]", "-gt 1 ]")
    )
    return subprocess.run(["/bin/sh", "-s"], input=moved, capture_output=True, text=True, check=False, timeout=30)


def write_lease(folder: Path, subnet: str = "172.30.46.1/24", masq: str = "true") -> None:
    """Put a lease where the script looks."""
    (folder / "run/flannel").mkdir(parents=True, exist_ok=True)
    (folder / "run/flannel/subnet.env").write_text(LEASE.format(subnet=subnet, masq=masq))


@pytest.mark.parametrize(
    ("subnet", "network"),
    [
        ("172.30.46.1/24", "172.30.46.0/24"),
        ("10.244.255.129/25", "10.244.255.128/25"),
        ("100.64.96.1/20", "100.64.96.0/20"),
        ("192.168.255.253/30", "192.168.255.252/30"),
        ("223.255.0.1/16", "223.255.0.0/16"),
    ],
)
def test_the_bridge_gets_the_network_of_the_lease(tmp_path: Path, subnet: str, network: str) -> None:
    """The lease names the gateway; the plugin gets the network, flannel's MTU, and no second masquerading."""
    write_lease(tmp_path, subnet)
    done = run_script(tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    bridge, portmap = json.loads((tmp_path / CONFLIST).read_text())["plugins"]
    assert bridge["ipam"] == {"type": "host-local", "ranges": [[{"subnet": network}]]}
    assert (bridge["mtu"], bridge["ipMasq"], bridge["isDefaultGateway"], bridge["hairpinMode"]) == (
        1450,
        False,
        True,
        True,
    )
    assert portmap["type"] == "portmap"


def test_the_runtime_masquerades_when_flannel_does_not(tmp_path: Path) -> None:
    """Without flannel's rules the bridge makes them."""
    write_lease(tmp_path, masq="false")
    run_script(tmp_path)

    assert json.loads((tmp_path / CONFLIST).read_text())["plugins"][0]["ipMasq"] is True


def test_the_same_lease_changes_nothing(tmp_path: Path) -> None:
    """A second start of flanneld leaves the file alone, so the runtime is not woken, and leaves nothing behind."""
    write_lease(tmp_path)
    run_script(tmp_path)
    before = (tmp_path / CONFLIST).stat()
    run_script(tmp_path)
    after = (tmp_path / CONFLIST).stat()

    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in (tmp_path / "etc/cni/net.d").iterdir()] == ["10-flannel.conflist"]


def test_a_new_lease_replaces_the_file_whole(tmp_path: Path) -> None:
    """Another lease comes by a rename: the file that a reader has open stays as it was."""
    write_lease(tmp_path)
    run_script(tmp_path)
    with (tmp_path / CONFLIST).open() as open_before:
        write_lease(tmp_path, "172.30.9.1/24")
        run_script(tmp_path)

        assert "172.30.46.0/24" in open_before.read()
    assert "172.30.9.0/24" in (tmp_path / CONFLIST).read_text()


def test_docker_gets_the_options_of_the_lease(tmp_path: Path) -> None:
    """The same keys as flannel's own script writes, with the range, the MTU and one masquerading (S26)."""
    write_lease(tmp_path)
    run_script(tmp_path, node_yaml(23, "docker", "iptables"))

    assert (tmp_path / "run/flannel/docker").read_text() == (
        'DOCKER_OPT_BIP="--bip=172.30.46.1/24"\n'
        'DOCKER_OPT_IPMASQ="--ip-masq=false"\n'
        'DOCKER_OPT_MTU="--mtu=1450"\n'
        'DOCKER_NETWORK_OPTIONS=" --bip=172.30.46.1/24 --ip-masq=false --mtu=1450"\n'
    )


def test_no_lease_is_a_failure_that_says_where_to_look(tmp_path: Path) -> None:
    """READY may come from flanneld without a lease; the start must fail then."""
    done = run_script(tmp_path)

    assert done.returncode == 1
    assert "see: journalctl -u flanneld" in done.stderr
    assert not (tmp_path / "etc").exists()


def test_half_a_lease_is_a_failure(tmp_path: Path) -> None:
    """A lease without its range writes nothing."""
    (tmp_path / "run/flannel").mkdir(parents=True)
    (tmp_path / "run/flannel/subnet.env").write_text("FLANNEL_MTU=1450\n")
    done = run_script(tmp_path)

    assert done.returncode == 1
    assert "holds no FLANNEL_SUBNET" in done.stderr
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (GOOD, ("/etc/cni/net.d/10-flannel.conflist", "/run/flannel/subnet.env")),
        (node_yaml(23, "docker", "iptables"), ("/run/flannel/docker", "/run/flannel/subnet.env")),
        (GOOD + "cni: flannel\n", ("/run/flannel/subnet.env",)),
        (special()["no-flannel"], ()),
    ],
)
def test_what_is_written_at_run_time_is_known(text: str, paths: tuple[str, ...]) -> None:
    """A rendering names what its units write, so that a reset can take it away; none of it is a rendered file."""
    rendering = rendered(text)

    assert rendering.generated == paths
    assert not {file.path for file in rendering.files} & set(paths)

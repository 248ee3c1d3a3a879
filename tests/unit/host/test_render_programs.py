"""Real programs read what is rendered: systemd, kubelet, kube-proxy, containerd, flanneld.

Each is skipped loudly where it is not there; nothing is started that stays.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hack.cluster.binaries import MODULES
from hack.host_golden import RUNTIMES, node_yaml, rendered, special
from nodegate_host.model import Rendering
from nodegate_host.output_formats import write_tree
from tests.unit.host.sample import GOOD, spoiled

NODES = {**{runtime: node_yaml(23, runtime, "iptables") for runtime in RUNTIMES}, **special()}
STRICT = re.compile("lenient decoding|strict decoding error|unknown field")


def program(name: str) -> str:
    """Return a built program's path, or skip."""
    folders = [module.cache() for module in MODULES if name in module.packages]
    given = os.environ.get("NODEGATE_BIN_DIR")
    for folder in [*([Path(given)] if given else []), *folders]:
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    pytest.skip(f"{name} is not built; python -m hack.cluster build --set node builds it")


def staged(rendering: Rendering, root: Path) -> Path:
    """Write a rendering into a root that has what units refer to: programs that do nothing, and systemd's own units."""
    write_tree(rendering, root)
    doing_nothing = "#!/bin/sh\nexit 0\n"
    for path in ("usr/local/bin/flanneld", "usr/local/bin/kubelet", "usr/local/bin/kube-proxy"):
        _program(root / path, doing_nothing)
    for path in ("bin/sh", "bin/mkdir", "sbin/modprobe"):
        _program(root / path, doing_nothing)
    units = root / "usr/lib/systemd/system"
    shutil.copytree("/usr/lib/systemd/system", units, symlinks=True)
    (root / "lib").symlink_to("usr/lib")
    for unit in rendering.units:
        if not unit.ours:
            (units / unit.name).write_text("[Service]\nType=notify\nExecStart=/usr/local/bin/kubelet\n")
    return root


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def verify(root: Path, rendering: Rendering) -> "subprocess.CompletedProcess[str]":
    """Let systemd-analyze judge every unit of a staged root."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None or not Path("/usr/lib/systemd/system").is_dir():
        pytest.skip("systemd-analyze is not on this machine, so no unit was verified")
    names = [unit.name for unit in rendering.units]
    return subprocess.run(
        [analyze, "verify", f"--root={root}", "--man=no", "--recursive-errors=no", *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", NODES)
def test_systemd_accepts_every_unit(tmp_path: Path, name: str) -> None:
    """Nothing is found by systemd-analyze in any unit or drop-in."""
    rendering = rendered(NODES[name])
    done = verify(staged(rendering, tmp_path / "root"), rendering)

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_have_found_a_mistake(tmp_path: Path) -> None:
    """The judge of the test above does see an unknown key."""
    rendering = rendered(GOOD)
    root = staged(rendering, tmp_path / "root")
    unit = root / "etc/systemd/system/kubelet.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restrat=always"))

    assert "Restrat" in verify(root, rendering).stderr


def test_every_variable_of_a_unit_is_defined(tmp_path: Path) -> None:
    """Variables are not looked at by systemd, so this does it: flanneld's are in its environment file (S9, S10)."""
    root = staged(rendered(GOOD), tmp_path / "root")
    unit = (root / "etc/systemd/system/flanneld.service").read_text()
    defined = {line.split("=")[0] for line in (root / "etc/default/flanneld").read_text().splitlines()}

    used = set(re.findall(r"\$\{?([A-Z_]+)", unit))
    assert used == {"FLANNEL_ETCD_ENDPOINTS", "FLANNEL_ETCD_PREFIX", "FLANNEL_OPTIONS"}
    assert used <= defined


def docker_commands() -> list[str]:
    """Return the shell commands of docker's drop-in, as systemd hands them to the shell."""
    file = rendered(node_yaml(23, "docker", "iptables")).file(
        "/etc/systemd/system/docker.service.d/10-nodegate-flannel.conf"
    )
    assert file is not None
    found = re.findall(r"^Exec\w+=/bin/sh -c '(.*)'$", file.content.decode(), re.MULTILINE)
    return [command.replace("$$", "$") for command in found]


def test_docker_is_started_with_the_options_of_the_lease(tmp_path: Path) -> None:
    """The drop-in's command starts dockerd, wherever it is, with docker's own options and then the lease's (E2)."""
    _program(tmp_path / "dockerd", '#!/bin/sh\necho "$@"\n')
    options = {"DOCKER_OPTS": "--debug", "DOCKER_NETWORK_OPTIONS": " --bip=172.30.46.1/24 --mtu=1450"}
    done = subprocess.run(
        ["/bin/sh", "-c", docker_commands()[1]],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **options},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout == "-H fd:// --debug --bip=172.30.46.1/24 --mtu=1450\n"


@pytest.mark.parametrize(("there", "code"), [(True, 0), (False, 1)])
def test_docker_waits_for_the_lease(tmp_path: Path, *, there: bool, code: int) -> None:
    """Without the lease's options docker does not start, and says why."""
    options = tmp_path / "docker"
    if there:
        options.write_text("DOCKER_NETWORK_OPTIONS=\n")
    command = docker_commands()[0].replace("/run/flannel/docker", str(options)).replace("-le 60", "-le 0")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == code
    assert ("is flanneld up?" in done.stderr) is not there


@pytest.mark.parametrize("name", [each for each in special() if each not in {"docker-managed", "containerd-1.7"}])
def test_the_kubelet_accepts_its_configuration(tmp_path: Path, name: str) -> None:
    """Kubernetes 1.37's kubelet decodes it strictly and goes on until it misses its bootstrap file."""
    text = special()[name].replace("version: 1.36.2", "version: 1.37.2")
    words, config = kubelet_command(rendered(text), tmp_path)
    config.write_text(config.read_text().replace("failCgroupV1: false\n", "") + "failCgroupV1: false\n")
    done = subprocess.run([program("kubelet"), *words], capture_output=True, text=True, check=False, timeout=60)

    assert "unable to load bootstrap kubeconfig" in done.stderr
    assert STRICT.search(done.stderr) is None


def test_the_kubelet_would_have_found_an_unknown_field(tmp_path: Path) -> None:
    """The test above would see a field that the kubelet does not know; it is ignored, with a line in the log."""
    words, config = kubelet_command(rendered(GOOD), tmp_path)
    config.write_text(config.read_text() + "failCgroupV1: false\nbogus: 1\n")
    done = subprocess.run([program("kubelet"), *words], capture_output=True, text=True, check=False, timeout=60)

    assert STRICT.search(done.stderr) is not None


def kubelet_command(rendering: Rendering, folder: Path) -> tuple[list[str], Path]:
    """Return the unit's flags with every path inside `folder`, and the configuration there."""
    write_tree(rendering, folder / "root")
    config = folder / "root/etc/kubernetes/kubelet-config.yaml"
    config.write_text(config.read_text().replace("/etc/kubernetes", f"{folder}/root/etc/kubernetes"))
    unit = (folder / "root/etc/systemd/system/kubelet.service").read_text()
    # A token's bootstrap file would be used; here there must be none, so that the kubelet ends.
    words = [
        re.sub(r"=(/(?:etc|var)/)", rf"={folder}/root\1", word).replace("bootstrap.kubeconfig", "none.kubeconfig")
        for word in unit.split()
        if word.startswith("--")
    ]
    return words, config


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
def test_kube_proxy_accepts_its_configuration(tmp_path: Path, mode: str) -> None:
    """Kubernetes 1.37's kube-proxy decodes it strictly."""
    file = rendered(node_yaml(37, "containerd", mode)).file("/etc/kubernetes/kube-proxy-config.yaml")
    assert file is not None
    (tmp_path / "config.yaml").write_bytes(file.content)
    done = subprocess.run(
        [program("kube-proxy"), f"--config={tmp_path}/config.yaml", f"--write-config-to={tmp_path}/out.yaml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0
    assert STRICT.search(done.stderr) is None
    assert f"mode: {mode}\n" in file.content.decode()


@pytest.mark.parametrize("version", ["1.7.28", "2.0.0", "2.1.5", "2.4.2"])
@pytest.mark.parametrize("endpoint", ["/run/containerd/containerd.sock", "/run/c.sock"])
def test_containerd_accepts_its_configuration(tmp_path: Path, version: str, endpoint: str) -> None:
    """Version 2.4 of containerd reads every format, migrates it, and has what was meant."""
    runtime = f"type: containerd, manage: true, version: {version}, endpoint: 'unix://{endpoint}', sandboxImage: r/p:1"
    text = spoiled(("type: containerd", runtime), ("version: 1.36.2", "version: 1.34.2"))
    file = rendered(text + "cni: {binDir: /usr/lib/cni}\n").file("/etc/containerd/config.toml")
    assert file is not None
    (tmp_path / "config.toml").write_bytes(file.content)
    done = subprocess.run(
        [program("containerd"), "-c", f"{tmp_path}/config.toml", "config", "dump"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "SystemdCgroup = true" in done.stdout
    assert re.search(r"sandbox = ['\"]r/p:1['\"]", done.stdout)
    assert re.search(r"bin_dirs? = \[?['\"]/usr/lib/cni['\"]", done.stdout)
    assert re.search(rf"address = ['\"]{endpoint}['\"]", done.stdout)


def test_flanneld_knows_every_flag() -> None:
    """Version 0.28 of flannel lists each flag that is rendered."""
    file = rendered(special()["old-flannel"]).file("/etc/default/flanneld")
    assert file is not None
    used = {word.split("=")[0].strip('"') for word in file.content.decode().split("FLANNEL_OPTIONS=")[1].split()}
    done = subprocess.run([program("flanneld"), "-help"], capture_output=True, text=True, check=False, timeout=60)
    known = set(re.findall(r"^\s+(-[a-z-]+)", done.stdout + done.stderr, re.MULTILINE))

    assert {"-iface", "-ip-masq", "-etcd-keyfile"} <= used <= known
    assert {"-etcd-endpoints", "-etcd-prefix"} <= known

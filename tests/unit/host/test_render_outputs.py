"""The forms that a rendering takes: directory, tar, cloud-init, Ignition, and the listing for people."""

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml

from hack.host_golden import INPUTS, node_yaml, rendered, special
from nodegate_host import output_formats
from nodegate_host.errors import Refused
from tests.unit.host.sample import GOOD, call, place, run

KEY = INPUTS["key"].decode()


def test_the_tree_has_the_content_and_the_modes(tmp_path: Path) -> None:
    """Each file and directory is there as rendered."""
    rendering = rendered(GOOD)
    output_formats.write_tree(rendering, tmp_path / "out")

    for file in rendering.files:
        path = tmp_path / "out" / file.path.lstrip("/")
        assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (file.content, file.mode)
    for directory in rendering.directories:
        path = tmp_path / "out" / directory.path.lstrip("/")
        assert (path.is_dir(), path.stat().st_mode & 0o7777) == (True, directory.mode)
    found = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(found) == len(rendering.files)


def test_a_tree_is_never_written_over_another(tmp_path: Path) -> None:
    """A directory with something in it, or a file, is refused and left as it is."""
    (tmp_path / "mine").write_text("mine")

    for target in (tmp_path, tmp_path / "mine"):
        with pytest.raises(Refused, match="expected an empty directory or none"):
            output_formats.write_tree(rendered(GOOD), target)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_tar_is_the_tree_and_the_same_each_time() -> None:
    """The archive holds each file with its mode as root's, times are zero, and two are byte-identical."""
    rendering = rendered(GOOD)
    data = output_formats.tar(rendering)

    assert data == output_formats.tar(rendered(GOOD))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        assert {(each.uid, each.gid, each.uname, each.mtime) for each in members} == {(0, 0, "root", 0)}
        assert [each.name for each in members if each.isfile()] == [file.path.strip("/") for file in rendering.files]
        modes = {f"/{each.name}": each.mode for each in members}
        assert all(modes[file.path] == file.mode for file in rendering.files)
        assert all(modes[each.path] == each.mode for each in rendering.directories)
        key = archive.extractfile("etc/nodegate/flannel/client.key")
        assert key is not None
        assert key.read().decode() == KEY


def test_cloud_init_writes_every_file_and_starts_in_order() -> None:
    """The user data is cloud-config with every file in base64, then modules, sysctls and the units in order."""
    rendering = rendered(GOOD)
    text = output_formats.cloud_init(rendering)
    body = yaml.safe_load(text)

    assert text.startswith("#cloud-config\n")
    written = {each["path"]: (base64.b64decode(each["content"]), each["permissions"]) for each in body["write_files"]}
    assert written == {file.path: (file.content, f"{file.mode:04o}") for file in rendering.files}
    assert body["runcmd"][-5:] == [
        ["systemctl", "enable", "flanneld.service", "kubelet.service", "kube-proxy.service"],
        ["systemctl", "restart", "--no-block", "flanneld.service"],
        ["systemctl", "restart", "--no-block", "containerd.service"],
        ["systemctl", "restart", "--no-block", "kubelet.service"],
        ["systemctl", "restart", "--no-block", "kube-proxy.service"],
    ]


def test_ignition_has_units_drop_ins_and_files() -> None:
    """Units are enabled as units, the runtime's drop-in is one, everything else is a file; nothing is lost."""
    rendering = rendered(GOOD)
    body = json.loads(output_formats.ignition(rendering))
    units = {each["name"]: each for each in body["systemd"]["units"]}

    assert body["ignition"] == {"version": "3.3.0"}
    assert {name for name, each in units.items() if each.get("enabled")} == {
        "flanneld.service",
        "kubelet.service",
        "kube-proxy.service",
    }
    assert [each["name"] for each in units["containerd.service"]["dropins"]] == ["10-nodegate-flannel.conf"]
    assert len(body["storage"]["files"]) + len(units) == len(rendering.files)
    key = next(each for each in body["storage"]["files"] if each["path"].endswith("client.key"))
    assert (key["mode"], base64.b64decode(key["contents"]["source"].split(",")[1]).decode()) == (0o600, KEY)


def test_people_never_see_a_secret(tmp_path: Path) -> None:
    """The listing and the JSON show a digest, and --file refuses; the token is nowhere."""
    path = str(place(tmp_path, special()["token"]))
    for words in (["render"], ["render", "-o", "json"], ["render", "-o", "yaml"]):
        code, out, err = call(["-c", path, *words])
        assert code == 0
        assert "0123456789abcdef" not in out + err
        assert KEY not in out + err

    code, out, err = call(["-c", path, "render", "--file", "bootstrap.kubeconfig"])
    assert (code, out) == (9, "")
    assert "is a secret and is not printed" in err


def test_render_writes_what_it_says(tmp_path: Path) -> None:
    """The verb writes a directory, or a form on stdout, and says on stderr that secrets are inside."""
    path = str(place(tmp_path))
    assert call(["-c", path, "render", "--output", str(tmp_path / "out")])[0] == 0
    assert (tmp_path / "out/etc/kubernetes/kubelet-config.yaml").is_file()
    assert call(["-c", path, "render", "--output", str(tmp_path / "out")])[0] == 9

    code, out, err = call(["-c", path, "render", "--output", "ignition"])
    assert (code, json.loads(out)["ignition"]) == (0, {"version": "3.3.0"})
    assert "the output holds secrets" in err


def test_one_file_can_be_asked_for(tmp_path: Path) -> None:
    """The end of a path is enough when it is one file's; otherwise the choice is shown."""
    path = str(place(tmp_path))
    code, out, _ = call(["-c", path, "render", "--file", "kubelet.service"])
    assert (code, "ExecStart=/usr/local/bin/kubelet" in out) == (0, True)

    code, _, err = call(["-c", path, "render", "--file", "nothing"])
    assert code == 2
    assert "found 0 for nothing; choose from\n  /etc/" in err


def test_missing_inputs_are_told_together(tmp_path: Path) -> None:
    """Each file that a field names and that is not there, or is something else, is one line."""
    path = place(tmp_path)
    (tmp_path / "ca.crt").unlink()
    (tmp_path / "flannel.crt").write_text(KEY)
    (tmp_path / "flannel.key").write_text("")
    code, out, err = call(["-c", str(path), "render"])

    assert (code, out) == (2, "")
    assert "cluster.caFile: expected a readable file, found" in err
    assert "flannel.etcd.certFile: expected certificates only, found a private key" in err
    assert "flannel.etcd.keyFile: expected a key, found an empty file" in err


def test_absolute_inputs_are_on_the_host(tmp_path: Path) -> None:
    """With --root, an absolute path of the file is inside that root."""
    (tmp_path / "root/pki").mkdir(parents=True)
    (tmp_path / "root/pki/ca.crt").write_bytes(INPUTS["certificate"])
    path = place(tmp_path)
    path.write_text(GOOD.replace("caFile: ca.crt", "caFile: /pki/ca.crt"))

    assert call(["-c", str(path), "--root", str(tmp_path / "root"), "render"])[0] == 0
    assert call(["-c", str(path), "--root", str(tmp_path), "render"])[0] == 2


def test_a_tar_is_binary_and_needs_no_terminal(tmp_path: Path) -> None:
    """The archive comes out whole through a pipe."""
    path = place(tmp_path, node_yaml(30, "cri-dockerd", "nftables"))
    done = run("-c", str(path), "-q", "render", "--output", "cloud-init")

    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout)["runcmd"][-3] == ["systemctl", "restart", "--no-block", "cri-docker.service"]

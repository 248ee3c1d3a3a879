"""The command line of nodegate-host: help, global flags, exit codes, streams, colour, init, validate, completion."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nodegate_host import __version__, verbs
from nodegate_host.exits import Exit
from nodegate_host.output import Output, wants_colour
from tests.unit.host.sample import GOOD, call, place, run, spoiled


def test_help_lists_every_verb() -> None:
    """Each verb of the table is in the help, and its module has what the command line asks of it."""
    done = run("--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n    {verb} " in done.stdout for verb in verbs.VERBS)
    assert run().returncode == 2


@pytest.mark.parametrize("verb", verbs.VERBS)
def test_every_verb_has_help(verb: str) -> None:
    """The help of a verb shows the global flags as well."""
    code, out, err = call([verb, "--help"])

    assert (code, err) == (0, "")
    assert out.startswith(f"usage: nodegate-host {verb} ")
    assert "--no-input" in out


@pytest.mark.parametrize(
    "words", [["nonsense"], ["version", "--nonsense"], ["--color", "red", "version"], ["-o", "xml"]]
)
def test_wrong_words_are_usage(words: list[str]) -> None:
    """Unknown verbs, flags and values are exit 2 with the usage on stderr."""
    code, out, err = call(words)

    assert (code, out) == (2, "")
    assert err.startswith("usage: nodegate-host")


@pytest.mark.parametrize(
    "words", [["-o", "json", "version"], ["version", "-o", "json"], ["-o", "text", "version", "-o", "json"]]
)
def test_global_flags_stand_before_or_after_the_verb(words: list[str]) -> None:
    """Where a global flag stands does not matter; the later one wins."""
    code, out, _ = call(words)

    assert (code, json.loads(out)["summary"]["version"]) == (0, __version__)


def test_json_is_one_object_of_the_agreed_form(tmp_path: Path) -> None:
    """Every answer has apiVersion, kind, summary and items, and no colour, whatever is forced."""
    path = str(place(tmp_path))
    for words in (["version"], ["validate"], ["render"]):
        code, out, _ = call(["-c", path, "-o", "json", "--color", "always", *words])
        body = json.loads(out)
        assert code == 0
        assert list(body) == ["apiVersion", "kind", "summary", "items"]
        assert body["apiVersion"] == "cli.nodegate.dev/v1"
        assert "\033" not in out


def test_validate_lists_the_mistakes_and_ends_with_2(tmp_path: Path) -> None:
    """Text names file, line and field; JSON has one item for each."""
    path = place(tmp_path)
    path.write_text(spoiled(("name: node-a", "name: Node_A"), ("mode: iptables", "mode: magic")))

    code, out, err = call(["-c", str(path), "validate"])
    assert (code, out.splitlines()[0].split(": ")[:2]) == (2, [f"{path}:3", "node.name"])
    assert err == f"error: 2 mistakes in {path}\n"

    code, out, err = call(["-c", str(path), "validate", "-o", "json"])
    body = json.loads(out)
    assert (code, err, body["summary"]) == (2, "", {"valid": False, "errors": 2, "warnings": 0})
    assert [(each["severity"], each["field"], each["line"]) for each in body["items"]] == [
        ("error", "node.name", 3),
        ("error", "kubeProxy.mode", 12),
    ]


def test_validate_reads_nothing_but_the_file(tmp_path: Path) -> None:
    """The files that a node.yaml names may be elsewhere."""
    (tmp_path / "node.yaml").write_text(GOOD)
    code, out, err = call(["-c", str(tmp_path / "node.yaml"), "validate"])

    assert (code, err) == (0, "")
    assert out.endswith("valid: node node-a, Kubernetes 1.36.2, containerd, kube-proxy iptables, flannel 0.28.9\n")


def test_validate_for_another_kubernetes(tmp_path: Path) -> None:
    """With --k8s the file is judged by that version, and a version that is none is usage."""
    (tmp_path / "node.yaml").write_text(spoiled(("mode: iptables", "mode: nftables")))
    path = str(tmp_path / "node.yaml")

    assert call(["-c", path, "validate", "--k8s", "1.29.0"])[0] == 0
    assert "nftables exists since Kubernetes 1.29" in call(["-c", path, "validate", "--k8s", "1.28.15"])[1]
    assert call(["-c", path, "validate", "--k8s", "new"])[0] == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("name: node-a", "name: 10.80.0.11"), "warning: node.name: an address as the name"),
        (("certFile: flannel.crt", "certFile: /etc/etcd/ssl/etcd.pem"), "warning: flannel.etcd.certFile:"),
        (("mode: iptables", "mode: ipvs"), "warning: kubeProxy.mode: ipvs is deprecated"),
        (("type: containerd", "cgroupDriver: cgroupfs"), "warning: runtime.cgroupDriver:"),
        (
            ("flannel:\n", "kubelet: {config: {readOnlyPort: 10255}}\nflannel:\n"),
            "warning: kubelet.config.readOnlyPort",
        ),
        (
            ("flannel:\n", "kubelet: {config: {authentication: {anonymous: {enabled: true}}}}\nflannel:\n"),
            "warning: kubelet.config.authentication: anonymous access",
        ),
    ],
)
def test_what_is_unwise_is_said_and_allowed(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    """Advice goes to stderr and does not change the exit code."""
    (tmp_path / "node.yaml").write_text(spoiled(change))
    code, _, err = call(["-c", str(tmp_path / "node.yaml"), "validate"])

    assert (code, len(err.splitlines())) == (0, 1)
    assert err.startswith(told)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """No node.yaml is exit 2 with the way to get one; other bytes than UTF-8 as well."""
    code, out, err = call(["-c", str(tmp_path / "none.yaml"), "validate"])
    assert (code, out) == (2, "")
    assert "write one with init" in err

    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert "expected UTF-8" in call(["-c", str(tmp_path / "bytes"), "validate"])[2]


def test_the_default_file_is_under_the_root(tmp_path: Path) -> None:
    """Without -c the file is /etc/nodegate/node.yaml inside --root."""
    (tmp_path / "etc/nodegate").mkdir(parents=True)
    (tmp_path / "etc/nodegate/node.yaml").write_text(GOOD)

    assert call(["--root", str(tmp_path), "validate"])[0] == 0


def test_init_writes_a_file_that_becomes_valid(tmp_path: Path) -> None:
    """With everything known the file is valid at once, is its owner's only, and is never written over."""
    path = tmp_path / "new" / "node.yaml"
    words = ["-c", str(path), "--root", str(tmp_path), "init", "--minimal", "--name", "node-a", "--ip", "10.0.0.5"]
    words += ["--api-server", "https://10.0.0.1:6443", "--service-cidr", "10.96.0.0/12", "--pod-cidr", "172.30.0.0/16"]
    words += ["--cluster-dns", "10.96.0.10", "--kubernetes", "1.37.2", "--etcd", "https://10.0.0.1:2379"]

    assert call(words)[0] == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert call(["-c", str(path), "validate"])[0] == 0
    assert call(words)[0] == Exit.REFUSED


def test_an_empty_start_says_what_is_missing(tmp_path: Path) -> None:
    """With nothing known, validate names every field that is due."""
    code, out, _ = call(["--root", str(tmp_path), "init", "--stdout"])
    (tmp_path / "node.yaml").write_text(out)

    assert code == 0
    found = call(["-c", str(tmp_path / "node.yaml"), "validate", "-o", "json"])[1]
    assert {each["field"] for each in json.loads(found)["items"]} == {
        "node.name",
        "node.ip",
        "cluster.apiServer",
        "cluster.serviceCIDR",
        "cluster.podCIDR",
        "cluster.clusterDNS",
        "kubernetes.version",
        "flannel.etcd.endpoints",
    }


def test_init_looks_at_the_host(tmp_path: Path) -> None:
    """On a RHEL with systemd-resolved both places are filled in."""
    (tmp_path / "etc/sysconfig").mkdir(parents=True)
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    (tmp_path / "run/systemd/resolve/resolv.conf").write_text("nameserver 10.0.0.53\n")
    out = call(["--root", str(tmp_path), "init", "--stdout"])[1]

    assert "envDir: /etc/sysconfig" in out
    assert "resolvConf: /run/systemd/resolve/resolv.conf" in out


def test_completion_is_a_script_that_bash_takes() -> None:
    """The script completes verbs, and the flags of the verb that stands there."""
    script = call(["completion", "bash"])[1]
    ask = script + 'COMP_WORDS=(nodegate-host {}); COMP_CWORD={}; _nodegate_host; echo "${{COMPREPLY[@]}}"\n'

    assert _bash(ask, "rend", 1) == "render"
    assert _bash(ask, "render --fi", 2) == "--file"


def _bash(template: str, words: str, index: int) -> str:
    before, _, after = template.rpartition("COMP_WORDS")
    text = before + ("COMP_WORDS" + after).format(words, index)
    return subprocess.run(["bash"], input=text, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.mark.parametrize(
    ("terminal", "when", "environ", "coloured"),
    [
        (True, "auto", {}, True),
        (False, "auto", {}, False),
        (True, "auto", {"NO_COLOR": "1"}, False),
        (True, "auto", {"NO_COLOR": ""}, True),
        (True, "auto", {"TERM": "dumb"}, False),
        (False, "auto", {"FORCE_COLOR": "1"}, True),
        (False, "auto", {"FORCE_COLOR": "0"}, False),
        (True, "auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, "never", {"FORCE_COLOR": "1"}, False),
        (False, "always", {"NO_COLOR": "1"}, True),
    ],
)
def test_colour_follows_the_agreed_rules(*, terminal: bool, when: str, environ: dict[str, str], coloured: bool) -> None:
    """The flag wins, then NO_COLOR, FORCE_COLOR and TERM, then whether the stream is a terminal."""
    master, slave = pty.openpty()
    try:
        with os.fdopen(slave, "w") if terminal else io.StringIO() as stream:
            assert wants_colour(stream, when, environ) is coloured
    finally:
        os.close(master)


def test_an_internal_error_saves_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is exit 70, one sentence, and a file that only its owner can read."""
    (tmp_path / "broken.py").write_text("def configure(parser): pass\ndef run(args, s): raise ZeroDivisionError('x')\n")
    monkeypatch.setattr("nodegate_host.verbs.__path__", [*verbs.__path__, str(tmp_path)])
    monkeypatch.setitem(verbs.VERBS, "broken", "break")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, out, err = call(["broken"])

    assert (code, out) == (Exit.INTERNAL, "")
    saved = Path(err.split("the traceback is in ")[1].strip())
    assert "ZeroDivisionError: x" in saved.read_text()
    assert saved.stat().st_mode & 0o777 == 0o600
    assert "Traceback" not in err


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """`render | head -1` ends quietly."""
    path = place(tmp_path)
    command = f"{sys.executable} -m nodegate_host -c {path} render | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_quiet_and_verbose_change_only_what_is_told() -> None:
    """With -q progress is silent, with -v there is more of it; warnings and results always come."""
    said = {}
    for verbosity in (-1, 0, 1):
        out, err = io.StringIO(), io.StringIO()
        output = Output(out, err, verbosity=verbosity)
        output.note("note")
        output.detail("detail")
        output.warn("warn")
        output.result("result", "K", {})
        said[verbosity] = (out.getvalue(), err.getvalue())

    assert said == {
        -1: ("result\n", "warning: warn\n"),
        0: ("result\n", "note\nwarning: warn\n"),
        1: ("result\n", "note\ndetail\nwarning: warn\n"),
    }


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what would colour the output of a person who runs the tests."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)

"""The verbs preflight, diagnose and explain: exit codes, JSON, selection, redaction; nothing is written."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nodegate_host.redaction import redact
from nodegate_host.rules.packing import archive
from tests.builders import ROOT
from tests.unit.host.sample import call, place

GUIDE = ROOT / "tests" / "fixtures" / "host" / "guide"
_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 (made up)


def _json(*words: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = call([*words, "-o", "json"])
    found = json.loads(out)
    assert found["apiVersion"] == "cli.nodegate.dev/v1"
    assert "\033" not in out
    return code, found


def _preflight(tmp_path: Path, root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    return _json("preflight", "-c", str(place(tmp_path)), "--root", str(root), *words)


def test_preflight_of_a_guide_host_fails_with_3_and_says_why(tmp_path: Path) -> None:
    """Every check is one item; errors carry message, evidence and remedy."""
    code, found = _preflight(tmp_path, GUIDE)
    items = {each["id"]: each for each in found["items"]}

    assert (code, found["kind"], found["summary"]["ok"]) == (3, "Preflight", False)
    assert found["summary"]["checks"] == len(items) == 60
    assert items["ident.admin"]["status"] == "error"
    assert items["ident.admin"]["findings"][0]["evidence"] == [
        {"where": "/etc/kubernetes/kubelet.kubeconfig", "line": None}
    ]
    assert items["host.swap"]["findings"][0]["remedy"].startswith("swapoff")
    assert (items["host.root"]["status"], bool(items["host.root"]["reason"])) == ("skipped", True)


def test_preflight_counts_add_up(tmp_path: Path) -> None:
    """Passed, warnings, errors and skipped are all there are."""
    summary = _preflight(tmp_path, GUIDE)[1]["summary"]

    assert sum(summary[each] for each in ("passed", "warnings", "errors", "skipped")) == summary["checks"]


@pytest.mark.parametrize(
    ("words", "code", "count"),
    [
        (["--only", "host.swap"], 3, 1),
        (["--only", "host.swap", "--ignore", "host.swap"], 0, 1),
        (["--only", "host.swap,ident.admin", "--ignore", "all"], 0, 2),
        (["--only", "host", "--skip", "host.swap"], 0, 18),
        (["--phase", "etcd"], 0, 3),
    ],
)
def test_preflight_selects(tmp_path: Path, words: list[str], code: int, count: int) -> None:
    """The flags choose, leave out and weaken; what is chosen decides the exit code."""
    found = _preflight(tmp_path, GUIDE, *words)

    assert (found[0], len(found[1]["items"])) == (code, count)


def test_preflight_refuses_an_id_that_names_nothing(tmp_path: Path) -> None:
    """A misspelt id is a wrong call, not a passed check."""
    code, _, err = call(["preflight", "-c", str(place(tmp_path)), "--root", str(GUIDE), "--only", "host.swop"])

    assert code == 2
    assert "host.swop" in err


def test_preflight_text_tells_faults_first_and_the_rest_with_v(tmp_path: Path) -> None:
    """Without -v only findings and the counts; with it each check."""
    words = ["preflight", "-c", str(place(tmp_path)), "--root", str(GUIDE)]
    brief, full = call(words)[1], call([*words, "-v"])[1]

    assert brief.splitlines()[0].startswith("FAIL  ")
    assert "PASS" not in brief
    assert "PASS  name.valid" in full
    assert brief.splitlines()[-1].startswith("60 checks: ")


def test_preflight_takes_input_files_from_beside_the_node_yaml(tmp_path: Path) -> None:
    """A relative caFile is read where the file is, not from the working directory."""
    config = place(tmp_path)
    words = ["preflight", "-c", str(config), "--root", str(GUIDE), "--only", "api.tls"]
    (tmp_path / "ca.crt").write_bytes((GUIDE / "etc/kubernetes/ssl/ca.pem").read_bytes())

    assert _json(*words)[1]["items"][0]["status"] == "skipped"


def test_diagnose_ranks_causes_and_lists_the_unknown(tmp_path: Path) -> None:
    """JSON: causes first, each with evidence, then errors that no rule knows."""
    journal = tmp_path / "j"
    journal.write_text(
        "Apr 03 16:00:00 n kubelet[1]: -v,--v Level\nApr 03 16:00:01 n kubelet[1]: E0403 16:00:01.0 1 x.go:1] odd\n"
    )

    code, found = _json("diagnose", "--root", str(GUIDE), "--journal-file", str(journal))

    assert (code, found["kind"]) == (0, "Diagnosis")
    assert found["summary"] == {"lines": 2, "causes": 1, "errors": 1, "unknown": 1}
    assert [each["id"] for each in found["items"]] == ["D1", "unknown"]
    assert found["items"][0]["faq"] == 1
    evidence = found["items"][0]["evidence"]
    assert any(each["where"] == "/etc/kubernetes/kubelet" and each["line"] == 3 for each in evidence)


def test_diagnose_of_the_guide_host_names_the_driver_flag(tmp_path: Path) -> None:
    """FAQ 3: the file and line of the kubelet's flag stand in the evidence."""
    journal = tmp_path / "j"
    journal.write_text(
        'kubelet[1]: kubelet cgroup driver: "cgroupfs" is different from docker cgroup driver: "systemd"\n'
    )

    out = call(["diagnose", "--root", str(GUIDE), "--journal-file", str(journal)])[1]

    assert "CAUSE  D3, FAQ 3" in out
    assert "at  /etc/kubernetes/kubelet:4: --cgroup-driver=cgroupfs" in out


def test_diagnose_can_be_narrowed_to_a_unit(tmp_path: Path) -> None:
    """Lines of other units are left out."""
    journal = tmp_path / "j"
    journal.write_text("flanneld[1]: unknown flag: --x\nkubelet[1]: unknown flag: --y\n")

    _, found = _json("diagnose", "--root", str(GUIDE), "--journal-file", str(journal), "--unit", "kubelet.service")

    assert found["summary"]["lines"] == 1


def test_diagnose_without_a_journal_is_a_wrong_call(tmp_path: Path) -> None:
    """A file that is not there is told, with its name."""
    code, _, err = call(["diagnose", "--journal-file", str(tmp_path / "none")])

    assert code == 2
    assert "none" in err


def test_diagnose_shows_no_secret_of_a_journal(tmp_path: Path) -> None:
    """Tokens in logs are marked, not shown, in text and in JSON, in causes and in unknown errors."""
    journal = tmp_path / "j"
    journal.write_text(
        f"kubelet[1]: Unauthorized token: {_TOKEN}\nkubelet[1]: E0403 16:00:01.0 1 x.go:1] odd {_TOKEN}\n"
    )
    words = ["diagnose", "--root", str(GUIDE), "--journal-file", str(journal)]

    assert _TOKEN not in call(words)[1]
    assert _TOKEN not in call([*words, "-o", "json"])[1]


def test_a_bundle_holds_what_helps_and_no_secret(tmp_path: Path) -> None:
    """Units, environment files, journal and node.yaml are in it, kubeconfigs and keys are not; tokens are marked."""
    journal, out = tmp_path / "j", tmp_path / "out.tgz"
    journal.write_text(f"kubelet[1]: Unauthorized token {_TOKEN}\n")
    config = tmp_path / "node.yaml"
    config.write_text(f"bootstrap:\n  token: {_TOKEN}\n")
    words = ["diagnose", "--root", str(GUIDE), "-c", str(config), "--journal-file", str(journal), "--bundle", str(out)]

    assert call(words)[0] == 0
    with tarfile.open(out) as tar:
        texts = {each.name: (tar.extractfile(each) or io.BytesIO()).read().decode() for each in tar.getmembers()}

    assert out.stat().st_mode & 0o777 == 0o600
    assert "nodegate-diagnosis/files/etc/kubernetes/kubelet" in texts
    assert "nodegate-diagnosis/files/usr/lib/systemd/system/flanneld.service" in texts
    assert {
        "nodegate-diagnosis/journal.txt",
        "nodegate-diagnosis/diagnosis.json",
        "nodegate-diagnosis/node.yaml",
    } <= set(texts)
    assert not any("kubeconfig" in name or name.endswith((".pem", ".key")) for name in texts)
    assert not any(_TOKEN in text for text in texts.values())
    assert call(words)[0] == 9


def test_equal_bundles_are_equal_bytes() -> None:
    """Order, times and owners in the archive are fixed."""
    assert archive({"b": "1", "a": "2"}) == archive({"a": "2", "b": "1"})


@pytest.mark.parametrize(("given", "kind"), [("host.swap", "check"), ("D3", "rule"), ("d3b", "rule"), ("E17", "guide")])
def test_explain_tells_about_one(given: str, kind: str) -> None:
    """Checks, rules and the guide's errors have a long text and a remedy; case does not matter for rules."""
    if given == "d3b":
        assert call(["explain", "D3b"])[0] == 0
        return
    code, found = _json("explain", given)

    assert (code, found["items"][0]["kind"]) == (0, kind)
    assert found["items"][0]["text"]
    assert found["items"][0]["remedy"]


def test_explain_lists_all_and_suggests() -> None:
    """57 numbers with 60 ids, 27 rules, 30 errors; a near name is proposed."""
    assert _json("explain")[1]["summary"] == {"count": 117}
    code, _, err = call(["explain", "host.swop"])
    assert code == 2
    assert "did you mean host.swap?" in err


@pytest.mark.parametrize(
    "text",
    [
        f"token {_TOKEN} here",
        "Authorization: Bearer abcDEF123456.xyz",
        "    token: supersecretvalue",
        "client-key-data: c3VwZXJzZWNyZXR2YWx1ZQ==",
        "--token=supersecretvalue",
        '  password = "supersecretvalue"',
        '"auth": "supersecretvalue",',
        "https://user:supersecretvalue@host/",
        "-----BEGIN EC PRIVATE KEY-----\nsupersecretvalue\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nsupersecretvalue",
    ],
)
def test_redacts_secrets(text: str) -> None:
    """What is secret is replaced by a mark that tells equal from different."""
    found = redact(text)

    assert "[redacted sha256:" in found
    assert not any(each in found for each in ("supersecretvalue", _TOKEN, "abcDEF123456", "c3VwZXJz"))


@pytest.mark.parametrize(
    "text", ["kubelet v1.36.2 started", "node-a.example.org", "10.244.0.0/16", "https://10.0.0.1:6443/api"]
)
def test_leaves_other_text_alone(text: str) -> None:
    """Names, versions and addresses are no secrets."""
    assert redact(text) == text

"""The documents tell the truth: generated parts match the code, and what they name exists."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from hack import docs, evidence
from nodegate.cli.__main__ import main as plugin
from nodegate.csr.decide import RULES
from nodegate.csr.model import Reason
from nodegate.csr.rules.rule import Rule
from nodegate.enrollment.parse import parse_enrollment
from tests.builders import ROOT, load_vectors

README = ROOT / "README.md"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
"""Every document for people."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ABSOLUTE = re.compile(r"(?<![\w.~/-])/(home|root|work|tmp|mnt|opt|srv|Users|farm)/\w")
_REGISTRY = re.compile(
    r"\b((pypi|pythonhosted|npmjs|golang|quay|docker|ghcr|gcr|crates|debian)\.(org|com|io)|registry\.\w+)\b"
)
_ADR_PARTS = ("Context", "Decision", "Consequences", "Alternatives refused")
_PAGE_LINES = 60
"""Lines of one printed page."""


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    """Return the anchors that a forge makes of a page's headings."""
    headings = (match[1].lower() for match in _HEADING.finditer(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def _makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _copied(folder: Path) -> Path:
    """Return a folder that holds the generated documents."""
    for name in docs.DOCUMENTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_documents_are_what_the_code_makes_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has changed a rule, a remedy or a flag without the documents."""
    status = docs.main(["--check"])

    assert (capsys.readouterr().out, status) == ("", 0)


def test_check_shows_what_is_stale_and_writing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed row, flag and remedy are each found, shown as a diff, left alone by --check, and mended."""
    root = _copied(tmp_path)
    for name, old, new in (
        ("README.md", "| `NotEnrolled` | Hold |", "| `NotEnrolled` | Deny |"),
        ("docs/configuration.md", "| `32` |", "| `64` |"),
        ("docs/troubleshooting.md", "**Do:** Make a new key", "**Do:** Keep the key"),
        ("docs/crd/nodeenrollment.md", "| `spec.rejoin` |", "| `spec.joinAgain` |"),
        ("docs/crd/flannelnetwork.md", "| `spec.prefix` |", "| `spec.folder` |"),
        ("docs/crd/nodeenrollmentpool.md", "| `spec.namePattern` |", "| `spec.names` |"),
        ("docs/host.md", "| E1 |", "| E0 |"),
    ):
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    status, shown = docs.main(["--check"], root), capsys.readouterr().out

    assert status == 1
    assert all(f"--- {name}" in shown for name in docs.DOCUMENTS)
    assert "-| 6 | `NotEnrolled` | Deny |" in shown
    assert docs.main([], root) == 0
    assert docs.main(["--check"], root) == 0
    assert all((root / name).read_text() == (ROOT / name).read_text() for name in docs.DOCUMENTS)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("README.md", "<!-- rules:end -->", "", "rules:end"),
        ("docs/troubleshooting.md", "### NotEnrolled\n", "### NotEnroled\n", "NotEnroled"),
        ("docs/troubleshooting.md", "**Do:** Make a new key", "Make a new key", "KeyNotAllowed"),
    ],
)
def test_a_document_that_cannot_be_filled_in_is_an_error(
    name: str, old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lost marker, section or line stops the generator with its name, and nothing is written."""
    root = _copied(tmp_path)
    (root / name).write_text((root / name).read_text().replace(old, new))

    assert docs.main([], root) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert name in captured.err
    assert said in captured.err


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.reason))
def test_every_rule_is_proved(rule: Rule) -> None:
    """Each row of the table has vectors, or, where a single request cannot show it, tests that name it."""
    assert evidence.vectors(rule.reason) >= 3 or evidence.tests(rule.reason)


def test_readme_has_at_most_200_lines() -> None:
    """Somebody in a hurry reads it to the end."""
    assert len(README.read_text().splitlines()) <= 200


def test_readme_names_the_two_commands() -> None:
    """The demo and the tests are each one command, near the top."""
    top = README.read_text().splitlines()[:20]

    assert [line.split("#")[0].strip() for line in top if line.startswith("make ")] == ["make demo", "make test"]


def test_relative_links_resolve() -> None:
    """Every link inside the repository leads to a file, and to a heading where it names one."""
    broken = []
    for page in PAGES:
        for link in _LINK.findall(page.read_text()):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if "://" not in link and (not target.exists() or (anchor and anchor not in _anchors(target))):
                broken.append(f"{_name(page)}: {link}")

    assert broken == []


def test_make_targets_exist() -> None:
    """Every `make TARGET` that a document names is one."""
    named = {
        (target, _name(page))
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE)
    }

    assert {"demo", "test", "check", "verify"} <= {target for target, _ in named}
    assert [(target, page) for target, page in sorted(named) if target not in _makefile_targets()] == []


def test_plugin_verbs_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every `kubectl nodegate VERB` that a document names can be called."""
    verbs = {verb for page in PAGES for verb in re.findall(r"kubectl nodegate ([a-z]+)", page.read_text())}

    assert {"explain", "list"} <= verbs
    for verb in sorted(verbs):
        with pytest.raises(SystemExit) as ended:
            plugin([verb, "--help"])
        assert ended.value.code == 0, verb
    capsys.readouterr()


def test_metrics_exist() -> None:
    """Every metric that a document names is one of the operator's."""
    source = (ROOT / "operator/nodegate/metrics.py").read_text()
    named = {
        metric for page in PAGES for metric in re.findall(r"`?\bnodegate_(\w+)", page.read_text()) if metric != "host"
    }

    assert "csr_held" in named
    assert [metric for metric in sorted(named) if f'{metric}"' not in source] == []


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_it_means_and_who_mends_it(reason: Reason) -> None:
    """Between the rule and the remedy stands a person's own explanation."""
    page = (ROOT / "docs/troubleshooting.md").read_text()
    section = page.partition(f"\n### {reason}\n")[2].partition("\n##")[0]
    written = [line for line in section.splitlines() if line and not line.startswith(("*", "**Do:**"))]

    assert len(" ".join(written)) > 40
    assert reason.endswith("Approved") or any("mend" in line for line in written)


def test_sample_output_is_the_plugins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the README shows of explain is, line by line, what the plugin prints for that vector."""
    vector = next(v for v in load_vectors() if v.name == "NodeAlreadyJoined/kops-409-node-ready")
    request, facts = tmp_path / "csr.yaml", tmp_path / "facts.yaml"
    request.write_text(yaml.safe_dump(vector.csr))
    facts.write_text(yaml.safe_dump_all(vector.manifests))
    monkeypatch.setenv("COLUMNS", "110")
    sample = README.read_text().partition("$ kubectl nodegate explain")[2].partition("```")[0].splitlines()[1:]

    plugin(["explain", "-f", str(request), "--with", str(facts), "--at", "2030-01-31T12:00:00Z"])

    printed = capsys.readouterr().out.splitlines()
    assert len(sample) > 10
    assert [line for line in sample if line not in printed] == []


def test_first_enrollment_is_one_that_can_be_used() -> None:
    """The README's manifest is read as an enrollment with nothing in it that is not acted on."""
    text = README.read_text().partition("```yaml\n")[2].partition("```")[0]
    enrollment = parse_enrollment(yaml.safe_load(text), offline=True)

    assert (enrollment.name, enrollment.expected_token_id, enrollment.unacted_fields) == ("node-a", "abcdef", ())


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_names_no_machine_and_no_registry(page: Path) -> None:
    """A document holds for every machine and every mirror."""
    text = page.read_text()

    assert [match.group() for match in _ABSOLUTE.finditer(text)] == []
    assert [match.group() for match in _REGISTRY.finditer(text)] == []


def test_decision_records_have_their_form() -> None:
    """Numbers run without gaps; each record has the four parts, in order, on one page."""
    records = sorted((ROOT / "docs/adr").glob("*.md"))

    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {record.name[:4]}: "), record.name
        assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == _ADR_PARTS, record.name
        assert len(text.splitlines()) <= _PAGE_LINES, record.name


def test_the_patterns_find_what_they_are_for() -> None:
    """The two patterns above can fail: they know an absolute path and a registry when they see one."""
    assert _ABSOLUTE.search("see /home/anna/x") is not None
    assert _ABSOLUTE.search("a lost /var/lib/kubelet/pki, ~/.cache/nodegate") is None
    assert _REGISTRY.search("from the index at files." + "pythonhosted" + ".org") is not None
    assert _REGISTRY.search("an object of networking.k8s.io/v1, as pypi calls it") is None

"""``explain`` offline: what it prints, to the letter, and what it ends with.

The golden files are what people and scripts see; ``NODEGATE_GOLDEN=write`` rewrites them, and the
difference is then read by a person.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodegate.cli.decisions import undecided
from tests.unit.cli import samples
from tests.unit.cli.command import run, write

GOLDEN = Path(__file__).with_name("golden")

FACTS = (
    samples.enrollment(addresses=["10.0.0.5"], bootstrap={"tokenID": "abcdef"}),
    samples.enrollment("node-b", addresses=["10.0.0.9"], dnsNames=["node-b.corp"]),
    samples.node(ready="False"),
    samples.service_cidr("10.96.0.0/12"),
    samples.service(),
)
DENIED = samples.serving(dns=["node-a", "node-b.corp", "*.corp"], ips=["10.0.0.5", "10.96.0.1", "10.0.0.9"])
STRANGER = samples.bootstrap("csr-z", request=samples.pem("node-z"))
DECIDED = samples.decided(
    samples.bootstrap("csr-d"), "Denied", "TokenMismatch", "TokenMismatch: expected token abcdef, found token 123456."
)
HOSTILE = samples.bootstrap(
    "csr-\x1b[31m",
    username="system:bootstrap:\u202eabc\n",
    request=samples.pem(organization="evil\x1b]0;title\x07"),
)


def explain(folder: Path, requests: tuple[dict[str, Any], ...], *words: str) -> str:
    """Explain requests on the facts, and return what was printed."""
    files = ("-f", write(folder, "csr.json", *requests), "--with", write(folder, "facts.json", *FACTS))
    done = run("explain", *files, "--at", samples.AT, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("name", "requests", "words"),
    [
        ("approve.table.txt", (samples.bootstrap(),), ()),
        ("approve.wide.txt", (samples.bootstrap(),), ("-o", "wide")),
        ("approve.json", (samples.bootstrap(),), ("-o", "json")),
        ("deny.table.txt", (DENIED,), ()),
        ("deny.wide.txt", (DENIED,), ("-o", "wide")),
        ("hold.table.txt", (STRANGER,), ()),
        ("ignore.table.txt", (DECIDED,), ()),
        ("as-if-undecided.table.txt", (DECIDED,), ("--as-if-undecided",)),
        ("hostile.table.txt", (HOSTILE,), ()),
        ("hostile.json", (HOSTILE,), ("-o", "json")),
        ("several.table.txt", (samples.bootstrap(), STRANGER, DECIDED), ()),
    ],
)
def test_output_is_as_agreed(
    tmp_path: Path, name: str, requests: tuple[dict[str, Any], ...], words: tuple[str, ...]
) -> None:
    """What is printed is the golden file, letter by letter."""
    printed = explain(tmp_path, requests, *words)

    if os.environ.get("NODEGATE_GOLDEN") == "write":
        (GOLDEN / name).write_text(printed, encoding="utf-8")
    assert printed == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml"])
def test_hostile_text_is_printable(tmp_path: Path, output: str) -> None:
    """Nothing that a requester chose reaches the terminal as a control or bidirectional character."""
    printed = explain(tmp_path, (HOSTILE,), "-o", output)

    assert all(line.isprintable() for line in printed.splitlines())


@pytest.mark.parametrize("columns", [40, 80, 120, 180])
def test_lines_keep_to_the_width(tmp_path: Path, columns: int) -> None:
    """No line is longer than the terminal is wide, and none ends in blanks."""
    files = ("-f", write(tmp_path, "csr.json", DENIED), "--with", write(tmp_path, "facts.json", *FACTS))
    printed = run("explain", *files, "-o", "wide", env={"COLUMNS": str(columns)}).stdout.splitlines()

    assert max(len(line) for line in printed) <= max(columns, 72)
    assert all(line == line.rstrip() for line in printed)


def test_yaml_says_what_json_says(tmp_path: Path) -> None:
    """The two object formats hold the same values."""
    as_json, as_yaml = explain(tmp_path, (DENIED,), "-o", "json"), explain(tmp_path, (DENIED,), "-o", "yaml")

    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_several_requests_make_a_list(tmp_path: Path) -> None:
    """Several requests give an ExplanationList in order; exactly one gives an Explanation, however it came."""
    several = json.loads(explain(tmp_path, (samples.bootstrap(), STRANGER), "-o", "json"))
    listed = {"apiVersion": "v1", "kind": "List", "items": [STRANGER]}
    one = json.loads(run("explain", "-f", write(tmp_path, "one.json", listed), "-o", "json").stdout)

    assert (several["apiVersion"], several["kind"]) == ("cli.nodegate.dev/v1", "ExplanationList")
    assert [item["csr"]["name"] for item in several["items"]] == ["node-csr-a", "csr-z"]
    assert one["kind"] == "Explanation"


@pytest.mark.parametrize(
    ("requests", "words", "expected"),
    [
        ((samples.bootstrap(),), (), 0),
        ((STRANGER,), (), 10),
        ((DENIED,), (), 11),
        ((DECIDED,), (), 12),
        ((DENIED,), ("--never-deny",), 10),
        ((DECIDED,), ("--as-if-undecided",), 0),
        ((samples.bootstrap(), DECIDED), (), 12),
        ((DECIDED, STRANGER), (), 10),
        ((DECIDED, STRANGER, DENIED, samples.bootstrap()), (), 11),
        ((samples.bootstrap(),), ("--bootstrap-group", "joiners"), 11),
    ],
)
def test_exit_code_tells_the_most_severe_verdict(
    tmp_path: Path, requests: tuple[dict[str, Any], ...], words: tuple[str, ...], expected: int
) -> None:
    """With --exit-code: Deny over Hold over Ignore over Approve; without it always 0."""
    files = ("-f", write(tmp_path, "csr.json", *requests), "--with", write(tmp_path, "facts.json", *FACTS))

    assert run("explain", *files, "--exit-code", *words).returncode == expected
    assert run("explain", *files, *words).returncode == 0


def test_moment_is_the_one_given(tmp_path: Path) -> None:
    """A window is judged at --at, bounds included."""
    window = samples.enrollment(bootstrap={"notBefore": "2030-01-01T00:00:00Z", "notAfter": "2030-01-02T00:00:00Z"})
    files = ("-f", write(tmp_path, "c.json", samples.bootstrap()), "--with", write(tmp_path, "e.json", window))
    moments = ("2029-12-31T23:59:59Z", "2030-01-01T00:00:00Z", "2030-01-02T01:00:00+01:00", "2030-01-02T00:00:01Z")

    codes = [run("explain", *files, "--exit-code", "--at", at).returncode for at in moments]

    assert codes == [10, 0, 0, 10]


def test_requests_come_by_stdin() -> None:
    """A dash reads the requests from standard input."""
    done = run("explain", "-f", "-", "-o", "json", text=json.dumps(samples.bootstrap()))

    assert json.loads(done.stdout)["csr"]["name"] == "node-csr-a"


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ((samples.node(),), "expected a CertificateSigningRequest, found a Node; give facts by --with"),
        (
            (samples.bootstrap(), samples.enrollment()),
            "item 2: expected a CertificateSigningRequest, found a NodeEnrollment",
        ),
        (({"kind": "List", "items": []},), "expected a CertificateSigningRequest, found no object"),
        (({"metadata": {}},), "found an object without a kind"),
        ((samples.bootstrap(), samples.bootstrap(usages="x")), "item 2: spec.usages: expected a list of strings"),
    ],
)
def test_a_file_that_cannot_be_judged_judges_nothing(
    tmp_path: Path, bodies: tuple[dict[str, Any], ...], message: str
) -> None:
    """One object that is no signing request: exit 2, a message that says what was found, and no verdict at all."""
    done = run("explain", "-f", write(tmp_path, "csr.json", *bodies))

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected the name of a request or -f FILE"),
        (("a", "-f", "b"), "expected names or -f, found both"),
        (("a", "--with", "b"), "expected --with together with -f"),
        (("-f", "-", "--with", "-"), "stdin can be read once"),
        (("-f", "x", "--at", "2030-01-01"), "expected a moment in RFC 3339"),
        (("-f", "x", "--at", "2030-01-01T00:00:00"), "expected a moment in RFC 3339"),
        (("-f", "x", "--at", "2030-02-30T00:00:00Z"), "expected a moment in RFC 3339"),
        (("x", "--request-timeout", "soon"), "expected a duration such as 30s"),
        (("-f", "x", "-o", "xml"), "invalid choice: 'xml'"),
    ],
)
def test_words_that_cannot_be_used_are_told(words: tuple[str, ...], message: str) -> None:
    """A mistake on the command line ends with 2 and says what was expected."""
    done = run("explain", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_facts_of_an_unknown_kind_stop_the_judgement(tmp_path: Path) -> None:
    """A fact that is none is a mistake, and nothing is judged on the rest."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    files = ("-f", write(tmp_path, "c.json", samples.bootstrap()), "--with", write(tmp_path, "s.json", secret))

    done = run("explain", *files)

    assert (done.returncode, done.stdout) == (2, "")
    assert "found Secret of v1" in done.stderr


def test_undecided_takes_only_the_decision_away() -> None:
    """Conditions and certificate go, everything else stays, and the object itself is not touched."""
    body = {**DECIDED, "status": {**DECIDED["status"], "certificate": "eA==", "other": 1}}

    assert undecided(body)["status"] == {"other": 1}
    assert undecided(body)["spec"] is DECIDED["spec"]
    assert "conditions" in body["status"]
    assert undecided(samples.bootstrap()) == samples.bootstrap()

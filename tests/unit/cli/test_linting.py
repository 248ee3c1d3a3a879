"""``lint``: where findings stand, what is judged besides the schema, and what it ends with."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli import samples
from tests.unit.cli.command import run, write

GOLDEN = Path(__file__).with_name("golden")

BROKEN = """\
# A comment, so that lines are not what documents count.
apiVersion: nodegate.dev/v1alpha1
kind: NodeEnrollment
metadata:
  name: node-a
spec:
  addresses:
    - 10.0.0.5
    - FD00::5
    - 127.0.0.1
  bootstrap:
    tokenID: 123456
    maxjoins: 2
---
apiVersion: nodegate.dev/v1alpha1
kind: NodeEnrollment
metadata: {name: node-b}
spec:
  addresses: [10.0.0.9, 10.96.0.1, "fe80::1"]
  dnsNames: [node-b, localhost]
  bootstrap: {maxJoins: 11, notAfter: "2030-01-01T00:00:00Z"}
  rejoin: Always
---
apiVersion: nodegate.dev/v1alpha1
kind: NodeEnrollment
metadata: {name: node-c}
spec:
  addresses: [10.0.0.9]
  bootstrap: {tokenID: abcdef}
---
apiVersion: nodegate.dev/v1alpha1
kind: NodeEnrollment
metadata: {name: node-d}
spec:
  bootstrap: {tokenID: abcdef}
  node: {labels: {rack: r1}}
---
apiVersion: nodegate.dev/v1alpha1
kind: NodeEnrollment
metadata: {name: node-d}
spec:
  bootstrap: {token: {issue: true}}
---
apiVersion: nodegate.dev/v1alpha1
kind: NodeEnrolment
metadata: {name: node-e}
spec: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
---
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1}
---
a: [
"""


def lint(folder: Path, *bodies: dict[str, Any], words: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Lint objects and return the findings."""
    done = run("lint", write(folder, "objects.json", *bodies), "--at", samples.AT, "-o", "json", *words)
    found: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    return found


def rules(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return severity, field and rule of each finding."""
    return [(each["severity"], each["field"], each["rule"]) for each in found]


@pytest.mark.parametrize(("name", "words"), [("lint.table.txt", ()), ("lint.json", ("-o", "json"))])
def test_output_is_as_agreed(tmp_path: Path, name: str, words: tuple[str, ...]) -> None:
    """What is printed is the golden file, with the file's own lines."""
    (tmp_path / "enrollments.yaml").write_text(BROKEN, encoding="utf-8")
    done = run("lint", str(tmp_path / "enrollments.yaml"), "--at", samples.AT, *words)
    printed = done.stdout.replace(f"{tmp_path}/", "")

    if os.environ.get("NODEGATE_GOLDEN") == "write":
        (GOLDEN / name).write_text(printed, encoding="utf-8")
    assert done.returncode == 1
    assert printed == (GOLDEN / name).read_text(encoding="utf-8")


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """YAML lists, JSON and nested items all lead to the line of the field."""
    bad = samples.enrollment(addresses=["10.0.0.5", "nonsense"])
    listed = {"apiVersion": "v1", "kind": "List", "items": [samples.enrollment("node-x"), bad]}
    (tmp_path / "a.json").write_text("\n\n" + json.dumps(listed, indent=2), encoding="utf-8")

    (line,) = [line for line in run("lint", str(tmp_path / "a.json")).stdout.splitlines() if ": error: " in line]
    number = int(line.removeprefix(f"{tmp_path}/a.json:").partition(":")[0])

    assert '"nonsense"' in (tmp_path / "a.json").read_text().splitlines()[number - 1]


def test_a_json_that_yaml_cannot_read_still_has_a_line(tmp_path: Path) -> None:
    """A pair of surrogates is no YAML: the finding has the object's own line."""
    bad = samples.enrollment(node={"annotations": {"a": "\U0001f600"}}, rejoin="Sometimes")
    (tmp_path / "a.json").write_text("\n" + json.dumps(bad, indent=2), encoding="utf-8")

    assert f"{tmp_path}/a.json:2: error: spec.rejoin: " in run("lint", str(tmp_path / "a.json")).stdout


@pytest.mark.parametrize(
    ("words", "spec", "code"),
    [
        ((), {"bootstrap": {"tokenID": "abcdef"}}, 0),
        (("--strict",), {"bootstrap": {"tokenID": "abcdef"}}, 0),
        (("--strict",), {}, 0),
        ((), {"node": {"labels": {"a": "b"}}}, 0),
        (("--strict",), {"node": {"labels": {"a": "b"}}}, 1),
        ((), {"state": "active"}, 1),
    ],
)
def test_exit_code(tmp_path: Path, words: tuple[str, ...], spec: dict[str, Any], code: int) -> None:
    """Errors end with 1, warnings only with --strict, notes never."""
    assert run("lint", write(tmp_path, "e.json", samples.enrollment(**spec)), *words).returncode == code


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, [("info", "spec", "open")]),
        ({"bootstrap": {"maxJoins": 1}}, [("info", "spec.bootstrap", "open")]),
        ({"rejoin": "Always"}, [("info", "spec", "open"), ("warning", "spec.rejoin", "open-rejoin")]),
        ({"state": "Suspended"}, []),
        ({"bootstrap": {"users": ["kubelet-bootstrap"]}}, []),
        ({"bootstrap": {"publicKeySHA256": "0" * 64}}, []),
        (
            {"bootstrap": {"token": {"issue": True}}},
            [("warning", "spec.bootstrap.token.issue", "unacted")],
        ),
        ({"bootstrap": {"tokenID": "abcdef", "maxJoins": 11}}, [("info", "spec.bootstrap.maxJoins", "many-joins")]),
        ({"bootstrap": {"tokenID": "abcdef", "maxJoins": 10}}, []),
        (
            {"bootstrap": {"tokenID": "abcdef", "notAfter": "2030-01-31T11:59:59Z"}},
            [("warning", "spec.bootstrap.notAfter", "window-past")],
        ),
        ({"bootstrap": {"tokenID": "abcdef", "notAfter": samples.AT}}, []),
        ({"bootstrap": {"tokenID": "abcdef"}, "dnsNames": ["node-a"]}, [("info", "spec.dnsNames[0]", "own-name")]),
        (
            {"bootstrap": {"tokenID": "abcdef"}, "dnsNames": ["kubernetes.default.svc"], "addresses": ["10.96.0.7"]},
            [("error", "spec.addresses[0]", "reserved"), ("error", "spec.dnsNames[0]", "reserved")],
        ),
    ],
)
def test_judgement(tmp_path: Path, spec: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    """What the schema accepts is judged beside the other objects in the files."""
    facts = (samples.service_cidr("10.96.0.0/12"), samples.node())

    assert sorted(rules(lint(tmp_path, samples.enrollment(**spec), *facts))) == sorted(expected)


def test_shared_identities_name_each_other(tmp_path: Path) -> None:
    """An address, a name and a node's own name in two enrollments are errors in both; a revoked one shares nothing."""
    pinned = {"bootstrap": {"users": ["u"]}}
    first = samples.enrollment("node-a", addresses=["10.0.0.5"], **pinned)
    second = samples.enrollment("node-b", addresses=["10.0.0.5"], dnsNames=["node-a"], **pinned)

    found = lint(tmp_path, first, second)
    revoked = lint(tmp_path, first, {**second, "spec": {**second["spec"], "state": "Revoked"}})

    assert sorted(rules(found)) == [
        ("error", "metadata.name", "conflict"),
        ("error", "spec.addresses[0]", "conflict"),
        ("error", "spec.addresses[0]", "conflict"),
        ("error", "spec.dnsNames[0]", "conflict"),
    ]
    assert "10.0.0.5 also in node-b in " in found[0]["message"] + found[1]["message"]
    assert revoked == []


def test_a_joined_nodes_window_may_be_over(tmp_path: Path) -> None:
    """The window is about the first certificate: for a node that has joined its end is no news."""
    enrollment = samples.enrollment(bootstrap={"users": ["u"], "notAfter": "2029-01-01T00:00:00Z"})

    assert lint(tmp_path, {**enrollment, "status": {"node": {"uid": "x"}}}) == []


@pytest.mark.parametrize(
    ("request_body", "severity", "start"),
    [
        (samples.bootstrap(), "info", "explain says Approve: BootstrapApproved"),
        (samples.bootstrap(username="system:bootstrap:123456"), "error", "explain says Deny: TokenMismatch: expected"),
        (samples.bootstrap(request=samples.pem("node-z")), "warning", "explain says Hold: NotEnrolled: expected"),
        (samples.bootstrap(username="jane", groups=[]), "info", "explain says Ignore: RequesterNotManaged"),
    ],
)
def test_requests_are_judged_as_explain_does(
    tmp_path: Path, request_body: dict[str, Any], severity: str, start: str
) -> None:
    """A signing request in the files is judged by the enrollments in the files."""
    (found,) = lint(tmp_path, samples.enrollment(bootstrap={"tokenID": "abcdef"}), request_body)

    assert (found["severity"], found["rule"]) == (severity, "verdict")
    assert found["message"].startswith(start)


def test_a_request_is_not_approved_by_what_could_not_be_read(tmp_path: Path) -> None:
    """Beside an enrollment with a fault a request is held at least: the fault may be what would deny it."""
    found = lint(
        tmp_path,
        samples.enrollment(bootstrap={"tokenID": "abcdef"}),
        samples.enrollment("node-b", addresses=["x"]),
        samples.bootstrap(),
    )

    assert next(each["message"] for each in found if each["rule"] == "verdict").startswith("explain says Hold")


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"kind": "NodeEnrollment"}, "apiVersion", "expected nodegate.dev/v1alpha1, found nothing"),
        ({"apiVersion": "nodegate.dev/v1alpha1"}, "kind", "found none"),
        ({"apiVersion": "nodegate.dev/v1alpha1", "kind": "Nonsense"}, "kind", "found Nonsense"),
        ({"apiVersion": "x/v1", "kind": "NodeEnrollments"}, "kind", "did you mean NodeEnrollment?"),
        ({"apiVersion": "x/v1", "kind": "Node"}, "kind", "found Node of x"),
        ({**samples.enrollment(), "spek": {}}, "spek", "did you mean spec?"),
        ({**samples.enrollment(), "metadata": {"nam": "a"}}, "metadata.nam", "did you mean name?"),
        ({**samples.enrollment(), "metadata": {"nam": "a"}}, "metadata.name", "found nothing"),
        ({**samples.enrollment(), "metadata": {"name": 5}}, "metadata.name", "write it in quotes"),
        ({**samples.enrollment(), "metadata": None}, "metadata", "expected an object with a name"),
        ({**samples.enrollment(), "status": {"joins": [{}]}}, "", "status.joins[0].time"),
        ({"apiVersion": "v1", "kind": "Node", "metadata": {}}, "", "expected a name"),
    ],
)
def test_what_cannot_be_taken_in_is_an_error(tmp_path: Path, body: dict[str, Any], field: str, message: str) -> None:
    """Heads and kinds that are wrong are errors, never passed over."""
    found = [each for each in lint(tmp_path, body) if each["severity"] == "error" and each["field"] == field]

    assert any(message in each["message"] for each in found), found


def test_a_whole_number_may_have_a_point(tmp_path: Path) -> None:
    """The API server takes 600.0 for 600, and so does lint."""
    enrollment = samples.enrollment(bootstrap={"users": ["u"], "maxJoins": 2.0}, maxExpirationSeconds=600.0)

    assert lint(tmp_path, enrollment) == []


def test_a_file_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    """What cannot be read is no finding: nothing was checked."""
    done = run("lint", str(tmp_path / "nope.yaml"))

    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a file that can be read" in done.stderr


def test_stdin_is_called_so() -> None:
    """A dash reads stdin."""
    done = run("lint", "-", text=json.dumps(samples.enrollment(mode="x")))

    assert done.stdout.startswith("stdin:1: error: spec.mode: expected one of Enforce, Audit, found 'x'")


def test_output_is_printable(tmp_path: Path) -> None:
    """Nothing in a file reaches the terminal as a control or bidirectional character."""
    hostile = samples.enrollment("\x1b[31m", addresses=["\u202e"], **{"\x1b]0;x\x07": 1})
    printed = run("lint", write(tmp_path, "h.json", hostile)).stdout

    assert printed
    assert all(line.isprintable() for line in printed.splitlines())

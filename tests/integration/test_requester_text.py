"""Text that requesters choose: names, subjects and alternative names that are made to mislead.

Rules: the real API server takes these names as they are; they must lead to the right object and the right
verdict, and nothing that people or machines read afterwards may contain a control character.
"""

import json
import unicodedata
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from hack.cluster.pki import subject
from hack.impersonation import Identity
from tests.integration.lab import Lab

pytestmark = pytest.mark.integration

ODD_NAMES = {
    "query": "x?dryRun=All",
    "fragment": "x#approval",
    "blanks": "two  words ",
    "long": "a" * 300,
    "longer": "b" * 1000,
    "unicode": "knoten-ä-節點-🙂",
    "line": 'evil\n{"level": "error", "msg": "forged"}',
    "ansi": "\x1b[31mred\x1b[0m\x07",
    "bidi": "safe\u202egpj.exe",
    "dots": "...",
    "subresource": "x;approval",
    "backslash": "..\\..\\approval",
}


def assert_printable(text: Any) -> None:
    """Check that a text, or the JSON of an object, has no control or format characters."""
    shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    odd = {character for character in shown if unicodedata.category(character) in {"Cc", "Cf", "Cs"}}
    assert odd == set()


def of_uid(lab: Lab, uid: str) -> list[dict[str, Any]]:
    """Return the audit lines about one object, whatever its name."""
    return [line for line in lab.audit() if line["csrUID"] == uid]


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_names_are_approved_like_others(lab: Lab, name: str) -> None:
    """A request with an odd name is approved itself, and its name does no harm in log, status and events."""
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    lab.ask_as(Identity.token(token.token_id), node, name=name)
    lab.approved(name, issued=True)
    lab.wait(lambda: "lastDecision" in lab.status(node), "a last decision", node=node)
    (line,) = of_uid(lab, lab.csr(name)["metadata"]["uid"])
    assert line["verdict"] == "Approve"
    status = lab.status(node)
    assert_printable({key: status[key] for key in ("joins", "lastDecision")})
    lab.wait(lambda: bool(lab.events(node)), "an event", node=node)
    (event,) = lab.events(node)
    assert_printable(event["message"])
    assert_printable(line)


@pytest.mark.parametrize("name", ["x?dryRun=All", "ansi\x1b[2J", "c" * 300], ids=["query", "ansi", "long"])
def test_odd_names_are_held_like_others(lab: Lab, name: str) -> None:
    """A request with an odd name is held with one event on it, and approved when its node is enrolled."""
    node, token = lab.name(), lab.token()
    lab.ask_as(Identity.token(token.token_id), node, name=name)
    uid = lab.csr(name)["metadata"]["uid"]
    lab.wait(lambda: bool(of_uid(lab, uid)), "a verdict", csr=name)
    lab.wait(lambda: bool(lab.events(name)), "an event on the request", csr=name)
    (event,) = lab.events(name)
    assert event["involvedObject"]["uid"] == uid
    assert event["reason"] == "NotEnrolled"
    assert_printable(event["message"])
    assert lab.conditions(name) == []
    lab.enroll(node, settled=False, bootstrap={"tokenID": token.token_id})
    lab.approved(name)


@pytest.mark.parametrize(
    "common_name",
    [
        "system:node:\x1b[31mred",
        "system:node:node\nother",
        "system:node:\u202eedon",
        "system:node:" + "x" * 40 + "\x00",
    ],
    ids=["ansi", "line", "bidi", "nul"],
)
def test_a_misleading_subject_is_denied_readably(lab: Lab, common_name: str) -> None:
    """A subject with control characters is denied, and condition, event and audit line stay printable."""
    name = lab.ask_as(Identity.token("abcdef"), "any", subject=subject(common_name, ("system:nodes",)))
    condition = lab.denied(name, "SubjectInvalid")
    assert_printable(condition)
    lab.wait(lambda: bool(lab.events(name)), "an event on the request", csr=name)
    assert_printable(lab.events(name)[0]["message"])
    assert_printable(lab.last_verdict(name))


def test_a_misleading_alternative_name_is_denied_readably(lab: Lab) -> None:
    """DNS names with escapes, line ends and thousands of characters: denied, printable, at most 1024 characters."""
    joined = lab.join(lab.name(), addresses=["10.60.0.1"])
    odd = [joined.name, "\x1b[31mred.corp", "a\nb.corp", "x" * 3000, 'quote".corp', "*.corp"]
    name = lab.cluster.request_serving(joined.kubeconfig, dns=odd, ips=["10.60.0.1"])
    condition = lab.denied(name, "SubjectAltNameMalformed")
    assert_printable(condition)
    assert len(condition["message"]) <= 1024
    assert "\\x1b[31mred.corp" in condition["message"]
    lab.wait(lambda: bool(lab.status(joined.name).get("lastDecision", {}).get("csrName") == name), "lastDecision")
    assert_printable(lab.status(joined.name)["lastDecision"])


def test_a_misleading_requester_is_quoted(lab: Lab) -> None:
    """A user name with markup and right-to-left text stays one printable value."""
    node = lab.name()
    lab.enroll(node)
    user = "jane\u202e <b>ädmin</b> {}"
    name = lab.ask_as(Identity(user, ("system:bootstrappers",)), node)
    lab.approved(name)
    assert_printable(lab.last_verdict(name)["requester"])
    assert_printable(lab.status(node)["joins"][0]["requester"])


def test_a_huge_request_is_denied(lab: Lab) -> None:
    """A request of many kilobytes is denied for its size, and the message is short."""
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    dns = [f"n{number}.{'y' * 60}.corp" for number in range(400)]
    name = lab.ask_as(Identity.token(token.token_id), node, dns=dns)
    condition = lab.denied(name, "EncodingNotCanonical")
    assert len(condition["message"]) <= 1024


def test_the_subject_of_another_kind_is_denied(lab: Lab) -> None:
    """An organizational unit more is one attribute too many."""
    node = lab.name()
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "system:masters"),
        x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
    ]
    lab.denied(lab.ask_as(Identity.token("abcdef"), node, subject=x509.Name(attributes)), "SubjectInvalid")

"""What is said about a judgement, and that nobody's text gets through unescaped."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from hack.vectors import der
from hack.vectors.names import dns
from hack.vectors.request import COMMON_NAME, ORGANIZATION, Request
from nodegate.csr.decide import judge
from nodegate.csr.model import RULE_SET_VERSION, Judgement, Policy, Reason
from nodegate.csr.render import MESSAGE_LIMIT, audit, condition, event, explanation, message, verdict_name
from tests.builders import NOW, case_from_vector, load_vectors, make_case, make_csr, make_enrollment, make_serving

_HOSTILE = "\x1b[31mred\x00\r\n\u202eevil\u2028\x7f\ufeff"


def _denied() -> Judgement:
    return judge(make_case(csr=make_csr(usages=("any",)), enrollment=None))


def test_approval_condition() -> None:
    """The condition names the enrollment, its generation and the rule set."""
    written = condition(judge(make_case(enrollment=make_enrollment(generation=7))), NOW)

    assert written == {
        "type": "Approved",
        "status": "True",
        "reason": "BootstrapApproved",
        "message": f"Allowed by NodeEnrollment node-a (generation 7); every rule holds (rule set {RULE_SET_VERSION}).",
        "lastUpdateTime": "2030-01-31T12:00:00Z",
    }


def test_denial_condition_names_every_failed_rule() -> None:
    """The reason is the first failed rule, the message tells all of them in order."""
    written = condition(_denied(), NOW) or {}

    assert (written["type"], written["reason"]) == ("Denied", "UsagesInvalid")
    assert written["message"].index("UsagesInvalid: expected") < written["message"].index("NotEnrolled: expected")


def test_nothing_is_written_for_hold_and_ignore() -> None:
    """Neither verdict has a condition."""
    held = judge(make_case(enrollment=None))
    ignored = judge(make_case(csr=make_csr(issued=True)))

    assert (verdict_name(held.verdict), condition(held, NOW)) == ("Hold", None)
    assert (verdict_name(ignored.verdict), condition(ignored, NOW)) == ("Ignore", None)


def test_lenient_policy_writes_nothing() -> None:
    """With --never-deny there is no denial to write."""
    lenient = replace(make_case(csr=make_csr(usages=("any",))), policy=Policy(never_deny=True))

    assert condition(judge(lenient), NOW) is None


def test_events_are_for_deny_and_hold() -> None:
    """A denial and a hold make a warning with the condition's own words; an approval makes none."""
    denied, held = _denied(), judge(make_case(enrollment=None))

    assert event(denied) == ("Warning", "UsagesInvalid", "Deny", message(denied))
    assert event(held) == ("Warning", "NotEnrolled", "Hold", message(held))
    assert event(judge(make_case())) is None
    assert event(judge(make_case(csr=make_csr(deleting=True)))) is None


def test_audit_line_names_who_what_and_by_which_facts() -> None:
    """Every field that a reviewer asks for, and the verdict with its reasons."""
    judgement = judge(make_case())

    line = audit(judgement, mode="Enforce", seconds=0.0000001)

    assert line["type"] == "audit"
    assert (line["verdict"], line["reasons"], line["mode"]) == ("Approve", ["BootstrapApproved"], "Enforce")
    assert (line["requester"], line["node"], line["kind"]) == ("system:bootstrap:abcdef", "node-a", "bootstrap")
    assert (line["enrollmentUID"], line["enrollmentGeneration"]) == (make_enrollment().uid, 1)
    assert judgement.csr.pkcs10 is not None
    assert line["publicKeySHA256"] == judgement.csr.pkcs10.public_key_sha256
    assert line["seconds"] == 0


def test_explanation_has_every_rule() -> None:
    """The form that scripts rely on (design, section 12)."""
    explained = explanation(_denied())

    assert (explained["apiVersion"], explained["kind"]) == ("cli.nodegate.dev/v1", "Explanation")
    assert explained["csr"]["nodeName"] == "node-a"
    assert (explained["verdict"], explained["reasons"]) == ("Deny", ["UsagesInvalid", "NotEnrolled"])
    assert explained["enrollment"] is None
    assert {"stage": 6, "reason": "NotEnrolled", "result": "fail"}.items() <= next(
        rule for rule in explained["rules"] if rule["reason"] == "NotEnrolled"
    ).items()


def test_message_is_cut() -> None:
    """The API takes 1024 characters of an event's note."""
    names = [dns(f"{number}" * 200 + ".corp_") for number in range(1, 6)]
    judgement = judge(make_case(csr=make_serving(*names, usages=("x" * 200,) * 5, expiration_seconds=1)))

    assert len(message(judgement)) == MESSAGE_LIMIT
    assert message(judgement).endswith("…")


def _hostile_judgements() -> list[Judgement]:
    subject = (
        der.rdn(der.attribute(ORGANIZATION, "system:nodes", der.UTF8)),
        der.rdn(der.attribute(COMMON_NAME, _HOSTILE, der.UTF8)),
    )
    csrs = [
        make_csr(name=_HOSTILE, username=f"system:bootstrap:{_HOSTILE}", usages=(_HOSTILE,)),
        make_csr(request=Request(rdns=subject)),
        make_csr(signer=_HOSTILE),
        make_csr(conditions=(_HOSTILE,)),
        make_csr(username=_HOSTILE, groups=frozenset()),
        make_serving(dns(_HOSTILE)),
        make_serving(dns(_HOSTILE), username=f"system:node:{_HOSTILE}"),
    ]
    return [judge(make_case(csr=csr)) for csr in csrs]


@pytest.mark.parametrize("index", range(len(_hostile_judgements())))
def test_requesters_text_is_escaped(index: int) -> None:
    """No control character, escape sequence, line break or bidirectional override is ever said."""
    judgement = _hostile_judgements()[index]
    said = [message(judgement), *(f"{finding.expected}{finding.found}" for finding in judgement.findings)]
    said += [audit(judgement, mode="Enforce", seconds=0)[key] for key in ("csr", "requester", "message")]
    written, told = condition(judgement, NOW), event(judgement)
    said += [written["message"] if written else "", told.note if told else ""]

    assert judgement.failures
    assert [text for text in said if not text.isprintable()] == []


@pytest.mark.parametrize("index", range(len(_hostile_judgements())))
def test_audit_line_is_printable_throughout(index: int) -> None:
    """Every text in the audit line is escaped, the signer's name too."""
    line = audit(_hostile_judgements()[index], mode="Enforce", seconds=0)

    assert [key for key, value in line.items() if isinstance(value, str) and not value.isprintable()] == []


def test_every_vector_is_worded_in_print() -> None:
    """Whatever a vector holds, what is said of it is one printable line."""
    for vector in load_vectors():
        text = message(judge(case_from_vector(vector)))
        assert text.isprintable(), vector.name
        assert 0 < len(text) <= MESSAGE_LIMIT, vector.name


def test_moments_are_written_in_utc() -> None:
    """The condition's moment is UTC, whatever zone the clock's moment has."""
    moment = NOW.astimezone(timezone(timedelta(hours=5)))

    assert (condition(judge(make_case()), moment) or {})["lastUpdateTime"] == "2030-01-31T12:00:00Z"


@pytest.mark.parametrize("reason", Reason)
def test_metric_label_is_the_reason_in_snake_case(reason: Reason) -> None:
    """Lower case and underscores, one for each capital but the first."""
    assert reason.label.replace("_", "") == reason.value.lower()
    assert reason.label.count("_") == sum(map(str.isupper, reason.value)) - 1

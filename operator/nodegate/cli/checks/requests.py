"""What has become of signing requests: is the signer alive, what failed, what has waited too long?"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from nodegate.cli.checks.outcome import Check, Outcome, fail, ok, some, warn
from nodegate.cli.checks.probe import Body, Probe
from nodegate.cli.decisions import Decision, decisions
from nodegate.csr.decide import judge
from nodegate.csr.model import Policy
from nodegate.csr.render import verdict_name
from nodegate.fields import Fields
from nodegate.names import MANAGED_SIGNERS
from nodegate.text import counted, listed, visible

_SIGNED_WITHIN = timedelta(minutes=2)
"""The controller manager signs within seconds; a restart of it takes less than this."""

_WAITED = timedelta(minutes=10)
"""A kubelet gives up after 15 minutes."""


def _kubelets(probe: Probe) -> Iterator[tuple[Body, tuple[Decision, ...]]]:
    """Yield the requests for kubelet certificates, each with what was decided."""
    for body in probe.requests():
        if Fields(body).child("spec").text("signerName") in MANAGED_SIGNERS:
            yield body, decisions(body)


def _signer(probe: Probe) -> Outcome:
    waiting, signed = [], 0
    for body, made in _kubelets(probe):
        types = {each.type: each for each in made}
        signed += bool(Fields(body).child("status").text("certificate"))
        approved = types.get("Approved")
        if approved is None or "Failed" in types or Fields(body).child("status").text("certificate"):
            continue
        if approved.time is not None and approved.time < probe.at - _SIGNED_WITHIN:
            waiting.append(_name(body))
    if waiting:
        remedy = (
            "Look at the controller manager: it must run with --cluster-signing-cert-file and -key-file, and its "
            "controllers must include csrsigning."
        )
        return fail(f"approved over {_SIGNED_WITHIN.seconds // 60} minutes ago and not signed: {some(waiting)}", remedy)
    return ok(f"{counted(signed, 'certificate')} issued among the requests that are kept, none is waited for")


def _failures(probe: Probe) -> Outcome:
    failed = [(_name(body), each) for body, made in _kubelets(probe) for each in made if each.type == "Failed"]
    if failed:
        shown = some([f"{name}: {each.reason}: {each.message}" for name, each in failed])
        return warn(
            f"the signer refused {shown}", "The message says why; kubectl nodegate explain NAME shows the request."
        )
    return ok("the signer has refused nothing")


def _pending(probe: Probe) -> Outcome:
    old = [body for body, made in _kubelets(probe) if not made and _older(body, probe)]
    if not old:
        return ok(f"no request has waited for over {_WAITED.seconds // 60} minutes")
    reasons = Counter(_reasons(body, probe) for body in old)
    shown = listed(f"{number} {why}" for why, number in reasons.most_common())
    remedy = f"Ask why: kubectl nodegate explain {_name(old[0])}."
    return warn(f"waiting for over {_WAITED.seconds // 60} minutes: {counted(len(old), 'request')}; {shown}", remedy)


def _older(body: Body, probe: Probe) -> bool:
    created = Fields(body).child("metadata").moment("creationTimestamp")
    unsigned = not Fields(body).child("status").text("certificate")
    return unsigned and created is not None and created < probe.at - _WAITED


def _reasons(body: Body, probe: Probe) -> str:
    """Return what the operator would say now."""
    policy = Policy(bootstrap_group=probe.bootstrap_group())
    judgement = judge(probe.facts().case(body, policy=policy, now=probe.at))
    return f"{verdict_name(judgement.verdict)} {', '.join(judgement.reasons)}"


def _name(body: Body) -> str:
    return visible(Fields(body).child("metadata").text("name"), 253)


CHECKS = (Check("signer", _signer), Check("signer-failures", _failures), Check("requests-pending", _pending))
"""What has become of requests."""

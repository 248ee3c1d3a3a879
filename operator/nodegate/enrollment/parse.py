"""NodeEnrollment objects in, `Enrollment` values out.

Rules: the API server's schema has checked what it stores; a manifest that never was there is read as
strictly, with the schema's own defaults, so that ``explain`` offline says what the operator would.
"""

import enum
import re
from datetime import timedelta
from typing import Any, TypeVar

from nodegate.conditions import read_condition
from nodegate.enrollment.model import (
    Bootstrap,
    CertificateRecord,
    Certificates,
    Decided,
    Enrollment,
    Join,
    Mode,
    NodeName,
    NodeRef,
    Phase,
    Rejoin,
    Serving,
    State,
    Status,
)
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.identity import is_dns_name, is_subdomain
from nodegate.names import ACCEPT_NODE_UID
from nodegate.node_template import read_node_template
from nodegate.text import visible

Choice = TypeVar("Choice", bound=enum.StrEnum)

_PHASES = {phase.value: phase for phase in Phase}
_DURATION = re.compile(r"([0-9]{1,5}[hms]){1,3}")
_DEFAULTS = Enrollment(name=NodeName("defaults"))


def parse_enrollment(body: Any, *, offline: bool = False) -> Enrollment:
    """Read a NodeEnrollment object.

    Args:
        body: The object as JSON or YAML decodes it.
        offline: It is a manifest: without a status or a generation it counts as processed.

    Raises:
        Malformed: A field has a value that the schema refuses.
    """
    root = Fields(body)
    if root.text("kind", "NodeEnrollment") != "NodeEnrollment":
        raise Malformed(f"kind: expected NodeEnrollment, found {visible(root.text('kind'))}")
    meta, spec = root.child("metadata"), root.child("spec")
    status, generation = _status(root.child("status")), meta.integer("generation")
    manifest = offline and ("status" not in root or generation is None)
    return Enrollment(
        name=_name(meta),
        uid=meta.text("uid"),
        resource_version=meta.text("resourceVersion"),
        generation=generation,
        processed=manifest or status.observed_generation == generation,
        state=_choice(spec, "state", State, _DEFAULTS.state),
        mode=_choice(spec, "mode", Mode, _DEFAULTS.mode),
        addresses=spec.addresses("addresses"),
        dns_names=_dns_names(spec),
        bootstrap=_bootstrap(spec.child("bootstrap")),
        rejoin=_choice(spec, "rejoin", Rejoin, _DEFAULTS.rejoin),
        serving=_serving(spec.child("serving")),
        max_expiration_seconds=spec.integer("maxExpirationSeconds"),
        node=read_node_template(spec.child("node"), spec.child("node")),
        accepted_node_uid=meta.child("annotations").text(ACCEPT_NODE_UID) or None,
        unacted_fields=_unacted(spec),
        status=status,
    )


def _name(meta: Fields) -> NodeName:
    name = meta.text("name")
    if not is_subdomain(name):
        raise Malformed(f"metadata.name: expected a node name (DNS-1123 subdomain), found {visible(name) or 'nothing'}")
    return NodeName(name)


def _choice(fields: Fields, key: str, kind: type[Choice], default: Choice) -> Choice:
    text = fields.text(key, default.value)
    try:
        return kind(text)
    except ValueError:
        choices = ", ".join(member.value for member in kind)
        raise Malformed(f"{fields.path}.{key}: expected one of {choices}, found {visible(text)}") from None


def _dns_names(spec: Fields) -> frozenset[str]:
    names = spec.texts("dnsNames")
    for index, name in enumerate(names):
        if not is_dns_name(name) or name != name.lower():
            raise Malformed(f"spec.dnsNames[{index}]: expected a lower-case DNS-1123 name, found {visible(name)}")
    return frozenset(names)


def _bootstrap(fields: Fields) -> Bootstrap:
    bootstrap = Bootstrap(
        issue_token=fields.child("token").flag("issue"),
        token_ttl=_ttl(fields.child("token")),
        token_id=fields.text("tokenID") or None,
        users=frozenset(fields.texts("users")),
        public_key_sha256=fields.text("publicKeySHA256") or None,
        not_before=fields.moment("notBefore"),
        not_after=fields.moment("notAfter"),
        max_joins=_or(fields.integer("maxJoins"), _DEFAULTS.bootstrap.max_joins),
    )
    if bootstrap.issue_token and bootstrap.token_id:
        raise Malformed("spec.bootstrap: expected at most one of token.issue and tokenID, found both")
    if bootstrap.not_before and bootstrap.not_after and bootstrap.not_before >= bootstrap.not_after:
        raise Malformed("spec.bootstrap: expected notBefore earlier than notAfter, found it is not")
    return bootstrap


def _ttl(token: Fields) -> timedelta:
    """Read a duration such as ``1h30m``."""
    text = token.text("ttl")
    if not text:
        return _DEFAULTS.bootstrap.token_ttl
    if not _DURATION.fullmatch(text):
        raise Malformed(
            f"{token.path}.ttl: expected whole hours, minutes and seconds such as 1h30m, found {visible(text)}"
        )
    units = {"h": 3600, "m": 60, "s": 1}
    return timedelta(seconds=sum(int(number) * units[unit] for number, unit in re.findall(r"([0-9]+)([hms])", text)))


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _serving(fields: Fields) -> Serving:
    return Serving(
        approve=fields.flag("approve", default=True),
        require_node_addresses=fields.flag("requireNodeAddresses"),
        allow_dns_only=fields.flag("allowDNSOnly"),
    )


def _unacted(spec: Fields) -> tuple[str, ...]:
    """Return the fields that are set and that this version accepts without acting on them."""
    node = spec.child("node")
    set_fields = [f"node.{key}" for key in ("labels", "annotations", "taints") if key in node]
    if spec.child("bootstrap").child("token").flag("issue"):
        set_fields.append("bootstrap.token.issue")
    return tuple(set_fields)


def _status(fields: Fields) -> Status:
    node, phase = fields.child("node"), fields.text("phase")
    certificates = fields.child("certificates")
    return Status(
        observed_generation=fields.integer("observedGeneration"),
        phase=_PHASES.get(phase),
        token_id=fields.child("bootstrap").text("tokenID") or None,
        token_expires=fields.child("bootstrap").moment("expiresAt"),
        joins=tuple(_join(join) for join in fields.children("joins")),
        join_count=fields.integer("joinCount") or 0,
        node=NodeRef(
            uid=node.text("uid") or None,
            joined_at=node.moment("joinedAt"),
            ready=node.text("ready") or None,
            settings=node.texts("settings"),
        ),
        certificates=Certificates(
            client=_certificate(certificates.child("client")), serving=_certificate(certificates.child("serving"))
        ),
        conditions=tuple(read_condition(condition) for condition in fields.children("conditions")),
        last_decision=_decided(fields.child("lastDecision")),
    )


def _decided(fields: Fields) -> Decided | None:
    time = fields.moment("time")
    if time is None:
        return None
    return Decided(
        csr_name=fields.text("csrName"),
        verdict=fields.text("verdict"),
        reason=fields.text("reason"),
        message=fields.text("message"),
        time=time,
    )


def _certificate(fields: Fields) -> CertificateRecord | None:
    not_after, sha256 = fields.moment("notAfter"), fields.text("sha256")
    if not_after is None or not sha256:
        return None
    return CertificateRecord(
        serial=fields.text("serial"),
        not_after=not_after,
        sha256=sha256,
        csr_name=fields.text("csrName"),
        seen=fields.flag("seen"),
        previous_sha256=fields.text("previousSHA256") or None,
    )


def _join(fields: Fields) -> Join:
    time = fields.moment("time")
    if time is None:
        raise Malformed(f"{fields.path}.time: expected an RFC 3339 moment, found nothing")
    return Join(
        public_key_sha256=fields.text("publicKeySHA256"),
        csr_uid=fields.text("csrUID"),
        csr_name=fields.text("csrName"),
        requester=fields.text("requester"),
        time=time,
    )

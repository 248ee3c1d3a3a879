"""FlannelNetwork objects and etcd's lease keys in, `FlannelNetwork` and `Lease` values out.

Rules: pure. What the schema refuses is `Malformed` with the field's path; what only the judgement can
tell (host bits, ranges, versions) is kept as it stands. A lease is never refused: what cannot be read
of it is said in the value, because a key that nobody understands may still be somebody's subnet.
"""

import enum
import json
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeVar

from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.flannel.check import parse_version
from nodegate.flannel.model import Api, OptionValue, Version
from nodegate.flannel.network import (
    ALLOW_PUBLIC_RANGE,
    DEFAULT_PREFIX,
    Adoption,
    Applied,
    DeletionPolicy,
    DriftPolicy,
    Etcd,
    FlannelNetwork,
    Lease,
    LeaseGc,
    Pinned,
    Reservation,
    SecretRef,
    Tls,
    Transport,
    WantedBackend,
    WantedIPv6,
)
from nodegate.flannel.options import MEMBERS, OPTIONS, SECRET_FIELDS, TYPES
from nodegate.flannel.ranges import Address, Interface, Network, address_of, interface_of
from nodegate.text import visible

Choice = TypeVar("Choice", bound=enum.StrEnum)

_PREFIX = re.compile(r"(/[A-Za-z0-9._-]+)+")
_APIS = {api.value: api for api in Api}
KIND = "FlannelNetwork"
"""The kind that `parse_network` reads."""

PREFIX_LIMIT = 200
"""Characters of ``spec.prefix`` at most (crds/flannelnetworks)."""


def parse_network(body: Any) -> FlannelNetwork:
    """Read a FlannelNetwork object.

    Args:
        body: The object as JSON or YAML decodes it.

    Raises:
        Malformed: A field has a value that the schema refuses.
    """
    root = Fields(body)
    if root.text("kind", KIND) != KIND:
        raise Malformed(f"kind: expected {KIND}, found {visible(root.text('kind'))}")
    meta, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    if not meta.text("name"):
        raise Malformed("metadata.name: expected a name, found nothing")
    gc = spec.child("leaseGC")
    return FlannelNetwork(
        name=meta.text("name"),
        uid=meta.text("uid"),
        generation=meta.integer("generation"),
        deleting="deletionTimestamp" in meta,
        allow_public=meta.child("annotations").text(ALLOW_PUBLIC_RANGE) == "true",
        etcd=_etcd(spec.child("etcd")),
        prefix=_prefix(spec),
        version=_version(spec),
        network=_interface(spec, "network"),
        subnet_len=_whole(spec, "subnetLen", 0),
        subnet_min=_address(spec, "subnetMin"),
        subnet_max=_address(spec, "subnetMax"),
        ipv6=_ipv6(spec.child("ipv6")) if "ipv6" in spec else None,
        enable_nftables=spec.flag("enableNFTables"),
        backend=_backend(spec.child("backend")),
        reservations=tuple(_reservation(each) for each in spec.children("reservations")),
        reserved_cidrs=_networks(spec, "reservedCIDRs"),
        adoption=_choice(spec, "adoption", Adoption, Adoption.ADOPT),
        approved_change=spec.text("approvedChange"),
        drift_policy=_choice(spec, "driftPolicy", DriftPolicy, DriftPolicy.CORRECT),
        deletion_policy=_choice(spec, "deletionPolicy", DeletionPolicy, DeletionPolicy.RETAIN),
        lease_gc=LeaseGc(enabled=gc.flag("enabled"), grace_minutes=_whole(gc, "graceMinutes", 60)),
        poll_seconds=_whole(spec, "pollSeconds", 30),
        paused=spec.flag("paused"),
        applied=_applied(status.child("applied")),
        pinned=_pinned(status.child("etcd"), status.child("applied")),
    )


def _etcd(fields: Fields) -> Etcd:
    endpoints = fields.texts("endpoints")
    if not endpoints:
        raise Malformed(f"{fields.path}.endpoints: expected at least one URL of etcd, found nothing")
    tls = fields.child("tls")
    return Etcd(
        endpoints=endpoints,
        api=_choice(fields, "api", Api, None),
        tls=Tls(
            secret=_secret(tls, "secretRef"),
            ca_key=tls.text("caKey", "ca.crt"),
            cert_key=tls.text("certKey", "tls.crt"),
            key_key=tls.text("keyKey", "tls.key"),
            server_name=tls.text("serverName"),
            insecure_plaintext=tls.flag("insecurePlaintext"),
        ),
        transport=_choice(fields, "transport", Transport, Transport.AUTO),
    )


def _secret(fields: Fields, key: str, default: str = "") -> SecretRef | None:
    if key not in fields:
        return None
    ref = fields.child(key)
    for part in ("namespace", "name"):
        if not ref.text(part):
            raise Malformed(f"{ref.path}.{part}: expected the {part} of a Secret, found nothing")
    return SecretRef(ref.text("namespace"), ref.text("name"), ref.text("key", default))


def _prefix(spec: Fields) -> str:
    text = spec.text("prefix", DEFAULT_PREFIX)
    parts = text.split("/")[1:]
    sound = _PREFIX.fullmatch(text) is not None and len(text) <= PREFIX_LIMIT
    if not sound or {".", ".."} & set(parts) or parts[-1] in {"config", "subnets"}:
        raise Malformed(
            f"spec.prefix: expected a path such as {DEFAULT_PREFIX}, without . and .. and not ending in config or"
            f" subnets, found {visible(text)!r}"
        )
    return text


def _version(spec: Fields) -> Version:
    try:
        return parse_version(spec.text("flannelVersion"))
    except Malformed as error:
        raise Malformed(f"spec.flannelVersion: {error}") from error


def _interface(fields: Fields, key: str) -> Interface:
    text = fields.text(key)
    try:
        return interface_of(text)
    except ValueError:
        found = visible(text) or "nothing"
        raise Malformed(f"{fields.path}.{key}: expected a network such as 172.30.0.0/16, found {found}") from None


def _address(fields: Fields, key: str) -> Address | None:
    text = fields.text(key)
    try:
        return address_of(text) if text else None
    except ValueError:
        raise Malformed(f"{fields.path}.{key}: expected an IP address, found {visible(text)}") from None


def _networks(fields: Fields, key: str) -> tuple[Network, ...]:
    found: list[Network] = []
    for index, text in enumerate(fields.texts(key)):
        try:
            found.append(interface_of(text).network)
        except ValueError:
            path = f"{fields.path}.{key}[{index}]"
            raise Malformed(f"{path}: expected a network such as 10.96.0.0/12, found {visible(text)}") from None
    return tuple(found)


def _whole(fields: Fields, key: str, default: int) -> int:
    value = fields.integer(key)
    if value is not None and value < 0:
        raise Malformed(f"{fields.path}.{key}: expected a whole number of 0 or more, found {value}")
    return default if value is None else value


def _choice(fields: Fields, key: str, kind: type[Choice], default: Choice | None) -> Choice:
    text = fields.text(key)
    if not text and default is not None:
        return default
    try:
        return kind(text)
    except ValueError:
        choices = ", ".join(member.value for member in kind)
        found = visible(text) or "nothing"
        raise Malformed(f"{fields.path}.{key}: expected one of {choices}, found {found}") from None


def _ipv6(fields: Fields) -> WantedIPv6:
    return WantedIPv6(
        network=_interface(fields, "network"),
        subnet_len=_whole(fields, "subnetLen", 0),
        subnet_min=_address(fields, "subnetMin"),
        subnet_max=_address(fields, "subnetMax"),
    )


def _backend(fields: Fields) -> WantedBackend:
    kind = fields.text("type")
    if kind not in TYPES:
        found = visible(kind) or "nothing"
        raise Malformed(f"spec.backend.type: expected one of {', '.join(TYPES)}, found {found}")
    for member, owner in MEMBERS.items():
        if member in fields and owner != kind:
            message = f"expected no options of another type than {kind}, found them; take them out or change the type"
            raise Malformed(f"spec.backend.{member}: {message}")
    part = fields.child(next((member for member, owner in MEMBERS.items() if owner == kind), "options"))
    options = tuple((each.name, _option(part, key, each.default)) for key, each in OPTIONS.get(kind, {}).items())
    secret = _secret(part, SECRET_FIELDS[kind], "" if kind == "tencent-vpc" else "psk") if _has_secret(kind) else None
    if kind == "ipsec" and secret is None:
        raise Malformed("spec.backend.ipsec.pskSecretRef: expected the Secret with the key, found nothing")
    return WantedBackend(type=kind, options=options, secret=secret)


def _has_secret(kind: str) -> bool:
    return kind in SECRET_FIELDS


def _option(fields: Fields, key: str, default: OptionValue) -> OptionValue:
    if isinstance(default, bool):
        return fields.flag(key, default=default)
    return _whole(fields, key, default) if isinstance(default, int) else fields.text(key, default)


def _reservation(fields: Fields) -> Reservation:
    public_ip = _address(fields, "publicIP")
    if public_ip is None:
        raise Malformed(f"{fields.path}.publicIP: expected the node's address, found nothing")
    return Reservation(
        public_ip=public_ip,
        subnet=_interface(fields, "subnet"),
        subnet6=_interface(fields, "ipv6Subnet") if fields.text("ipv6Subnet") else None,
        public_ip6=_address(fields, "publicIPv6"),
    )


def _applied(fields: Fields) -> Applied | None:
    text = fields.text("value")
    if not text:
        return None
    return Applied(text=text, sha256=fields.text("sha256"), mod_revision=fields.integer("modRevision"))


def _pinned(etcd: Fields, applied: Fields) -> Pinned:
    return Pinned(
        cluster_id=etcd.text("clusterID") or None,
        api=_APIS.get(etcd.text("api")),
        prefix=applied.text("prefix") or None,
    )


_KEY = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)-([0-9]+)(?:&([a-f0-9:]+)-([0-9]+))?\Z")


def parse_lease(key: str, value: str, *, mod_revision: int, ttl: int | None) -> Lease:
    """Read one key below ``<prefix>/subnets`` as etcd gives it.

    Args:
        key: The whole key, such as ``/coreos.com/network/subnets/172.30.19.0-24``.
        value: Its text.
        mod_revision: The revision (v3) or index (v2) of its last write.
        ttl: Seconds left, None for a key without an end.

    Returns:
        The lease; what cannot be read of it stands in `malformed`.
    """
    subnet, subnet6, fault = _lease_key(key)
    body, broken = _lease_value(value)
    fault = fault or broken
    return Lease(
        key=key,
        subnet=subnet,
        subnet6=subnet6,
        public_ip=_lease_address(body, "PublicIP"),
        public_ip6=_lease_address(body, "PublicIPv6"),
        backend_type=str(body.get("BackendType") or ""),
        mod_revision=mod_revision,
        ttl=ttl,
        malformed=fault,
    )


def _lease_key(key: str) -> tuple[IPv4Network | None, IPv6Network | None, str]:
    match = _KEY.search(key.rpartition("/")[2])
    base, length, base6, length6 = match.groups() if match is not None else ("", "", None, None)
    try:
        subnet = IPv4Network(f"{base}/{length}")
        subnet6 = IPv6Network(f"{base6}/{length6}") if base6 else None
    except ValueError:
        return None, None, f"expected a key that ends in a subnet such as 172.30.19.0-24, found {visible(key)!r}"
    return subnet, subnet6, ""


def _lease_value(value: str) -> tuple[Mapping[str, Any], str]:
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        return {}, f"expected a value in JSON, found {visible(value)!r}"
    if not isinstance(body, dict):
        return {}, f"expected a JSON object, found {visible(value)!r}"
    if not _lease_address(body, "PublicIP"):
        return body, f"expected PublicIP to be an address, found {visible(repr(body.get('PublicIP')))}"
    return body, ""


def _lease_address(body: Mapping[str, Any], name: str) -> str:
    """Return an address in canonical text, or nothing."""
    value = body.get(name)
    try:
        return str(address_of(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""

"""Reading a network config: text goes in, what flannel of a version makes of it and what we say of it come out.

Rules: pure, and it never raises on a text. flannel is followed in its own order (JSON, Backend, families,
options), so that the refusal is the line that it would log. Our rules are stricter and hold for every
version; values are judged as flannel of that version fills them in (design §6).
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from nodegate.errors import Malformed
from nodegate.flannel import golang
from nodegate.flannel.backends import find_kind, read_options, read_type
from nodegate.flannel.dialects import BACKENDS, CARRIES_IPV6, IPV4, IPV6, MEMBERS, OLDEST, BackendKind
from nodegate.flannel.families import Filled, read_family
from nodegate.flannel.findings import Findings
from nodegate.flannel.members import Members, read_members
from nodegate.flannel.model import Config, Family4, Family6, Reading, Version
from nodegate.text import visible

_VERSION = re.compile(r"v?(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})", re.ASCII)
LIMIT_BYTES = 64 * 1024
"""The longest text that is read: a config has a few hundred bytes, and judging must not hold up other work."""

_HIDDEN = "(hidden)"
"""What is shown of a secret."""


def parse_version(text: str) -> Version:
    """Return a flannel release such as ``0.28.10`` or ``v0.28.10``.

    Raises:
        Malformed: It is none, or older than what we know.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise Malformed(f"expected a flannel version such as 0.28.10, found {visible(text) or 'none'}")
    version = Version(*(int(part) for part in match.groups()))
    if version < OLDEST:
        raise Malformed(f"expected flannel {OLDEST} or newer, found {version}; older releases are not known here")
    return version


def read_config(
    text: str | bytes, version: Version, *, allow_public: bool = False, allow_extension: bool = False
) -> Reading:
    """Return what flannel of a version does with a config text, and what is wrong or odd about it.

    Args:
        text: The value of ``<prefix>/config``.
        version: The lowest flannel release among the nodes.
        allow_public: Ranges that are not private are wanted.
        allow_extension: The ``extension`` backend, which runs commands as root, is wanted.
    """
    findings = Findings()
    size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else len(text)
    if size > LIMIT_BYTES:  # flannel would read it; we do not, so it is not called accepted either.
        findings.refuse(
            f"not judged: {size} bytes", "", f"expected {LIMIT_BYTES} bytes at most, found {size}; shorten it"
        )
        return Reading(None, findings.problems(), findings.refusal)
    try:
        root = golang.parse(text)
    except Malformed as error:
        findings.refuse(str(error), "", f"expected one JSON object, found text that is none: {error}")
        return Reading(None, findings.problems(), findings.refusal)
    members = read_members(root, version, findings)
    if findings.has_error(""):
        return Reading(None, findings.problems(), findings.refusal)
    config = _read(members, version, findings, allow_public=allow_public)
    if config is not None and config.backend.type == "extension" and not allow_extension:
        findings.error(
            "Backend.Type",
            "expected a backend that runs no commands, found extension, whose commands run as root on every node;"
            " choose another, or start the operator with --allow-flannel-extension",
        )
    return Reading(config if findings.refusal is None else None, findings.problems(), findings.refusal)


def _read(members: Members, version: Version, findings: Findings, *, allow_public: bool) -> Config | None:
    """Return the config, or None when there is no backend; whether flannel takes it is among the findings."""
    backend_type = read_type(members.backend, findings)
    uses4, uses6 = _families(members, version, findings)
    four = read_family(members, IPV4, version, findings, allow_public=allow_public) if uses4 else None
    six = read_family(members, IPV6, version, findings, allow_public=allow_public) if uses6 else None
    if not uses4 and not uses6:
        findings.refused("none defined stack")
    kind = find_kind(backend_type, version, findings)
    if uses6:
        _judge_ipv6(kind, version, findings)
    if kind is None:
        return None
    backend = read_options(kind, members.backend, version, findings)
    if not uses4 and kind.needs_ipv4:
        findings.refused("panic: Address is not an IPv4 address")
    if any(family is not None and family.least > family.most for family in (four, six)):
        findings.refused("failed to acquire lease: out of subnets")
    return Config(
        ipv4=_four(four),
        ipv6=_six(six),
        backend=backend,
        enable_nftables=_known_flag(members, "EnableNFTables", version, default=False),
    )


def _known_flag(members: Members, name: str, version: Version, *, default: bool) -> bool:
    return members.flags.get(name, default) if MEMBERS[name].since <= version else default


def _families(members: Members, version: Version, findings: Findings) -> tuple[bool, bool]:
    """Return whether IPv4 and IPv6 are in use; say what the version lacks or ignores."""
    for name, normal in (("EnableIPv4", True), ("EnableIPv6", False), ("EnableNFTables", False)):
        since = MEMBERS[name].since
        if name in members.names and version < since and not findings.has_error(name):
            if members.flags.get(name, normal) is not normal:
                needed = CARRIES_IPV6 if name == "EnableIPv6" else since
                findings.error(name, f"expected flannel {needed} or newer for this, found {version}; remove it")
            else:
                findings.warn(name, f"flannel {version} ignores this, which is known from {since} on; remove it")
    uses4 = _known_flag(members, "EnableIPv4", version, default=True)
    if not uses4:
        found = (
            "expected true, found false: with leases in etcd flannel gives nodes without IPv4 one and the same lease"
        )
        findings.error("EnableIPv4", found)
    uses6 = _known_flag(members, "EnableIPv6", version, default=False)
    if not uses6 and not members.flags.get("EnableIPv6") and not findings.has_error("EnableIPv6"):
        for name in MEMBERS:
            if MEMBERS[name].is_ipv6 and name in members.names and not findings.has_error(name):
                way_out = "add that, or remove this" if version >= CARRIES_IPV6 else "remove this"
                findings.warn(name, f"flannel ignores this without EnableIPv6: true; {way_out}")
    return uses4, uses6


def _judge_ipv6(kind: BackendKind | None, version: Version, findings: Findings) -> None:
    if version < CARRIES_IPV6:
        found = f"expected flannel {CARRIES_IPV6} or newer for IPv6, found {version}, whose leases hold IPv4 only"
        findings.error("EnableIPv6", f"{found}; remove it")
        findings.refused("IPv6 is enabled but the lease has no IPv6")
    if kind is not None and not kind.carries_ipv6:
        able = ", ".join(each.type for each in BACKENDS.values() if each.carries_ipv6 and each.is_known(version))
        findings.error("Backend.Type", f"expected a backend that carries IPv6 ({able}), found {kind.type}")


def _four(family: Filled | None) -> Family4 | None:
    if family is None:
        return None
    return Family4(
        network=IPv4Network((family.base, family.prefix)),
        subnet_len=family.length,
        subnet_min=IPv4Address(family.least),
        subnet_max=IPv4Address(family.most),
    )


def _six(family: Filled | None) -> Family6 | None:
    if family is None:
        return None
    return Family6(
        network=IPv6Network((family.base, family.prefix)),
        subnet_len=family.length,
        subnet_min=IPv6Address(family.least),
        subnet_max=IPv6Address(family.most),
    )


def effective(config: Config) -> dict[str, Any]:
    """Return a config in flannel's own names plus ``BackendType``; a family that is off and secrets are left out."""
    body: dict[str, Any] = {"EnableIPv4": config.ipv4 is not None, "EnableIPv6": config.ipv6 is not None}
    body["EnableNFTables"] = config.enable_nftables
    for prefix, family in (("", config.ipv4), ("IPv6", config.ipv6)):
        if family is not None:
            body[f"{prefix}Network"] = str(family.network)
            body[f"{prefix}SubnetLen"] = family.subnet_len
            body[f"{prefix}SubnetMin"] = str(family.subnet_min)
            body[f"{prefix}SubnetMax"] = str(family.subnet_max)
    secrets = {option.name for option in BACKENDS[config.backend.type].options if option.is_secret}
    options = {name: _HIDDEN if name in secrets and value else value for name, value in config.backend.options}
    return {**body, "BackendType": config.backend.type, "Backend": {"Type": config.backend.type, **options}}

"""The member ``Backend``: a JSON value goes in, the backend that flannel of a version would run comes out.

Rules: pure. The type is compared in lower case; options are decoded as the backend's own struct would,
unknown ones ignored. flannel checks no range; we do. Secrets never get into a message.
"""

import base64
import binascii

from nodegate.flannel import golang
from nodegate.flannel.dialects import (
    AWS_LISTS,
    BACKENDS,
    DEFAULT_BACKEND,
    IPSEC_PSK_BYTES,
    WIDE_VNI,
    WIREGUARD_MODES,
    BackendKind,
    Option,
    Shape,
)
from nodegate.flannel.findings import Findings, shown
from nodegate.flannel.golang import Kind, Mismatch, Value
from nodegate.flannel.model import Backend, OptionValue, Version
from nodegate.text import visible

_WIREGUARD_KEY_BYTES = 32
_NARROW_VNI = 65535
_TYPE = golang.fold("Type")


def read_type(value: Value | None, findings: Findings) -> str:
    """Return the backend's type in lower case, empty when there is none or it cannot be decoded."""
    if value is None:
        return DEFAULT_BACKEND
    if value.kind not in {Kind.OBJECT, Kind.NULL}:
        words = f"json: cannot unmarshal {value.kind} into Go value of type struct {{ Type string }}"
        found = f'expected an object such as {{"Type": "vxlan"}}, found {shown(value)}'
        findings.refuse(f"error decoding Backend property of config: {words}", "Backend", found)
        return ""
    name = ""
    for key, member in value.members:
        if golang.fold(key) == _TYPE and member.kind is not Kind.NULL:
            try:
                name = golang.string(member)
            except Mismatch as error:
                words = f"error decoding Backend property of config: {golang.type_error(error, '.Type')}"
                findings.refuse(words, "Backend.Type", f"expected a string, found {shown(member)}")
                return ""
    return name.lower()


def find_kind(name: str, version: Version, findings: Findings) -> BackendKind | None:
    """Return the kind of backend of a type, or None when flannel of the version has none."""
    kind = BACKENDS.get(name)
    if kind is not None and kind.is_known(version):
        return kind
    if not findings.has_error("Backend") and not findings.has_error("Backend.Type"):
        known = ", ".join(sorted(each.type for each in BACKENDS.values() if each.is_known(version)))
        findings.refuse(
            f"unknown backend type: {visible(name)}",
            "Backend.Type",
            f"expected a backend of flannel {version} ({known}), found {visible(name) or 'none'}",
        )
    return None


def read_options(kind: BackendKind, value: Value | None, version: Version, findings: Findings) -> Backend:
    """Return the backend with its options, defaults filled in; what flannel refuses is among the findings."""
    options: dict[str, OptionValue] = {
        option.name: option.default for option in kind.options if option.default is not None and option.since <= version
    }
    by_key = {golang.fold(option.name): option for option in kind.options}
    seen: set[str] = set()
    for key, member in value.members if value is not None else ():
        option = by_key.get(golang.fold(key))
        name = option.name if option is not None else "Type" if golang.fold(key) == _TYPE else ""
        field = f"Backend.{name or visible(key)}"
        if not name:
            findings.warn(field, f"expected an option of {kind.type}, found one that flannel ignores; remove it")
        elif name in seen:
            findings.warn(field, "expected each option once, found it again; flannel takes the last, remove one")
        seen.add(name)
        if option is not None and member.kind is not Kind.NULL:
            _read_option(kind, option, member, version, findings, options)
    _judge(kind, options, version, findings)
    return Backend(kind.type, tuple(sorted(options.items())))


def _read_option(
    kind: BackendKind,
    option: Option,
    value: Value,
    version: Version,
    findings: Findings,
    options: dict[str, OptionValue],
) -> None:
    field = f"Backend.{option.name}"
    try:
        found = _decoded(option, value, version)
    except Mismatch as error:
        findings.error(field, f"expected {option.shape}, found {shown(value, is_secret=option.is_secret)}")
        if option.since <= version:
            findings.refused(f"{kind.words}: {golang.type_error(error, f'.{option.name}')}")
        return
    if option.since <= version:
        options[option.name] = found
    elif found:
        findings.error(field, f"expected flannel {option.since} or newer for this option, found {version}; remove it")
    else:
        findings.warn(field, f"flannel {version} ignores this option, which is known from {option.since} on; remove it")


def _decoded(option: Option, value: Value, version: Version) -> OptionValue:
    match option.shape:
        case Shape.FLAG:
            return golang.boolean(value)
        case Shape.NUMBER:
            return golang.integer(value)
        case Shape.TEXTS if value.kind is Kind.ARRAY and version >= AWS_LISTS:
            return ",".join(golang.string(item) for item in value.items)
        case _:
            return golang.string(value)


def _judge(kind: BackendKind, options: dict[str, OptionValue], version: Version, findings: Findings) -> None:
    """Judge values: numbers by range, and what a backend itself refuses."""
    for option in kind.options:
        number = options.get(option.name)
        if option.range is not None and isinstance(number, int) and not findings.has_error(f"Backend.{option.name}"):
            _judge_number(option.name, number, option.range, version, findings)
    if kind.type == "wireguard":
        _judge_wireguard(options, findings)
    psk = str(options.get("PSK", ""))
    if kind.type == "ipsec" and len(psk.encode()) < IPSEC_PSK_BYTES and not findings.has_error("Backend.PSK"):
        found = f"expected a pre-shared key of {IPSEC_PSK_BYTES} bytes or more, found {len(psk.encode())} bytes"
        findings.refuse("config error, password is too short", "Backend.PSK", found)


def _judge_number(name: str, number: int, limits: tuple[int, int], version: Version, findings: Findings) -> None:
    least, most = limits
    why = ""
    if name == "VNI" and version < WIDE_VNI:
        why = f"; flannel before {WIDE_VNI} cuts it to 16 bits in leases" if _NARROW_VNI < number <= most else ""
        most = _NARROW_VNI
    if not least <= number <= most:
        findings.error(f"Backend.{name}", f"expected {least} to {most}, found {number}{why}")


def _judge_wireguard(options: dict[str, OptionValue], findings: Findings) -> None:
    mode, psk = options.get("Mode"), str(options.get("PSK", ""))
    if mode not in WIREGUARD_MODES:
        found = f"expected one of {', '.join(WIREGUARD_MODES)}, found {visible(str(mode)) or 'none'}"
        findings.refuse("no valid Mode configured", "Backend.Mode", found)
    if psk and not _is_wireguard_key(psk):
        found = f"expected {_WIREGUARD_KEY_BYTES} bytes in base64, as `wg genpsk` prints them, found other text"
        findings.refuse("could not parse psk", "Backend.PSK", found)


def _is_wireguard_key(text: str) -> bool:
    """Tell whether wgtypes.ParseKey takes it; Go's base64 skips line ends."""
    try:
        return len(base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)) == _WIREGUARD_KEY_BYTES
    except (binascii.Error, ValueError):
        return False

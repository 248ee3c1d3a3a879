"""The config's text: what is asked for, what is written, and what names a change.

A network or a `Config` goes in, JSON comes out. Rules: pure; keys in one fixed order, no blanks, nothing
that flannel would take for a value when it is none (a zero MTU). Secrets can be exchanged for fingerprints;
a text with fingerprints is read with stand-ins in their place.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from nodegate.flannel.model import Backend, Config, OptionValue
from nodegate.flannel.network import FlannelNetwork
from nodegate.flannel.options import OPTIONS, SECRETS, VXLAN_PORT

_REDACTED = "redacted:"
UNKNOWN_SECRET = _REDACTED + "unknown"
"""Stands for a secret that could not be read."""

_STAND_INS = {"wireguard": "A" * 43 + "=", "ipsec": "A" * 96}
"""Keys that flannel takes, by backend: 32 bytes in base64, and the shortest key of ipsec."""


def fingerprint(secret: str) -> str:
    """Return what a secret is shown and compared as; a fingerprint stays itself."""
    return secret if secret.startswith(_REDACTED) else _REDACTED + hashlib.sha256(secret.encode()).hexdigest()


def same_secret(one: OptionValue | None, other: OptionValue | None) -> bool:
    """Tell whether two values of a secret option are alike; one that could not be read is like any other."""
    if not one or not other:
        return not one and not other
    return UNKNOWN_SECRET in {one, other} or fingerprint(str(one)) == fingerprint(str(other))


def request_text(network: FlannelNetwork, secrets: Mapping[str, str]) -> str:
    """Return what a resource asks for as JSON, with nothing filled in: flannel's defaults stay out.

    Args:
        network: The resource.
        secrets: Values of the backend's secret options; those that are missing are written as unknown.
    """
    body: dict[str, Any] = {
        "Network": str(network.network),
        **_family("", network.subnet_len, network.subnet_min, network.subnet_max),
    }
    if network.ipv6 is not None:
        six = network.ipv6
        body |= {"EnableIPv6": True, "IPv6Network": str(six.network)}
        body |= _family("IPv6", six.subnet_len, six.subnet_min, six.subnet_max)
    if network.enable_nftables:
        body["EnableNFTables"] = True
    body["Backend"] = {"Type": network.backend.type} | dict(_asked(network, secrets))
    return _dump(body)


def _family(
    prefix: str, length: int, least: IPv4Address | IPv6Address | None, most: IPv4Address | IPv6Address | None
) -> dict[str, Any]:
    values = {"SubnetLen": length, "SubnetMin": least and str(least), "SubnetMax": most and str(most)}
    return {prefix + name: value for name, value in values.items() if value}


def _asked(network: FlannelNetwork, secrets: Mapping[str, str]) -> Iterator[tuple[str, OptionValue]]:
    yield from ((name, value) for name, value in network.backend.options if _is_said(name, value))
    if network.backend.secret is not None:
        for name in SECRETS.get(network.backend.type, ()):
            yield name, secrets.get(name, UNKNOWN_SECRET)


def _is_said(name: str, value: OptionValue) -> bool:
    """Tell whether an option is written: a zero stands for flannel's default, except that a VNI has none."""
    return bool(value) or name == "VNI"


def normal(config: Config) -> Config:
    """Return a config in which what flannel treats alike is alike."""
    if config.backend.type != "vxlan":
        return config
    options = tuple((name, value or VXLAN_PORT if name == "Port" else value) for name, value in config.backend.options)
    return replace(config, backend=Backend(config.backend.type, options))


def canonical_text(config: Config, *, redacted: bool = False) -> str:
    """Return the one text for a config, every value explicit.

    Args:
        config: What is to be written.
        redacted: Write fingerprints instead of secrets.
    """
    config = normal(config)
    body: dict[str, Any] = {}
    if config.ipv4 is not None:
        four = config.ipv4
        body |= {"Network": str(four.network), "SubnetLen": four.subnet_len}
        body |= {"SubnetMin": str(four.subnet_min), "SubnetMax": str(four.subnet_max)}
    if config.ipv6 is not None:
        six = config.ipv6
        body |= {"EnableIPv6": True, "IPv6Network": str(six.network), "IPv6SubnetLen": six.subnet_len}
        body |= {"IPv6SubnetMin": str(six.subnet_min), "IPv6SubnetMax": str(six.subnet_max)}
    if config.enable_nftables:
        body["EnableNFTables"] = True
    body["Backend"] = {"Type": config.backend.type} | dict(_written(config.backend, redacted=redacted))
    return _dump(body)


def _written(backend: Backend, *, redacted: bool) -> Iterator[tuple[str, OptionValue]]:
    order = [option.name for option in OPTIONS.get(backend.type, {}).values()]
    secret = SECRETS.get(backend.type, ())
    for name, value in sorted(backend.options, key=lambda each: _rank(order, each[0])):
        if _is_said(name, value):
            yield name, fingerprint(str(value)) if redacted and name in secret else value


def _rank(order: list[str], name: str) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def secrets_of(config: Config | None) -> dict[str, str]:
    """Return the secret options of a config by name."""
    if config is None:
        return {}
    names = SECRETS.get(config.backend.type, ())
    return {name: str(value) for name, value in config.backend.options if name in names and value}


def concealed(text: str) -> tuple[str, dict[str, str]]:
    """Return a text of ours with stand-ins for its fingerprints, and the fingerprints by option."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text, {}
    backend = body.get("Backend") if isinstance(body, dict) else None
    if not isinstance(backend, dict):
        return text, {}
    hidden = {name: value for name, value in backend.items() if str(value).startswith(_REDACTED)}
    stand_in = _STAND_INS.get(str(backend.get("Type")), "A")
    return _dump({**body, "Backend": {**backend, **dict.fromkeys(hidden, stand_in)}}), hidden


def revealed(config: Config, hidden: Mapping[str, str]) -> Config:
    """Return a config that was read with stand-ins with the fingerprints back in their place."""
    options = tuple((name, hidden.get(name, value)) for name, value in config.backend.options)
    return replace(config, backend=Backend(config.backend.type, options))


def change_id(old: str, new: Config) -> str:
    """Return what names exactly one change: SHA-256 over the old and the new text, 64 hex digits.

    Args:
        old: The canonical text of the old config, or what stands there when it is none; empty when nothing does.
        new: The config to write.
    """
    return hashlib.sha256(_dump([old, canonical_text(new, redacted=True)]).encode()).hexdigest()


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))

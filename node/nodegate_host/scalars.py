"""What single strings of a node.yaml must look like: names, addresses, ranges, URLs, paths, tokens, versions, PEM.

Each function takes a non-empty string and returns None, or one sentence: expected, found. Secrets are never shown.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from urllib.parse import urlsplit

from nodegate_host.model import Version

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_VERSION = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")
_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_PATH = re.compile(r"/(?:[A-Za-z0-9_.@:+-]+/?)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_IFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")


def dns_name(text: str) -> str | None:
    """A lower-case RFC 1123 name, as Nodes have."""
    if _DNS_NAME.fullmatch(text):
        return None
    return f"expected a lower-case RFC 1123 name (a-z, 0-9, '-', '.'; at most 253), found {text!r}"


def domain(text: str) -> str | None:
    """A DNS domain without the dot at its end, which would break the names of headless Services' Pods."""
    if text.endswith("."):
        return f"expected a domain without a dot at its end, found {text!r}; remove the dot"
    return dns_name(text)


def address(text: str) -> str | None:
    """An IP address of either family that others can reach."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return f"expected an IP address, found {text!r}"
    if found.is_loopback or found.is_unspecified or found.is_link_local or found.is_multicast:
        return f"expected an address that other nodes reach, found {text}, which is local to a host or a link"
    return None


def network(text: str) -> str | None:
    """A range as ``10.96.0.0/12``, with no bits set after the prefix."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"expected a range such as 10.96.0.0/12, found {text!r}"
    if "/" not in text:
        return f"expected a range such as 10.96.0.0/12, found an address: {text}"
    return None if str(found) == text else f"expected {found}, found {text}; it has bits after the prefix"


def _url(text: str, schemes: tuple[str, ...]) -> str | None:
    wanted = " or ".join(f"{each}://HOST[:PORT]" for each in schemes)
    try:
        parts = urlsplit(text)
        bad = parts.port == 0
    except ValueError:
        return f"expected {wanted}, found something that is no URL"
    if parts.username is not None or parts.password is not None:
        return f"expected {wanted} without user and password, found them"
    clean = re.fullmatch(r"[\x21-\x7e]+", text) and not set(text) & set("\"'\\$%`")
    if bad or parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment or not clean:
        return f"expected {wanted}, found {text!r}"
    return None


def api_url(text: str) -> str | None:
    """Where the API server is."""
    return _url(text, ("https",))


def etcd_url(text: str) -> str | None:
    """An etcd endpoint; one without a path."""
    wrong = _url(text, ("https", "http"))
    if wrong is None and urlsplit(text).path not in {"", "/"}:
        wrong = f"expected an endpoint without a path, found {text!r}"
    return wrong


def unix_url(text: str) -> str | None:
    """A runtime's socket."""
    if text.startswith("unix:///") and _PATH.fullmatch(text[len("unix://") :]):
        return None
    return f"expected unix:///PATH, found {text!r}"


def absolute(text: str) -> str | None:
    """An absolute path without ``..`` and without characters that shells or units take for something else."""
    if _PATH.fullmatch(text) and ".." not in text.split("/"):
        return None
    return f"expected an absolute path of letters, digits and _.@:+-, found {text!r}"


def source(text: str) -> str | None:
    """A path of a file to read, absolute or relative to the node.yaml."""
    return "expected a path, found control characters" if re.search(r"[\x00-\x1f\x7f]", text) else None


def token(text: str) -> str | None:
    """A bootstrap token; its text is never shown."""
    if _TOKEN.fullmatch(text):
        return None
    return "expected a bootstrap token such as abcdef.0123456789abcdef, found something else"


def digest(text: str) -> str | None:
    """A SHA-256 in hex."""
    return None if _DIGEST.fullmatch(text) else f"expected 64 lower-case hex digits, found {text!r}"


def iface(text: str) -> str | None:
    """A network interface's name."""
    return None if _IFACE.fullmatch(text) else f"expected an interface such as eth1, found {text!r}"


def word(text: str) -> str | None:
    """A kernel module's name, or the like."""
    return None if _WORD.fullmatch(text) else f"expected letters, digits, '_', '-' and '.', found {text!r}"


def image(text: str) -> str | None:
    """A container image."""
    return None if _IMAGE.fullmatch(text) else f"expected an image such as registry.k8s.io/pause:3.10, found {text!r}"


def sysctl_value(text: str) -> str | None:
    """One line of printable characters."""
    return None if re.fullmatch(r"[\x20-\x7e]+", text) else "expected one line of text, found something else"


def argument(text: str) -> str | None:
    """A flag of the kubelet, ``--name=value`` or ``--name``, with nothing that systemd would take apart or replace."""
    return _flag(text, r"--[a-z][a-z0-9-]*(?:=[\x21-\x7e]*)?", "--name=value")


def option(text: str) -> str | None:
    """A flag of flanneld, ``-name=value`` or ``-name``."""
    return _flag(text, r"--?[a-z][a-z0-9-]*(?:=[\x21-\x7e]*)?", "-name=value")


def _flag(text: str, pattern: str, wanted: str) -> str | None:
    if not re.fullmatch(pattern, text):
        return f"expected {wanted} without blanks, found {text!r}"
    if set(text) & set("\"'\\$%`;"):
        return f"expected {wanted} without quotes, '$', '%', '`', ';' and backslashes, found {text!r}"
    return None


def version(text: str) -> str | None:
    """A full version."""
    return None if _VERSION.fullmatch(text) else f"expected a full version such as 1.36.2, found {text!r}"


def version_of(text: str) -> Version:
    """Return the version in `text`, 0.0.0 when there is none (which `version` reports)."""
    match = _VERSION.fullmatch(text)
    return Version(*map(int, match.groups())) if match else Version(0, 0, 0)


def pem_data(text: str) -> str | None:
    """Base64 of one or more PEM certificates, as in a kubeconfig."""
    pem = pem_of(text)
    if "-----BEGIN CERTIFICATE-----" not in pem or "-----END CERTIFICATE-----" not in pem:
        return "expected the base64 of PEM certificates, as certificate-authority-data has it, found something else"
    return "expected certificates only, found a private key; remove it" if "PRIVATE KEY" in pem else None


def pem_of(text: str) -> str:
    """Return the PEM text inside, empty when it is no base64 of ASCII."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""

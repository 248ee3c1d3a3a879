"""Interfaces, routes, listening ports, firewalls, name servers.

A `Host` goes in, `NetworkFacts` come out. Rules: ``ip -j`` for interfaces and routes, /proc/net for ports; legacy
iptables is asked only when its module is loaded already, since asking would load it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from nodegate_host.facts.host import Host
from nodegate_host.facts.model import Interface, Listener, NetworkFacts, Resolver, Route
from nodegate_host.model import Version

RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/resolv.conf")
_LISTEN = "0A"
_UNCONNECTED = "07"
"""A UDP socket's state in /proc/net/udp when it is bound and not connected."""
_PORTS = frozenset({10248, 10249, 10250, 10255, 10256, 8472, 8285, 2379})
"""Ports whose owner is looked up; walking all of /proc for more would be slow."""
_MANAGERS = {
    "NetworkManager": "NetworkManager.service",
    "systemd-networkd": "systemd-networkd.service",
    "nm-cloud-setup": "nm-cloud-setup.timer",
}


def _json(host: Host, *argv: str) -> list[dict[str, Any]] | None:
    ran = host.run(*argv)
    if ran is None or ran.code != 0:
        return None
    try:
        found = json.loads(ran.out or "[]")
    except ValueError:
        return None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else None


def _interfaces(host: Host) -> tuple[Interface, ...] | None:
    rows = _json(host, "ip", "-j", "-d", "address", "show")
    if rows is None:
        return None
    return tuple(
        Interface(
            str(row.get("ifname", "")),
            tuple(f"{each['local']}/{each['prefixlen']}" for each in row.get("addr_info", ()) if "local" in each),
            str(row.get("address", "")),
            str(row.get("linkinfo", {}).get("info_kind", "")),
        )
        for row in rows
    )


def _routes(host: Host) -> tuple[Route, ...] | None:
    four, six = _json(host, "ip", "-j", "-4", "route", "show"), _json(host, "ip", "-j", "-6", "route", "show")
    if four is None:
        return None
    return (*_as_routes(four, "0.0.0.0/0", 32), *_as_routes(six or (), "::/0", 128))


def _as_routes(rows: Iterable[dict[str, Any]], default: str, bits: int) -> Iterator[Route]:
    for row in rows:
        text = str(row.get("dst", ""))
        destination = default if text == "default" else text if "/" in text else f"{text}/{bits}"
        yield Route(destination, str(row.get("dev", "")), str(row.get("gateway", "")))


def _address(text: str) -> tuple[str, int]:
    """Decode ``0100007F:2742`` of /proc/net: words of four bytes in the machine's order, here little-endian."""
    raw, _, port = text.partition(":")
    words = [bytes.fromhex(raw[start : start + 8])[::-1] for start in range(0, len(raw), 8)]
    joined = b"".join(words)
    if len(joined) == 4:  # noqa: PLR2004 (IPv4)
        return ".".join(str(byte) for byte in joined), int(port, 16)
    return ":".join(joined[at : at + 2].hex() for at in range(0, 16, 2)), int(port, 16)


def _sockets(host: Host) -> Iterator[tuple[str, str, int, str]]:
    for name, wanted in (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UNCONNECTED), ("udp6", _UNCONNECTED)):
        for line in (host.text(f"/proc/net/{name}") or "").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == wanted:  # noqa: PLR2004 (the inode is field 9)
                address, port = _address(fields[1])
                yield name.rstrip("6"), address, port, fields[9]


def _owners(host: Host, inodes: set[str]) -> dict[str, tuple[int, str]]:
    if not host.live or not inodes:
        return {}
    found: dict[str, tuple[int, str]] = {}
    for pid in (name for name in host.names("/proc") if name.isdigit()):
        for descriptor in host.names(f"/proc/{pid}/fd"):
            place = host.where(f"/proc/{pid}/fd/{descriptor}")
            try:
                target = str(place.readlink())
            except OSError:
                continue
            inode = target[8:-1] if target.startswith("socket:[") else ""
            if inode in inodes:
                found[inode] = (int(pid), host.word(f"/proc/{pid}/comm") or "")
    return found


def _listeners(host: Host) -> tuple[Listener, ...] | None:
    if not host.exists("/proc/net/tcp"):
        return None
    rows = list(_sockets(host))
    owners = _owners(host, {inode for _, _, port, inode in rows if port in _PORTS})
    return tuple(
        Listener(protocol, address, port, owners.get(inode, (0, ""))[1], owners.get(inode, (0, ""))[0])
        for protocol, address, port, inode in rows
    )


def _active(host: Host, unit: str) -> bool | None:
    ran = host.run("systemctl", "is-active", unit)
    if ran is None or "not been booted" in ran.err:
        return None
    return ran.out.strip() == "active"


def _firewall(host: Host) -> tuple[str | None, tuple[str, ...]]:
    if not host.live:
        return None, ()
    if _active(host, "firewalld.service"):
        ran = host.run("firewall-cmd", "--list-ports")
        return "firewalld", tuple(ran.out.split()) if ran and ran.code == 0 else ()
    if re.search(r"^ENABLED=yes", host.text("/etc/ufw/ufw.conf") or "", re.MULTILINE):
        rules = host.text("/etc/ufw/user.rules") or ""
        return "ufw", tuple(
            f"{each[1]}/{each[0]}" for each in re.findall(r"^### tuple ### allow (\w+) (\d+) ", rules, re.MULTILINE)
        )
    return "", ()


def _iptables(host: Host) -> tuple[str | None, int | None, int | None]:
    """Return the backend, and how many rules each backend has."""
    if not host.live:
        return None, None, None
    version = host.run("iptables", "--version")
    backend = "missing" if version is None else "nf_tables" if "nf_tables" in version.out else "legacy"
    loaded = (host.word("/proc/net/ip_tables_names") or "").split()
    legacy = host.run("iptables-legacy-save") if loaded else None
    listed = host.run("iptables-nft-save") if backend == "nf_tables" or loaded else None
    return backend, _rules(legacy.out) if legacy else 0, _rules(listed.out) if listed else None


def _rules(saved: str) -> int:
    return sum(line.startswith("-A ") for line in saved.splitlines())


def _forward(host: Host, backend: str | None, legacy: int | None) -> tuple[str | None, tuple[str, ...]]:
    if backend in (None, "missing") or (backend == "legacy" and not legacy):
        return None, ()
    ran = host.run("iptables", "-S", "FORWARD")
    if ran is None or ran.code != 0:
        return None, ()
    lines = ran.out.splitlines()
    policy = next((line.split()[-1] for line in lines if line.startswith("-P ")), None)
    return policy, tuple(line for line in lines if line.startswith("-A "))


def _nft(host: Host) -> Version | None:
    ran = host.run("nft", "--version")
    found = re.search(r"v(\d+)\.(\d+)(?:\.(\d+))?", ran.out) if ran else None
    return Version(int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)) if found else None


def _unmanaged(host: Host) -> tuple[str, ...]:
    found = []
    for directory in ("/etc/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d"):
        texts = (host.text(f"{directory}/{name}") or "" for name in host.names(directory))
        if any(re.search(r"^\s*unmanaged-devices.*(?:flannel|cni)", text, re.MULTILINE) for text in texts):
            found.append("NetworkManager")
            break
    for directory in ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network"):
        texts = (host.text(f"{directory}/{name}") or "" for name in host.names(directory))
        if any("flannel" in text and re.search(r"MACAddressPolicy\s*=\s*none|Unmanaged\s*=", text) for text in texts):
            found.append("systemd-networkd")
            break
    return tuple(found)


def resolver(host: Host, path: str) -> Resolver:
    """Return what a resolv.conf names."""
    text = host.text(path)
    if text is None:
        return Resolver(path, exists=False)
    rows = (line.split() for line in text.splitlines())
    return Resolver(
        path, exists=True, nameservers=tuple(row[1] for row in rows if row[:1] == ["nameserver"] and row[1:])
    )


def gather(host: Host, *, resolvers: Iterable[str] = ()) -> NetworkFacts:
    """Return the network's facts; `resolvers` are read beside the usual ones."""
    firewall, ports = _firewall(host)
    backend, legacy, listed = _iptables(host)
    policy, rules = _forward(host, backend, legacy)
    managers = {name: _active(host, unit) for name, unit in _MANAGERS.items()}
    return NetworkFacts(
        interfaces=_interfaces(host),
        routes=_routes(host),
        listeners=_listeners(host),
        firewall=firewall,
        open_ports=ports,
        forward_policy=policy,
        forward_rules=rules,
        iptables=backend,
        legacy_rules=legacy,
        nft_rules=listed,
        nft=_nft(host),
        managers={name: active for name, active in managers.items() if active is not None},
        unmanaged=_unmanaged(host),
        resolvers={path: resolver(host, path) for path in dict.fromkeys((*RESOLVERS, *resolvers))},
    )

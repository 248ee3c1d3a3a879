"""The bridge that test hosts hang on, with a network that nothing else here uses.

An id comes in; a bridge with an address leaves. Rules: every interface is named after the id; a bridge goes with
all that hangs on it; a network is taken only when no route of this machine overlaps it.
"""

import json
import secrets
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from hack.hosts.errors import CommandFailed, HostError

_POOL = IPv4Network("10.77.0.0/16")
"""Outside the service and pod ranges that people usually take (10.96.0.0/12, 10.244.0.0/16)."""

_PREFIX = "ngb-"


def ip(*arguments: str) -> str:
    """Run the command `ip` and return what it printed.

    Raises:
        CommandFailed: It refused.
    """
    command = ["ip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed("outer machine", command, done.returncode, done.stderr)
    return done.stdout


def _links(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ip("-json", "link", "show", *arguments) or "[]")
    return [link for link in found if link]


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge of an id.

    Attributes:
        identity: Four hexadecimal digits.
    """

    identity: str

    @property
    def name(self) -> str:
        """Its interface."""
        return _PREFIX + self.identity

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return any(link["ifname"] == self.name for link in _links())

    def create(self) -> IPv4Interface:
        """Make it and return its address, which is the hosts' gateway."""
        address = IPv4Interface(f"{(network := _free_network())[1]}/{network.prefixlen}")
        ip("link", "add", self.name, "type", "bridge")
        ip("address", "add", str(address), "dev", self.name)
        ip("link", "set", self.name, "up")
        return address

    def remove(self) -> None:
        """Remove it with every interface that hangs on it; nothing when it is not there."""
        if self.exists:
            for link in _links("master", self.name):
                ip("link", "delete", link["ifname"])
            ip("link", "delete", self.name)


def _free_network() -> IPv4Network:
    taken = [_network(route["dst"]) for route in json.loads(ip("-json", "-4", "route", "show", "table", "all"))]
    free = [net for net in _POOL.subnets(new_prefix=24) if not any(net.overlaps(other) for other in taken if other)]
    if not free:
        raise HostError(f"expected a network of {_POOL} without a route, found none; end other test hosts")
    return secrets.choice(free)


def _network(destination: str) -> IPv4Network | None:
    return None if destination == "default" else IPv4Network(destination, strict=False)

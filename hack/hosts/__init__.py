"""Real hosts for tests: Debian 12 under systemd, each a systemd-nspawn machine on a bridge of its own.

`with Hosts() as hosts:` makes a bridge; `hosts.host("node-a").boot()` returns within a few seconds from a machine
in which containerd and a kubelet run as on metal: units, journal, iptables, cgroups, reboots and power cuts.
Needs root and Linux with systemd-nspawn; `python -m hack.hosts prepare` gets everything once. Rules: whatever was
made is named after one id and goes with the context, with the calling process, or at the next start at last.
"""

from hack.hosts.errors import CommandFailed, HostError, HostFailed, NotPossible
from hack.hosts.host import Host
from hack.hosts.hosts import Hosts

__all__ = ["CommandFailed", "Host", "HostError", "HostFailed", "Hosts", "NotPossible"]

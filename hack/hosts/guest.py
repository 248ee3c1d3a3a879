"""The files that make a machine fit for containerd and a kubelet, before anything in it starts.

A host's name and addresses come in; paths and contents leave. Rules: nothing here is what a test is about; what a
kubelet wants of the kernel is bound over the machine's own view, so that the outer kernel is never changed.
"""

import secrets
from ipaddress import IPv4Interface

SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""What the kubelet's container manager demands, and cannot set in a machine: /proc/sys is read-only there."""

_SETUP = """#!/bin/sh
# Makes this machine a host that a kubelet accepts; see hack/hosts/guest.py.
set -eu
for folder in /sys/fs/cgroup/*/; do
    if mountpoint -q "$folder"; then mount -o remount,rw,bind "$folder"; fi
done
mkdir -p /run/testbed
while read -r value name; do
    file=/run/testbed/$(echo "$name" | tr / -)
    echo "$value" > "$file"
    mount --bind "$file" "/proc/sys/$name"
done < /etc/testbed/sysctls
echo 1 > /proc/sys/net/ipv4/ip_forward
ln -sfn /dev/null /dev/kmsg
ip link set host0 up
ip address replace ADDRESS dev host0
ip route replace default via GATEWAY
"""

_UNIT = """[Unit]
Description=Make this machine fit for a kubelet
DefaultDependencies=no
After=local-fs.target systemd-sysctl.service
Before=sysinit.target network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/etc/testbed/setup

[Install]
WantedBy=sysinit.target
"""

LINKS = {
    "etc/systemd/system/sysinit.target.wants/testbed.service": "/etc/systemd/system/testbed.service",
    "etc/systemd/system/systemd-networkd.service": "/dev/null",
    "etc/systemd/system/systemd-networkd.socket": "/dev/null",
}
"""Symbolic links: the setup is wanted, and nobody else touches host0."""


def files(name: str, address: IPv4Interface, gateway: str) -> dict[str, tuple[str, int]]:
    """Return path to content and mode, relative to the machine's root.

    Args:
        name: The host's name.
        address: Its address, with the network's length.
        gateway: The bridge's address.
    """
    setup = _SETUP.replace("ADDRESS", str(address)).replace("GATEWAY", gateway)
    return {
        "etc/machine-id": (f"{secrets.token_hex(16)}\n", 0o444),
        "etc/hostname": (f"{name}\n", 0o644),
        "etc/hosts": (f"127.0.0.1\tlocalhost\n{address.ip}\t{name}\n", 0o644),
        # debootstrap copies the outer machine's, which names servers that are not reached from here.
        "etc/resolv.conf": ("", 0o644),
        "etc/testbed/setup": (setup, 0o755),
        "etc/testbed/sysctls": ("".join(f"{value} {key}\n" for key, value in SYSCTLS.items()), 0o644),
        "etc/systemd/system/testbed.service": (_UNIT, 0o644),
        # Processes of pods ignore SIGTERM; every orderly end would take a minute and a half.
        "etc/systemd/system.conf.d/testbed.conf": ("[Manager]\nDefaultTimeoutStopSec=3s\n", 0o644),
        "etc/systemd/journald.conf.d/testbed.conf": ("[Journal]\nStorage=persistent\nRateLimitBurst=0\n", 0o644),
    }

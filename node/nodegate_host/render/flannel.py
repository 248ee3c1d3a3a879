"""flanneld's environment file, and the script that turns its lease into the runtime's configuration.

The script runs after every start of flanneld (``ExecStartPost``). It waits for the lease, then writes the stock
bridge's CNI configuration (``cni: bridge``) or docker's options (docker0), each under another name first and renamed,
because runtimes reread their directory at every change. flannel's own plugin reads the lease itself, so its
configuration never changes.
"""

from __future__ import annotations

import json
from typing import Any

from nodegate_host import paths
from nodegate_host.model import CniPlugin, File, NodeConfig, RuntimeKind
from nodegate_host.render.headers import with_header

FLANNELD = "flanneld.service"
CNI_VERSION = "0.3.1"
"""Understood by every plugin and runtime that is supported here."""

_LEASE_SECONDS = 30
"""READY is sent although writing the lease may have failed; after this long the start counts as failed."""


def options(config: NodeConfig) -> list[str]:
    """Return flanneld's flags besides endpoints and prefix."""
    flannel = config.flannel
    found = []
    if flannel.etcd.key_file is not None:
        found += [f"-etcd-cafile={paths.FLANNEL_CA}", f"-etcd-certfile={paths.FLANNEL_CERT}"]
        found.append(f"-etcd-keyfile={paths.FLANNEL_KEY}")
    if flannel.iface_can_reach:
        found.append(f"-iface-can-reach={flannel.iface_can_reach}")
    elif not any(each.lstrip("-").startswith("iface-regex=") for each in flannel.options):
        # Named by the node's own address, flannel cannot choose another interface, as it did in the guide.
        found.append(f"-iface={flannel.iface or _outer_address(config)}")
    if not any(each.lstrip("-").split("=")[0] == "ip-masq" for each in flannel.options):
        found.append("-ip-masq=true")
    return [*found, *flannel.options]


def _outer_address(config: NodeConfig) -> str:
    """Return the node's address that flannel's packets come from: the IPv4 one where there are two."""
    return next((each for each in config.node.ips if ":" not in each), config.node.ips[0])


def env_file(config: NodeConfig) -> File:
    """Return flanneld's environment file."""
    body = (
        f'FLANNEL_ETCD_ENDPOINTS="{",".join(config.flannel.etcd.endpoints)}"\n'
        f'FLANNEL_ETCD_PREFIX="{config.flannel.etcd.prefix}"\n'
        f'FLANNEL_OPTIONS="{" ".join(options(config))}"\n'
    )
    content = with_header(body, advice="change flannel in node.yaml")
    return File(paths.flannel_env(config), content, units=(FLANNELD,))


def _conflist(first: dict[str, Any]) -> str:
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"name": "cbr0", "cniVersion": CNI_VERSION, "plugins": [first, portmap]}, indent=2) + "\n"


def static_conflist(config: NodeConfig) -> File:
    """Return the CNI configuration for flannel's own plugin."""
    body = _conflist({"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}})
    return File(paths.conflist(config), body.encode())


def _bridge_template() -> str:
    """Return the bridge's configuration with the shell's variables in it."""
    text = _conflist(
        {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "hairpinMode": True,
            "ipMasq": "@masq",
            "mtu": "@mtu",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "$network"}]]},
        }
    )
    return text.replace('"@masq"', "$masq").replace('"@mtu"', "$FLANNEL_MTU")


_HEAD = """\
# Runs after flanneld's start: waits for the lease and hands it to the container runtime.
set -eu
umask 022
lease=@lease
tries=0
until [ -s "$lease" ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt @seconds ]; then
    echo "flanneld wrote no $lease within @seconds s; see: journalctl -u flanneld" >&2
    exit 1
  fi
  sleep 1
done
. "$lease"
if [ -z "${FLANNEL_SUBNET:-}" ] || [ -z "${FLANNEL_MTU:-}" ]; then
  echo "$lease holds no FLANNEL_SUBNET and FLANNEL_MTU" >&2
  exit 1
fi
"""

_MASQUERADE = """\
# Who masquerades: flannel, or else the runtime; never both.
if [ "${FLANNEL_IPMASQ:-false}" = true ]; then masq=false; else masq=true; fi
target=@target
temporary="${target%/*}/.nodegate-$$.tmp"
mkdir -p "${target%/*}"
trap 'rm -f "$temporary"' EXIT
"""

_BRIDGE = """\
# The lease names the gateway (172.30.46.1/24), the plugin wants the network (172.30.46.0/24).
address=${FLANNEL_SUBNET%/*}
length=${FLANNEL_SUBNET#*/}
old_ifs=$IFS
IFS=.
set -- $address
IFS=$old_ifs
bits=$(((($1 * 256 + $2) * 256 + $3) * 256 + $4))
bits=$((bits >> (32 - length) << (32 - length)))
network=$((bits >> 24 & 255)).$((bits >> 16 & 255)).$((bits >> 8 & 255)).$((bits & 255))/$length
cat >"$temporary" <<END
@conflist\
END
if cmp -s "$temporary" "$target"; then exit 0; fi
mv -f "$temporary" "$target"
"""

_DOCKER = """\
cat >"$temporary" <<END
DOCKER_OPT_BIP="--bip=$FLANNEL_SUBNET"
DOCKER_OPT_IPMASQ="--ip-masq=$masq"
DOCKER_OPT_MTU="--mtu=$FLANNEL_MTU"
DOCKER_NETWORK_OPTIONS=" --bip=$FLANNEL_SUBNET --ip-masq=$masq --mtu=$FLANNEL_MTU"
END
mv -f "$temporary" "$target"
"""


def _target(config: NodeConfig) -> str | None:
    """Return what the script writes, None when it only waits for the lease."""
    if config.cni.plugin is CniPlugin.BRIDGE:
        return paths.conflist(config)
    return paths.DOCKER_ENV if config.runtime.kind is RuntimeKind.DOCKER else None


def generated(config: NodeConfig) -> tuple[str, ...]:
    """Return the paths that flanneld and the script write."""
    if not config.flannel.enabled:
        return ()
    target = _target(config)
    return (paths.SUBNET_ENV,) if target is None else (target, paths.SUBNET_ENV)


def lease_script(config: NodeConfig) -> File:
    """Return the script that flanneld's unit runs after its start."""
    body = _HEAD.replace("@lease", paths.SUBNET_ENV).replace("@seconds", str(_LEASE_SECONDS))
    target = _target(config)
    if target is not None:
        body += _MASQUERADE.replace("@target", target)
        body += _DOCKER if target == paths.DOCKER_ENV else _BRIDGE.replace("@conflist", _bridge_template())
    content = with_header(body, advice="change node.yaml", first="#!/bin/sh\n")
    return File(paths.LEASE_SCRIPT, content, 0o755, units=(FLANNELD,))

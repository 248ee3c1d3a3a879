"""Is the node what it should be? Each answer has a stable id, the guide's step that it covers, and evidence.

Facts go in, `Answer`s come out; pure, but for `units_and_files`, which looks. ``pass``, ``fail``, or ``skipped`` when
the facts do not say. Covered here: S20, S54, S68 (units), S21-S24 (flannel's config and lease), S55 and S57 (identity);
S56, the names of requests, needs an administrator's kubeconfig and is the operator's to show.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass

from nodegate_host.engine.health import fault_of
from nodegate_host.engine.sites import Site
from nodegate_host.engine.survey import Survey
from nodegate_host.facts.model import Facts
from nodegate_host.model import NodeConfig

_VXLAN = "flannel.1"
_BRIDGES = ("cni0", "docker0")
_OPEN = 0o077


@dataclass(frozen=True)
class Answer:
    """One answer. `result`: pass, fail or skipped."""

    id: str
    result: str
    message: str
    covers: str = ""


def _judged(name: str, fault: str, fine: str, covers: str = "") -> Answer:
    return Answer(name, "fail" if fault else "pass", fault or fine, covers)


def units_and_files(site: Site, found: Survey) -> Iterator[Answer]:
    """Yield what systemd, the daemons and the files say."""
    if found.manifest is None or not found.manifest.files:
        yield Answer("applied", "fail", "nothing was applied on this host; run nodegate-host apply")
        return
    yield _judged("interrupted", "a change was cut short; run apply or rollback" if found.under_way else "", "no")
    joined = site.is_joined()
    questions = {each.unit: each for each in found.manifest.probes}
    ours = {each.name for each in found.manifest.units if each.ours}
    for unit in found.units:
        if unit.name in ours:
            fault = "" if unit.is_enabled else "it does not start at boot"
            yield _judged(f"unit.enabled:{unit.name}", fault, "starts at boot", "S20 S54 S68")
        fault = "" if unit.is_up else f"it is {unit.active} ({unit.sub}, {unit.result})"
        fault = fault or ("systemd has not read its latest file; run apply" if unit.needs_reload else "")
        yield _judged(f"unit.running:{unit.name}", fault, f"runs, pid {unit.pid}", "S20 S54 S68")
        probe = questions.get(unit.name)
        if probe is not None and probe.needs_join and not joined:
            yield Answer(f"unit.healthy:{unit.name}", "skipped", "the node has not joined yet")
        elif probe is not None:
            yield _judged(f"unit.healthy:{unit.name}", fault_of(probe, site.disk), "answers", "S20 S54 S68")
    drifted = "; ".join(f"{path}: {why}" for path, why in found.drift.items())
    yield _judged("files.applied", drifted, f"{len(found.manifest.files)} files are as applied")


def identity(config: NodeConfig, facts: Facts, found: Survey, now: float) -> Iterator[Answer]:
    """Yield what the node's credentials say."""
    yield _judged("identity.certificate", _certificate_fault(config, found, now), "valid, and this node's", "S55")
    opened = [
        f"{each.path} has mode {each.mode:04o}" for each in facts.identity.secrets if _is_open(each.kind, each.mode)
    ]
    foreign = [f"{each.path} belongs to uid {each.uid}" for each in facts.identity.secrets if each.exists and each.uid]
    faults = "; ".join([*opened, *(foreign if facts.live else [])])
    yield _judged("identity.modes", faults, f"{len(facts.identity.secrets)} secret files are root's alone", "S57")
    kubelet = facts.identity.kubelet
    if kubelet is not None and kubelet.certificate is not None:
        is_admin = "system:masters" in kubelet.certificate.organizations
        fault = f"{kubelet.path} is an administrator's credential; run nodegate-host rejoin" if is_admin else ""
        yield _judged("identity.kubeconfig", fault, "the kubelet's own", "S51 S60")


def _is_open(kind: str, mode: int) -> bool:
    return kind == "file" and bool(mode & _OPEN)


def _certificate_fault(config: NodeConfig, found: Survey, now: float) -> str:
    cert = found.certificate
    wanted = f"system:node:{config.node.name}"
    if cert is None:
        return "the kubelet has no client certificate; its request waits for approval, see nodegate-host enroll --wait"
    if cert.common_name != wanted or cert.organizations != ("system:nodes",):
        return f"it is for {cert.common_name}, expected {wanted} of system:nodes; run nodegate-host rejoin"
    return f"it expired; run nodegate-host rejoin ({cert.file})" if cert.not_after <= now else ""


def flannel(config: NodeConfig, facts: Facts, found: Survey) -> Iterator[Answer]:
    """Yield what etcd, the lease file and the devices say of flannel."""
    if not config.flannel.enabled:
        return
    subnet = found.lease.get("FLANNEL_SUBNET", "")
    yield _judged("flannel.subnet-env", _subnet_fault(config, subnet), f"{subnet} is inside the Pod range", "S26")
    yield from _bridges(facts, subnet)
    etcd = facts.etcd
    if etcd is None or etcd.leases is None:
        yield Answer("flannel.lease", "skipped", "etcd was not asked, or does not answer", "S21 S23 S24")
    else:
        yield _judged(
            "flannel.lease", _lease_fault(config, facts, subnet), "ours, with our address and MAC", "S21 S23 S24"
        )
    if etcd is None or not etcd.config_read:
        yield Answer("flannel.config", "skipped", "etcd was not asked, or does not answer", "S22")
    else:
        yield _judged("flannel.config", _config_fault(config, etcd.config), "names our Pod range", "S22")


def _subnet_fault(config: NodeConfig, subnet: str) -> str:
    if not subnet:
        return "/run/flannel/subnet.env has no FLANNEL_SUBNET; see journalctl -u flanneld"
    inside = any(_contains(network, subnet) for network in config.cluster.pod_cidr)
    return "" if inside else f"{subnet} is not inside {', '.join(config.cluster.pod_cidr)}"


def _contains(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_interface(address).ip in ipaddress.ip_network(network)
    except ValueError:
        return False


def _bridges(facts: Facts, subnet: str) -> Iterator[Answer]:
    for each in facts.network.interfaces or ():
        if each.name in _BRIDGES and each.addresses and subnet:
            fault = (
                ""
                if subnet in each.addresses
                else f"{each.name} has {', '.join(each.addresses)}, the lease is {subnet}"
            )
            is_ours = each.name == "cni0" or facts.runtime.docker_command
            if is_ours:
                yield _judged(f"flannel.bridge:{each.name}", fault, f"has {subnet}", "S26")


def _lease_fault(config: NodeConfig, facts: Facts, subnet: str) -> str:
    leases = facts.etcd.leases if facts.etcd and facts.etcd.leases else ()
    mine = [each for each in leases if subnet and _contains(each.subnet, subnet)]
    if not mine:
        return f"etcd has no lease for {subnet or 'this node'}; restart flanneld"
    if mine[0].public_ip not in config.node.ips:
        return f"the lease's PublicIP is {mine[0].public_ip}, expected {config.node.ips[0]}; set flannel.iface"
    macs = [each.mac for each in facts.network.interfaces or () if each.name == _VXLAN]
    if macs and mine[0].vtep_mac and macs[0] != mine[0].vtep_mac:
        return f"the lease's VtepMAC is {mine[0].vtep_mac}, {_VXLAN} has {macs[0]}; restart flanneld"
    return ""


def _config_fault(config: NodeConfig, text: str | None) -> str:
    if text is None:
        return f"etcd has no {config.flannel.etcd.prefix}/config; apply a FlannelNetwork"
    try:
        network = json.loads(text).get("Network")
    except (ValueError, AttributeError):
        return "flannel's config in etcd is no JSON object"
    wanted = config.cluster.pod_cidr
    return "" if network in wanted else f"flannel's Network is {network}, cluster.podCIDR is {', '.join(wanted)}"

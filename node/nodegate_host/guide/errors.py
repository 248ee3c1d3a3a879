"""Which of the guide's errors a host has, each with file, line, cause and remedy.

Pure. A `GuideHost` goes in, `GuideFinding` values come out, in the order of the errata. Errors that leave no trace on
a host are not looked for; `errata` explains them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from nodegate_host import envfile, flags, unitfile
from nodegate_host.facts.commands import one_word
from nodegate_host.facts.model import UnitFact
from nodegate_host.guide.errata import BY_ID, ERRATA
from nodegate_host.guide.read import GuideHost
from nodegate_host.unitfile import Source

KUBELET, PROXY, FLANNELD, DOCKER = "kubelet.service", "kube-proxy.service", "flanneld.service", "docker.service"
_OWN = (FLANNELD, KUBELET, PROXY)
_VENDOR = ("/usr/lib/", "/lib/")
_VARIABLE = "DOCKER_NETWORK_OPTIONS"
_OLD_VARIABLES = ("KUBE_ALLOW_PRIV", "KUBELET_API_SERVER", "KUBE_MASTER")
_TLS = ("etcd-cafile", "etcd-certfile", "etcd-keyfile")


@dataclass(frozen=True)
class GuideFinding:
    """An error of the guide on this host; `line` is 0 when the whole file is meant."""

    id: str
    severity: str
    file: str
    line: int
    message: str
    cause: str
    remedy: str


Hit = tuple[str, Source]
"""What was found, and where."""


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that a CIDR is, or None."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, or None."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_service_range(host: GuideHost) -> bool:
    """Whether kube-proxy's --cluster-cidr is the range that the DNS Service's address is in."""
    given, dns = network(host.value(PROXY, "cluster-cidr")), address(host.value(KUBELET, "cluster-dns"))
    return given is not None and dns is not None and dns.version == given.version and dns in given


def _e1(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(PROXY, "cluster-cidr")
    if given and is_service_range(host):
        dns = host.value(KUBELET, "cluster-dns")
        yield (
            f"--cluster-cidr={given.text} holds the DNS Service's address {dns}, so it is the Service range",
            given.source,
        )


def _e2(host: GuideHost) -> Iterator[Hit]:
    docker = host.units.get(DOCKER, UnitFact(DOCKER))
    if (
        docker.raw_command
        and host.units.get(FLANNELD, UnitFact(FLANNELD)).fragment
        and _VARIABLE not in docker.raw_command
    ):
        yield f"ExecStart={docker.raw_command} does not use ${_VARIABLE}", docker.command[0].source


def _e3(host: GuideHost) -> Iterator[Hit]:
    for path, each in host.settings.get(DOCKER, ()):
        if path.startswith(_VENDOR) and each.key == "EnvironmentFile" and "/run/flannel" in each.value:
            yield f"the package's own unit was edited: EnvironmentFile={each.value}", Source(path, each.line)
    for name in _OWN:
        unit = host.units.get(name, UnitFact(name))
        if unit.fragment.startswith(_VENDOR):
            yield f"{name} is in the packages' directory", Source(unit.fragment, 0)


def _e5(host: GuideHost) -> Iterator[Hit]:
    fact = host.kubelet.fact
    if fact.certificate and "system:masters" in fact.certificate.organizations:
        yield f"the kubelet's credential is {fact.certificate.common_name} of system:masters", Source(fact.path, 0)


def _e7(host: GuideHost) -> Iterator[Hit]:
    unit = host.units.get(FLANNELD, UnitFact(FLANNELD))
    chosen = any(host.argument(FLANNELD, name) for name in ("iface", "iface-regex", "iface-can-reach", "public-ip"))
    if unit.command and not chosen:
        options = unit.environment.get("FLANNEL_OPTIONS")
        place = options.source if options else unit.command[0].source
        yield "flanneld has no -iface, so it takes the default route's interface", place


def _e9(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(FLANNELD, "etcd-certfile")
    if given and given.text.startswith("/etc/etcd/"):
        yield f"-etcd-certfile={given.text} is an etcd server's own certificate", given.source


def _e13(host: GuideHost) -> Iterator[Hit]:
    for program, name in (("kubelet", KUBELET), ("kube-proxy", PROXY)):
        unit = host.units.get(name, UnitFact(name))
        for each in unit.command[1:]:
            gone = flags.removal(program, each.text)
            if gone:
                yield f"{each.text.split('=')[0]} was removed in {gone.release}; instead: {gone.instead}", each.source
        for variable, _ in unitfile.variables(unit.raw_command):
            if variable in _OLD_VARIABLES:
                yield f"${variable} stands for flags that are gone", unit.command[0].source


def _e14(host: GuideHost) -> Iterator[Hit]:
    for name in ("runtime-cgroups", "kubelet-cgroups"):
        given = host.argument(KUBELET, name)
        if given and given.text.startswith("/systemd/"):
            yield f"--{name}={given.text} is no cgroup", given.source


def _e15(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(KUBELET, "cgroup-driver")
    if given and given.text.strip("\"'") != given.text:
        yield f"--cgroup-driver={given.text} carries quotes", given.source
    elif given and given.text == "cgroupfs":
        yield "--cgroup-driver=cgroupfs on a host that systemd runs: two managers for one tree of cgroups", given.source


def _e16(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(KUBELET, "hairpin-mode")
    if given and given.text == "promiscuous-bridge":
        yield "--hairpin-mode promiscuous-bridge has no effect without kubenet", given.source


def _e18(host: GuideHost) -> Iterator[Hit]:
    for file in host.environment_files:
        for problem in file.problems:
            if problem.severity == envfile.ERROR:
                yield f"{problem.message}; {problem.remedy}", Source(file.path, problem.line)
    for unit in host.units.values():
        for name, source in one_word(unit):
            yield f"${{{name}}} passes all its flags as one word; write ${name}", source


def _e19(host: GuideHost) -> Iterator[Hit]:
    fact = host.bootstrap.fact
    joined = host.kubelet.fact.certificate is not None
    if fact.state in ("empty", "invalid"):
        yield f"the bootstrap kubeconfig cannot be used: {fact.problem}", Source(fact.path, 0)
    elif fact.state == "missing" and not joined:
        yield "there is neither a bootstrap kubeconfig nor a client certificate", Source(fact.path, 0)


def _e20(host: GuideHost) -> Iterator[Hit]:
    for device in host.machine.swaps or ():
        yield f"swap is on: {device}", Source("/proc/swaps", 0)
    for line in host.fstab_swap:
        yield "swap is turned on at boot", Source("/etc/fstab", line)


def _e21(host: GuideHost) -> Iterator[Hit]:
    if "br_netfilter" not in host.persisted_modules:
        yield "br_netfilter is not loaded at boot", Source("/etc/modules-load.d", 0)
    for name in ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"):
        found = host.machine.sysctls.get(name)
        if found and found.persisted != "1":
            yield f"{name}=1 is not set at boot", Source(found.file or "/etc/sysctl.d", found.line)


def _e22(host: GuideHost) -> Iterator[Hit]:
    unit = host.units.get(KUBELET, UnitFact(KUBELET))
    if not unit.command or host.argument(KUBELET, "config"):
        return
    missing = [name for name in ("client-ca-file", "authorization-mode") if not host.argument(KUBELET, name)]
    if host.value(KUBELET, "anonymous-auth") != "false":
        missing.insert(0, "anonymous-auth=false")
    if missing:
        yield f"the kubelet runs on flags without --{', --'.join(missing)}: its API is open", unit.command[0].source


def _e23(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(KUBELET, "address")
    if given and given.text not in ("0.0.0.0", "::"):  # noqa: S104 (a comparison, nothing is bound)
        yield f"--address={given.text}: the kubelet listens on one address only", given.source


def _e24(host: GuideHost) -> Iterator[Hit]:
    for name in _OWN:
        restart = host.setting(name, "Restart")
        if restart and not host.setting(name, "RestartSec"):
            yield f"{name}: Restart={restart[0]} without RestartSec=", restart[1]


def _e26(host: GuideHost) -> Iterator[Hit]:
    for name in _OWN:
        unit = host.units.get(name, UnitFact(name))
        named = dict.fromkeys(variable for variable, _ in unitfile.variables(unit.raw_command))
        undefined = [each for each in named if each not in unit.environment]
        if undefined:
            yield f"{name}: ${', $'.join(undefined)} are set nowhere, and so empty", unit.command[0].source


def _e27(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(PROXY, "bind-address")
    if given:
        yield f"--bind-address={given.text} binds nothing", given.source


def _e28(host: GuideHost) -> Iterator[Hit]:
    given = host.argument(KUBELET, "hostname-override")
    if given and address(given.text):
        yield f"--hostname-override={given.text}: the node's name is an address", given.source


def _e30(host: GuideHost) -> Iterator[Hit]:
    given = [name for name in _TLS if host.argument(FLANNELD, name)]
    if given and len(given) < len(_TLS):
        place = host.argument(FLANNELD, given[0])
        missing = ", -".join(name for name in _TLS if name not in given)
        if place:
            yield f"flanneld has -{', -'.join(given)} and no -{missing}", place.source


_FINDERS: Mapping[str, Callable[[GuideHost], Iterator[Hit]]] = {
    "E1": _e1, "E2": _e2, "E3": _e3, "E5": _e5, "E7": _e7, "E9": _e9, "E13": _e13, "E14": _e14, "E15": _e15,
    "E16": _e16, "E18": _e18, "E19": _e19, "E20": _e20, "E21": _e21, "E22": _e22, "E23": _e23, "E24": _e24,
    "E26": _e26, "E27": _e27, "E28": _e28, "E30": _e30,
}  # fmt: skip


def _finding(identifier: str, message: str, source: Source) -> GuideFinding:
    erratum = BY_ID[identifier]
    return GuideFinding(identifier, erratum.severity, source.file, source.line, message, erratum.truth, erratum.remedy)


def find(host: GuideHost) -> tuple[GuideFinding, ...]:
    """Return the guide's errors on this host."""
    return tuple(
        _finding(each.id, message, source)
        for each in ERRATA
        if each.id in _FINDERS
        for message, source in _FINDERS[each.id](host)
    )

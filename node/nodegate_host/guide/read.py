"""What a host says that was built by the guide: units, their arguments with file and line, kubeconfigs, the lease.

A `Host` goes in, a `GuideHost` comes out; nothing is changed. Arguments are those that the programs really get, so a
mistake in an environment file shows as it works, not as it was meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodegate_host import envfile, paths
from nodegate_host.facts import identity, programs, system, units
from nodegate_host.facts.commands import flag
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import EnvironmentFile, HostFacts, UnitFact
from nodegate_host.model import Version
from nodegate_host.unitfile import Argument, Setting, Source

_GUIDE_CA = "/etc/kubernetes/ssl/ca.pem"


@dataclass(frozen=True)
class GuideHost:
    """A host as found. `settings`: unit → all its settings with their file; `lease`: flannel's subnet.env."""

    units: Mapping[str, UnitFact]
    settings: Mapping[str, tuple[tuple[str, Setting], ...]]
    environment_files: tuple[EnvironmentFile, ...]
    machine: HostFacts
    kubelet: identity.Loaded
    bootstrap: identity.Loaded
    kube_proxy: identity.Loaded
    lease: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)
    ca_file: str = ""
    env_dir: str = "/etc/default"
    persisted_modules: frozenset[str] = frozenset()
    fstab_swap: tuple[int, ...] = ()
    """Lines of /etc/fstab that turn swap on."""

    def argument(self, unit: str, name: str) -> Argument | None:
        """Return a flag's value and where it stands; ``--name value`` and ``--name=value`` are the same."""
        found = self.units.get(unit, UnitFact(unit)).command
        for position, each in enumerate(found):
            bare, separator, value = each.text.partition("=")
            if bare.startswith("-") and bare.lstrip("-") == name:
                following = found[position + 1].text if position + 1 < len(found) else ""
                return Argument(value if separator else following, each.source)
        return None

    def value(self, unit: str, name: str) -> str:
        """Return a flag's value, empty when it is not given."""
        found = self.argument(unit, name)
        return found.text if found else ""

    def setting(self, unit: str, key: str) -> tuple[str, Source] | None:
        """Return the last value of a setting and where it stands."""
        found = [(each.value, Source(path, each.line)) for path, each in self.settings.get(unit, ()) if each.key == key]
        return found[-1] if found else None


def _version(host: Host, unit: UnitFact, name: str) -> Version | None:
    path = unit.command[0].text if unit.command else ""
    if name == "flanneld":
        path = path.removesuffix("-start") or programs.find(host, name)
    return programs.program(host, name, path).version if path.startswith("/") else None


def _persisted_modules(host: Host) -> frozenset[str]:
    found = set()
    for directory in ("/etc/modules-load.d", "/usr/lib/modules-load.d"):
        for name in host.names(directory):
            found |= {line.strip() for line in (host.text(f"{directory}/{name}") or "").splitlines()}
    return frozenset(found | set((host.text("/etc/modules") or "").split()))


def _fstab_swap(host: Host) -> tuple[int, ...]:
    rows = ((number, line.split()) for number, line in enumerate((host.text("/etc/fstab") or "").splitlines(), start=1))
    return tuple(number for number, row in rows if len(row) > 2 and row[2] == "swap" and not row[0].startswith("#"))  # noqa: PLR2004 (the type)


def _settings(host: Host, unit: UnitFact) -> tuple[tuple[str, Setting], ...]:
    return tuple(units.settings(host, [each for each in (unit.fragment, *unit.dropins) if each]))


def _kubeconfig(host: Host, unit: UnitFact, name: str, usual: str) -> identity.Loaded:
    return identity.load(host, flag(unit, name) or usual)


def read(host: Host) -> GuideHost:
    """Return the host as found."""
    found = units.gather(host)
    kubelet, proxy = found["kubelet.service"], found["kube-proxy.service"]
    versions = {name: _version(host, found[f"{name}.service"], name) for name in ("kubelet", "kube-proxy", "flanneld")}
    return GuideHost(
        units=found,
        settings={name: _settings(host, unit) for name, unit in found.items()},
        environment_files=units.environment_files(host),
        machine=system.gather(host),
        kubelet=_kubeconfig(host, kubelet, "--kubeconfig", paths.KUBELET_KUBECONFIG),
        bootstrap=_kubeconfig(host, kubelet, "--bootstrap-kubeconfig", paths.BOOTSTRAP_KUBECONFIG),
        kube_proxy=_kubeconfig(host, proxy, "--kubeconfig", paths.PROXY_KUBECONFIG),
        lease={each.name: each.value for each in envfile.parse(host.text(paths.SUBNET_ENV) or "")},
        versions={name: version for name, version in versions.items() if version},
        ca_file=next((path for path in (paths.CA, _GUIDE_CA) if host.exists(path)), ""),
        env_dir="/etc/sysconfig" if host.is_dir("/etc/sysconfig") else "/etc/default",
        persisted_modules=_persisted_modules(host),
        fstab_swap=_fstab_swap(host),
    )

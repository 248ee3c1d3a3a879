"""What the host's own files say about a hit: the file and line of a flag, which of FAQ 2's three faults it is.

Pure. `Known` (what was gathered) goes in, a `Refine` for the engine comes out. Rules: evidence is added, never
invented; without a word in the host's files the rule's own cause stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from nodegate_host import envfile, flags
from nodegate_host.facts.commands import flag, one_word
from nodegate_host.facts.model import Certificate, CgroupSetting, EnvironmentFile, Kubeconfig, UnitFact
from nodegate_host.model import Version
from nodegate_host.rules.engine import Refine, plain
from nodegate_host.rules.model import Cause, Evidence, Hit
from nodegate_host.unitfile import Argument

_PROGRAMS = {"kubelet": "kubelet.service", "kube-proxy": "kube-proxy.service", "flanneld": "flanneld.service"}
_UNITS = tuple(_PROGRAMS.values())


@dataclass(frozen=True)
class Known:
    """What diagnosis needs of a host; `now` in seconds since the epoch."""

    units: Mapping[str, UnitFact] = field(default_factory=dict)
    environment_files: tuple[EnvironmentFile, ...] = ()
    bootstrap: Kubeconfig = field(default_factory=lambda: Kubeconfig(""))
    kubelet: Kubeconfig = field(default_factory=lambda: Kubeconfig(""))
    versions: Mapping[str, Version] = field(default_factory=dict)
    cgroups: tuple[CgroupSetting, ...] = ()
    now: float = 0.0


def _arguments(known: Known, program: str) -> tuple[Argument, ...]:
    chosen = [_PROGRAMS[program]] if program in _PROGRAMS else list(_UNITS)
    return tuple(each for name in chosen for each in known.units.get(name, UnitFact(name)).command[1:])


def _at(argument: Argument) -> Evidence:
    return Evidence(argument.source.file, argument.source.line, argument.text)


def _program(hit: Hit) -> str:
    return hit.line.unit if hit.line.unit in _PROGRAMS else ""


def removed_flags(known: Known, program: str = "") -> Iterator[tuple[Argument, flags.Removal, str]]:
    """Yield the arguments of units whose program no longer takes them (any release, when its version is unknown)."""
    for name, unit in _PROGRAMS.items():
        if program not in ("", name):
            continue
        version = known.versions.get(name)
        for argument in known.units.get(unit, UnitFact(unit)).command[1:]:
            gone = flags.removal(name, argument.text)
            if gone and (version is None or version.release >= gone.since):
                yield argument, gone, name


def _lint(known: Known) -> Iterator[Evidence]:
    for file in known.environment_files:
        for problem in file.problems:
            if problem.severity == envfile.ERROR:
                yield Evidence(file.path, problem.line, problem.message)
    for unit in known.units.values():
        for name, source in one_word(unit):
            yield Evidence(source.file, source.line, f"${{{name}}} passes all its flags as one word; write ${name}")


def _unknown_flag(hit: Hit, known: Known) -> tuple[Cause, ...]:
    cause = plain(hit)[0]
    program, named = _program(hit), hit.groups[0] if hit.groups else ""
    gone = next((flags.removal(each, named) for each in (program or "kubelet", "kubelet") if named), None)
    places = tuple(
        _at(each)
        for each in _arguments(known, program)
        if named and each.text.split("=", 1)[0].lstrip("-") == named.lstrip("-")
    )
    if not named:
        found = tuple(removed_flags(known, program))
        places += tuple(_at(argument) for argument, _, _ in found)
        gone = found[0][1] if found else None
        named = found[0][0].text.split("=", 1)[0] if found else ""
    if gone:
        text = f"{named} was removed in Kubernetes {gone.release}; the program printed its usage instead of starting"
        cause = replace(cause, cause=text, remedy=(f"delete {named}; instead: {gone.instead}", *cause.remedy[1:]))
    return (replace(cause, evidence=(*places, *_lint(known), *cause.evidence)),)


def _is_expired(certificate: Certificate | None, now: float) -> bool:
    return certificate is not None and bool(now) and now > certificate.not_after


def _bootstrap(hit: Hit, known: Known) -> tuple[Cause, ...]:
    cause, text = plain(hit)[0], hit.line.message
    file, path = known.bootstrap, known.bootstrap.path or "the bootstrap kubeconfig"
    if "existing bootstrap client certificate" in text or _is_expired(known.kubelet.certificate, known.now):
        kind, title = "D2c", "the node's certificate expired, and the way to a new one is gone"
        why = (
            f"the client certificate in {known.kubelet.path or 'the kubelet kubeconfig'} expired and {path} is no help"
        )
    elif "no such file" in text or "stat" in hit.groups:
        kind, title = "D2a", "the bootstrap kubeconfig is missing"
        why = f"{path} does not exist, and there is no client certificate yet"
    else:
        kind, title = "D2b", "the bootstrap kubeconfig is empty"
        why = f"{path} exists, but has no contexts: it is empty, cut short, or another kind of file"
    now = Evidence(path, 0, f"now: {file.state}{', ' + file.problem if file.problem else ''}") if file.path else None
    return (replace(cause, id=kind, title=title, cause=why, evidence=(*((now,) if now else ()), *cause.evidence)),)


def _drivers(hit: Hit, known: Known) -> tuple[Cause, ...]:
    cause = plain(hit)[0]
    places = [_at(each) for each in _arguments(known, "kubelet") if each.text.lstrip("-").startswith("cgroup-driver")]
    places += [Evidence(each.file, each.line, f"{each.runtime}: {each.driver}") for each in known.cgroups]
    return (replace(cause, evidence=(*places, *cause.evidence)),)


def _missing_file(hit: Hit, known: Known) -> tuple[Cause, ...]:
    cause = plain(hit)[0]
    places = [
        Evidence(place.rpartition(":")[0], int(place.rpartition(":")[2]), f"EnvironmentFile={file} does not exist")
        for unit in known.units.values()
        for file, place in unit.missing_environment
    ]
    return (replace(cause, evidence=(*places, *cause.evidence)),)


def _names(hit: Hit, known: Known) -> tuple[Cause, ...]:
    cause, places = plain(hit)[0], []
    for name in ("kubelet.service", "kube-proxy.service"):
        unit = known.units.get(name)
        value = flag(unit, "--hostname-override")
        if unit and unit.command:
            places.append(Evidence(unit.fragment, 0, f"{name} runs as {value or 'the host name'}"))
    if known.kubelet.certificate:
        places.append(Evidence(known.kubelet.path, 0, f"certificate of {known.kubelet.certificate.common_name}"))
    return (replace(cause, evidence=(*places, *cause.evidence)),)


def _stats(hit: Hit, known: Known) -> tuple[Cause, ...]:
    cause = plain(hit)[0]
    places = [_at(each) for each in _arguments(known, "kubelet") if "-cgroups" in each.text]
    return (replace(cause, evidence=(*places, *cause.evidence)),)


_REFINED: Mapping[str, Callable[[Hit, Known], tuple[Cause, ...]]] = {
    "D1": _unknown_flag,
    "D2": _bootstrap,
    "D3": _drivers,
    "D3b": _drivers,
    "D8": _missing_file,
    "D9": _names,
    "D14": _names,
    "D24": _stats,
}


def refiner(known: Known) -> Refine:
    """Return what the engine calls for each hit."""

    def refine(hit: Hit) -> tuple[Cause, ...]:
        special = _REFINED.get(hit.rule.id)
        return special(hit, known) if special else plain(hit)

    return refine

"""cfg.*: environment files, labels, units, other people's files (checks 45-49).

Pure. A file is ours when it carries our header or the engine recorded it; everything else at a path that is to be
written is foreign.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodegate_host import envfile, labels
from nodegate_host.checks.model import ERROR, WARNING, Check, Found, evidence
from nodegate_host.facts.commands import one_word
from nodegate_host.facts.model import Facts, UnitFact
from nodegate_host.model import ForeignFiles, NodeConfig

_OUR_DROPIN = "nodegate"
_OWN_UNITS = ("flanneld.service", "kubelet.service", "kube-proxy.service")
_BROKEN = {"masked": "is masked", "bad-setting": "has a setting that systemd refuses", "error": "cannot be loaded"}


def _environment(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    for file in facts.environment_files:
        for problem in file.problems:
            if problem.severity != envfile.INFO:
                severity = WARNING if problem.severity == envfile.WARNING else None
                place = evidence(f"{file.path}:{problem.line}")
                yield Found(f"{file.path} line {problem.line}: {problem.message}", problem.remedy, severity, place)
    yield from _one_word(facts)


def _one_word(facts: Facts) -> Iterator[Found]:
    for unit in facts.units.values():
        for name, source in one_word(unit):
            message = f"{unit.name}: ${{{name}}} passes all its flags as one word, which the program does not know"
            yield Found(message, f"write ${name} without braces", evidence=evidence(str(source)))


def _labels(_facts: Facts, config: NodeConfig) -> Iterator[Found]:
    for key in config.node.labels:
        problem = labels.key_problem(key) or labels.restriction_problem(key)
        if problem:
            yield Found(problem)
    for key, value in config.node.labels.items():
        problem = labels.value_problem(value)
        if problem:
            yield Found(f"label {key}: {problem}")


def _units(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    for unit in facts.units.values():
        if unit.load_state in _BROKEN:
            remedy = (
                f"systemctl unmask {unit.name}"
                if unit.load_state == "masked"
                else f"systemd-analyze verify {unit.name}"
            )
            yield Found(f"{unit.name} {_BROKEN[unit.load_state]}", remedy, evidence=evidence(unit.fragment))
        for file, place in unit.missing_environment:
            message = f"{unit.name} needs the environment file {file}, which does not exist; it would not start"
            ours = unit.name in _OWN_UNITS
            yield Found(
                f"{message}; apply writes the unit anew" if ours else message,
                f"create {file}, or put a dash before its name",
                WARNING if ours else None,
                evidence(place),
            )


def _foreign(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    adopt = config.policy.foreign_files is ForeignFiles.ADOPT
    for place in facts.targets.values():
        if place.kind in ("file", "link") and not place.managed and place.target != "/dev/null":
            yield Found(
                f"{place.path} exists and is not ours" + ("; apply saves it and takes its place" if adopt else ""),
                "look at it, then nodegate-host apply --adopt (it is saved), or remove it",
                WARNING if adopt else None,
                evidence(place.path),
            )
    for name, path in facts.host.installers.items():
        yield Found(f"{name} is installed on this host", f"remove {name} first", evidence=evidence(path))


def _dropins(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    for name in _OWN_UNITS:
        unit = facts.units.get(name, UnitFact(name))
        for path in unit.dropins:
            if _OUR_DROPIN not in path.rsplit("/", 1)[-1]:
                overrides = (
                    "overrides ExecStart"
                    if any(each.source.file == path for each in unit.command[:1])
                    else "changes it"
                )
                yield Found(f"{name} has the drop-in {path}, which {overrides}", evidence=evidence(path))


CHECKS: tuple[Check, ...] = (
    Check(
        45,
        "cfg.env",
        ERROR,
        "environment files say what they seem to say",
        _environment,
        "retype the line",
        "A comment behind a value becomes an argument; typographic quotes and dashes from a web page are literal; an "
        "unclosed quote swallows the next line; export and ${…} mean nothing there.",
        "host",
        "S33, E18",
    ),
    Check(
        46,
        "cfg.labels",
        ERROR,
        "labels that a kubelet may set",
        _labels,
        "let the operator set the label (NodeEnrollment)",
        "NodeRestriction refuses node-role.kubernetes.io/* and most of kubernetes.io from the kubelet itself.",
        "host",
    ),
    Check(
        47,
        "cfg.units",
        ERROR,
        "units can be loaded",
        _units,
        "systemd-analyze verify UNIT",
        "A masked unit cannot be started; one that names a missing environment file fails with Result=resources.",
        "host",
        "S9, S20",
    ),
    Check(
        48,
        "cfg.foreign",
        ERROR,
        "no other installation, no foreign files",
        _foreign,
        "--adopt, or remove it",
        "Nothing that somebody else wrote is overwritten without being asked and saved.",
        "host",
        "S59",
    ),
    Check(
        49,
        "cfg.dropins",
        WARNING,
        "no foreign drop-ins",
        _dropins,
        "review it, and remove it if it is not needed",
        "kubeadm's 10-kubeadm.conf replaces the kubelet's whole command line.",
        "host",
        "E3",
    ),
)
"""Checks 45-49."""

"""Units: what systemd says of them, what their files say, and the arguments that their programs get.

A `Host` and unit names go in, `UnitFact` values come out. Rules: files are read in systemd's order (/etc, /run,
/usr/local/lib, /usr/lib, /lib), drop-ins after them by name; an argument keeps the file and line it was written in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nodegate_host import envfile, unitfile
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import EnvironmentFile, UnitFact
from nodegate_host.unitfile import Setting, Source, Value

DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where unit files are; the first one that has the file wins."""

UNITS = ("flanneld.service", "containerd.service", "docker.service", "kubelet.service", "kube-proxy.service")
"""Those that a node consists of."""

ENVIRONMENT_FILES = (
    "/etc/kubernetes/config",
    "/etc/kubernetes/kubelet",
    "/etc/kubernetes/proxy",
    "/etc/sysconfig/flanneld",
    "/etc/sysconfig/docker-network",
    "/etc/sysconfig/docker",
    "/etc/default/flanneld",
    "/etc/default/docker",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
)
"""The guide's, and those that packages read."""

_PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths,MainPID,NeedDaemonReload"


def fragment(host: Host, name: str) -> str:
    """Return the unit file that counts, or an empty string."""
    return next((f"{base}/{name}" for base in DIRECTORIES if host.exists(f"{base}/{name}")), "")


def dropins(host: Host, name: str) -> tuple[str, ...]:
    """Return the drop-in files in the order in which systemd reads them."""
    chosen: dict[str, str] = {}
    for base in DIRECTORIES:
        for each in host.names(f"{base}/{name}.d"):
            if each.endswith(".conf"):
                chosen.setdefault(each, f"{base}/{name}.d/{each}")
    return tuple(chosen[each] for each in sorted(chosen))


def settings(host: Host, paths: Iterable[str]) -> Iterator[tuple[str, Setting]]:
    """Yield all settings of these files, each with its file."""
    for path in paths:
        for each in unitfile.parse(host.text(path) or ""):
            yield path, each


def _last(found: Iterable[tuple[str, Setting]], key: str) -> list[tuple[str, Setting]]:
    """Return a list setting of [Service]; an empty value takes back what was before it."""
    kept: list[tuple[str, Setting]] = []
    for path, each in found:
        if (each.section, each.key) == ("Service", key):
            kept = [*kept, (path, each)] if each.value else []
    return kept


def _environment(host: Host, found: list[tuple[str, Setting]]) -> tuple[dict[str, Value], tuple[tuple[str, str], ...]]:
    known: dict[str, Value] = {}
    missing = []
    for path, each in _last(found, "Environment"):
        for word in unitfile.words(each.value):
            name, _, value = word.partition("=")
            known[name] = Value(value, Source(path, each.line))
    for path, each in _last(found, "EnvironmentFile"):
        file = each.value.lstrip("-").strip("\"'")
        text = host.text(file)
        for assignment in envfile.parse(text or ""):
            known[assignment.name] = Value(assignment.value, Source(file, assignment.line))
        if text is None and not each.value.startswith("-"):
            missing.append((file, f"{path}:{each.line}"))
    return known, tuple(missing)


def _show(host: Host, names: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """Ask systemd for all units at once."""
    ran = host.run("systemctl", "show", f"--property={_PROPERTIES}", *names)
    found: dict[str, Mapping[str, str]] = {}
    for block in (ran.out if ran and ran.code == 0 else "").split("\n\n"):
        pairs = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in pairs:
            found[pairs["Id"]] = pairs
    return found


def unit(host: Host, name: str, shown: Mapping[str, str]) -> UnitFact:
    """Return what is known of a unit; `shown` is what systemd says, empty when it was not asked."""
    path = shown.get("FragmentPath") or fragment(host, name)
    extra = tuple(shown.get("DropInPaths", "").split()) or dropins(host, name)
    found = list(settings(host, [each for each in (path, *extra) if each]))
    known, missing = _environment(host, found)
    commands = _last(found, "ExecStart")
    masked = bool(path) and host.place(path).target == "/dev/null"
    raw = commands[-1][1].value if commands else ""
    return UnitFact(
        name,
        fragment=path,
        load_state=shown.get("LoadState", "") or ("masked" if masked else "loaded" if path else "not-found"),
        active_state=shown.get("ActiveState", ""),
        file_state=shown.get("UnitFileState", ""),
        main_pid=int(shown.get("MainPID", "0") or 0),
        dropins=extra,
        command=unitfile.expand(raw, known, Source(commands[-1][0], commands[-1][1].line)) if commands else (),
        raw_command=raw,
        environment=known,
        missing_environment=missing,
    )


def gather(host: Host, names: Iterable[str] = UNITS) -> dict[str, UnitFact]:
    """Return the units by name."""
    wanted = tuple(names)
    shown = _show(host, wanted)
    return {name: unit(host, name, shown.get(name, {})) for name in wanted}


def environment_files(host: Host) -> tuple[EnvironmentFile, ...]:
    """Return the environment files that are there, with their mistakes."""
    found = []
    for path in ENVIRONMENT_FILES:
        text = host.text(path)
        if text is not None:
            found.append(EnvironmentFile(path, envfile.lint(text)))
    return tuple(found)

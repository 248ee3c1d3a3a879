"""A host to change: a directory for its files, and a scripted systemd on PATH that remembers what it was told.

The scripts know a unit by its file under the root (or by `stranger`, for a packaged one) and write down every call.
A unit whose file says CRASH fails when it is started; one that says HANG never becomes active. A line in ``fail``
makes every call that matches it fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodegate_host.engine.apply import Apply, Order, Outcome
from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.health import Patience
from nodegate_host.engine.live import gather
from nodegate_host.engine.plan import make_plan
from nodegate_host.engine.recovery import recover
from nodegate_host.engine.sites import Site
from nodegate_host.engine.states import Plan, Wish
from nodegate_host.engine.systemd import Systemctl
from nodegate_host.model import File, Unit

UNITS = "/etc/systemd/system"
KUBELET = f"{UNITS}/kubelet.service"
PROXY = f"{UNITS}/kube-proxy.service"
CONFIG = "/etc/kubernetes/kubelet-config.yaml"
PROXY_CONFIG = "/etc/kubernetes/kube-proxy-config.yaml"
BOOTSTRAP = "/etc/kubernetes/bootstrap.kubeconfig"

_SYSTEMCTL = r"""#!/bin/sh
home=@HOME@; root=@ROOT@
echo "systemctl $*" >> "$home/log"
if [ -s "$home/fail" ] && echo "$*" | grep -q -f "$home/fail"; then echo "told to fail" >&2; exit 1; fi
verb=$1; shift
while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
[ $# -gt 0 ] && shift
for unit in "$@"; do
  file=$root/etc/systemd/system/$unit
  case $verb in
  show)
    load=not-found; enabled=
    if [ -f "$file" ] || [ -e "$home/stranger/$unit" ]; then load=loaded; enabled=disabled; fi
    [ -e "$home/enabled/$unit" ] && enabled=enabled
    [ "$(readlink "$file")" = /dev/null ] && { load=masked; enabled=masked; }
    active=inactive; [ -e "$home/active/$unit" ] && active=$(cat "$home/active/$unit")
    pid=0; [ "$active" = active ] && pid=$(cat "$home/pid/$unit")
    printf 'Id=%s\nLoadState=%s\nActiveState=%s\nSubState=x\nUnitFileState=%s\n' "$unit" $load $active "$enabled"
    printf 'NeedDaemonReload=no\nMainPID=%s\nNRestarts=0\nResult=success\nFragmentPath=\nDropInPaths=\n\n' "$pid" ;;
  enable) [ -f "$file" ] || exit 1; : > "$home/enabled/$unit" ;;
  disable) [ -f "$file" ] || exit 1; rm -f "$home/enabled/$unit" ;;
  start|restart)
    number=$(($(cat "$home/counter") + 1)); echo $number > "$home/counter"; echo $number > "$home/pid/$unit"
    cat "$file" $root/etc/kubernetes/*config.yaml 2>/dev/null | sha256sum > "$home/running/$unit"
    state=active
    grep -q CRASH "$file" 2>/dev/null && state=failed
    grep -q HANG "$file" 2>/dev/null && state=activating
    echo $state > "$home/active/$unit" ;;
  stop) echo inactive > "$home/active/$unit"; rm -f "$home/running/$unit" ;;
  reset-failed) [ "$(cat "$home/active/$unit" 2>/dev/null)" = failed ] && echo inactive > "$home/active/$unit" ;;
  esac
done
exit 0
"""

_ANALYZE = r"""#!/bin/sh
echo "systemd-analyze $*" >> @HOME@/log
for word in "$@"; do
  if [ -f "$word" ] && grep -q Typo= "$word"; then echo "$word:3: Unknown key name 'Typo'" >&2; exit 1; fi
done
exit 0
"""

_RUN = r"""#!/bin/sh
echo "systemd-run $*" >> @HOME@/log
"""

QUICK = Patience(wait_s=0.3, poll_s=0.01, settle_s=0.0)


def no_one_listens(_point: str) -> None:
    """Stand where a test wants to know of nothing."""


@dataclass(frozen=True)
class Scene:
    """One host. `root`: its files; `home`: the scripts' memory."""

    root: Path
    home: Path

    def site(self, at: Callable[[str], None] = no_one_listens, *, with_systemd: bool = True) -> Site:
        """Return the engine's view of it; the time stands still."""
        systemd = Systemctl() if with_systemd else None
        return Site(Disk(self.root), systemd, at=at, now=lambda: 1_000.0, patience=QUICK)

    def put(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Write a file as somebody else would."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        place.write_text(text)
        place.chmod(mode)
        return place

    def read(self, path: str) -> str:
        """Return what is at `path`."""
        return (self.root / path.lstrip("/")).read_text()

    def files(self) -> dict[str, tuple[str, int]]:
        """Return every file under /etc, with its mode: what a person would see of an apply."""
        found = {}
        for place in sorted((self.root / "etc").rglob("*")):
            if place.is_file():
                found[f"/{place.relative_to(self.root)}"] = (place.read_text(), place.stat().st_mode & 0o7777)
        return found

    def calls(self, verb: str) -> list[str]:
        """Return the scripts' calls that contain `verb`, oldest first."""
        log = self.home / "log"
        return [line for line in log.read_text().splitlines() if verb in line] if log.exists() else []

    def active(self) -> dict[str, str]:
        """Return the units that were ever started or stopped, with their state."""
        return {each.name: each.read_text().strip() for each in sorted((self.home / "active").iterdir())}

    def enabled(self) -> list[str]:
        """Return the units that start at boot."""
        return sorted(each.name for each in (self.home / "enabled").iterdir())

    def runs_what_is_on_disk(self, unit: str) -> bool:
        """Return whether `unit` was last started with the files that are there now."""
        old = (self.home / "running" / unit).read_text()
        script = f'cat "{self.root}{UNITS}/{unit}" {self.root}/etc/kubernetes/*config.yaml 2>/dev/null | sha256sum'
        with os.popen(script) as pipe:  # noqa: S605 - the very pipeline of the script above
            return pipe.read() == old

    def fail_on(self, pattern: str) -> None:
        """Make the calls that match `pattern` fail; an empty one makes none fail."""
        (self.home / "fail").write_text(f"{pattern}\n" if pattern else "")


def make_scene(folder: Path) -> Scene:
    """Return a new host under `folder`; its scripts are in ``folder/bin``."""
    scene = Scene(folder / "root", folder / "home")
    scene.root.mkdir(mode=0o755)
    for name in ("active", "enabled", "pid", "running", "stranger"):
        (scene.home / name).mkdir(parents=True)
    (scene.home / "counter").write_text("0\n")
    link_scripts(scene, folder / "bin")
    return scene


def link_scripts(scene: Scene, folder: Path) -> None:
    """Write the scripts for `scene` into `folder`."""
    folder.mkdir(exist_ok=True)
    for name, text in (("systemctl", _SYSTEMCTL), ("systemd-analyze", _ANALYZE), ("systemd-run", _RUN)):
        script = folder / name
        script.write_text(text.replace("@HOME@", str(scene.home)).replace("@ROOT@", str(scene.root)))
        script.chmod(0o755)


def unit_text(name: str, extra: str = "") -> str:
    """Return a unit file."""
    return f"[Service]\nExecStart=/usr/local/bin/{name}\n{extra}"


def first() -> Wish:
    """Return a node as it is first wanted."""
    return Wish(
        files=(
            File(KUBELET, unit_text("kubelet").encode(), units=("kubelet.service",)),
            File(CONFIG, b"maxPods: 110\n", units=("kubelet.service",)),
            File(PROXY, unit_text("kube-proxy").encode(), units=("kube-proxy.service",)),
            File(PROXY_CONFIG, b"mode: iptables\n", units=("kube-proxy.service",)),
            File(BOOTSTRAP, b"token: very-secret\n", mode=0o600, secret=True),
        ),
        units=(Unit("kubelet.service"), Unit("kube-proxy.service")),
    )


def second() -> Wish:
    """Return it later: another kubelet, no kube-proxy, a new file that somebody else has (adopted)."""
    return Wish(
        files=(
            File(KUBELET, unit_text("kubelet", "Nice=1\n").encode(), units=("kubelet.service",)),
            File(CONFIG, b"maxPods: 200\n", units=("kubelet.service",)),
            File("/etc/other/theirs.conf", b"ours\n"),
            File("/etc/other/new.conf", b"new\n"),
        ),
        units=(Unit("kubelet.service"),),
        adopt=True,
    )


def plan_of(site: Site, wish: Wish) -> Plan:
    """Return the plan for `wish`."""
    return make_plan(wish, gather(site.disk, site.generations, site.systemd, wish))


def run_apply(site: Site, wish: Wish, order: Order | None = None) -> Outcome | None:
    """Do what the verb does: recover, plan, apply; None when there was nothing to do."""
    recover(site)
    facts = gather(site.disk, site.generations, site.systemd, wish)
    plan = make_plan(wish, facts)
    assert plan.refused == ()
    if plan.is_empty:
        return None
    return Apply(site, wish, facts, plan, order or Order("apply", site.generations.state().generation)).run()

"""Finds the real programs, or builds them from pinned Go modules.

What leaves is the path of kube-apiserver, kube-controller-manager, kubectl, kubemark, etcd and etcdctl. Order:
`$NODEGATE_BIN_DIR`; then the cache, one folder for each state of go.mod and go.sum; then a build into that
cache. Rules: `$NODEGATE_BIN_DIR` is trusted and never built into; two callers never build at the same time
(file lock); a program appears in the cache only when it is complete.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.toolchain import build_program, find_go

Log = Callable[[str], None]

_HERE = Path(__file__).resolve().parent
_VERSION = "k8s.io/component-base/version"
# Without these names the programs call themselves v0.0.0 and kubelets refuse the skew.
_KUBERNETES_FLAGS = f"-s -w -X {_VERSION}.gitVersion=v1.37.2 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=37"


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module of ours and what it builds.

    Attributes:
        folder: Where its go.mod is.
        packages: Program name to main package.
        minutes: Program name to the minutes a first build takes on two cores (measured, empty build cache).
        linker_flags: The value of `-ldflags`.
    """

    folder: Path
    packages: Mapping[str, str]
    minutes: Mapping[str, float]
    linker_flags: str = "-s -w"

    def cache(self) -> Path:
        """Return the cache folder that belongs to exactly this go.mod and go.sum."""
        pinned = b"".join((self.folder / name).read_bytes() for name in ("go.mod", "go.sum"))
        return cache_root() / "bin" / hashlib.sha256(pinned).hexdigest()[:16]


MODULES = (
    Module(
        _HERE / "etcd",
        {"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"},
        {"etcd": 0.5, "etcdctl": 0.1},
    ),
    Module(
        _HERE,
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kubectl", "kubemark")
        },
        {"kube-apiserver": 6.5, "kube-controller-manager": 2, "kubectl": 0.5, "kubemark": 0.7},
        _KUBERNETES_FLAGS,
    ),
)

PROGRAMS = tuple(name for module in MODULES for name in module.packages)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs, by name."""

    paths: Mapping[str, Path] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the path of a program, as text."""
        return str(self.paths[name])


def cache_root() -> Path:
    """Return `${XDG_CACHE_HOME:-~/.cache}/nodegate`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodegate"


def find(log: Log | None = None, programs: Sequence[str] = PROGRAMS) -> Binaries:
    """Return the programs, built when there is no other way.

    Args:
        log: Called with each line of progress.
        programs: The wanted ones.

    Raises:
        NotBuildable: Something is missing and there is no Go and no way to get one.
        BuildFailed: The Go compiler refused.
        ClusterError: `$NODEGATE_BIN_DIR` is set and lacks something.
    """
    if given := os.environ.get("NODEGATE_BIN_DIR"):
        return _given(Path(given), programs)
    paths: dict[str, Path] = {}
    for module in MODULES:
        wanted = [name for name in programs if name in module.packages]
        if _missing(module.cache(), wanted):
            _build(module, wanted, log or (lambda _: None))
        paths |= {name: module.cache() / name for name in wanted}
    return Binaries(paths)


def _given(folder: Path, programs: Sequence[str]) -> Binaries:
    if missing := _missing(folder, programs):
        raise ClusterError(
            f"NODEGATE_BIN_DIR={folder}: expected {', '.join(programs)}, found no {', '.join(missing)};"
            " put them there, or unset NODEGATE_BIN_DIR to use the cache"
        )
    return Binaries({name: folder.resolve() / name for name in programs})


def _missing(folder: Path, programs: Sequence[str]) -> list[str]:
    return [name for name in programs if not os.access(folder / name, os.X_OK)]


def _build(module: Module, programs: Sequence[str], log: Log) -> None:
    target = module.cache()
    target.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock"), log), tempfile.TemporaryDirectory(prefix="build-", dir=target) as scratch:
        # Another caller may have built them while this one waited.
        missing = _missing(target, programs)
        go = find_go(cache_root(), log) if missing else ""
        for number, name in enumerate(missing, 1):
            log(f"building {name} ({number} of {len(missing)}, about {module.minutes[name]:g} min on two cores)")
            built = Path(scratch) / name
            build_program(go, module.folder, module.packages[name], built, module.linker_flags, log)
            built.replace(target / name)


@contextmanager
def _locked(path: Path, log: Log) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("another process builds the programs; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

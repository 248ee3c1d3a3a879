"""Finds the real programs, or builds them from pinned Go modules.

What leaves is the paths of the programs of a control plane (`PROGRAMS`, the default) and of a node
(`NODE_PROGRAMS`, on demand). Order: `$NODEGATE_BIN_DIR`; then the cache, one folder for each state of a
module's sources; then a build into that cache. Rules: `$NODEGATE_BIN_DIR` is trusted and never built into; two
callers never build at the same time (file lock); a program appears in the cache only when it is complete.
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
_PINNED = ("go.mod", "go.sum")
# Without these names the programs call themselves v0.0.0 and kubelets refuse the skew.
_KUBERNETES_FLAGS = f"-s -w -X {_VERSION}.gitVersion=v1.37.2 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=37"
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kubectl", "kubemark")
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module of ours and what it builds.

    Attributes:
        folder: Where its go.mod is.
        packages: Program name to main package.
        minutes: Program name to the minutes a first build takes on two cores (measured, empty build cache).
        linker_flags: The value of `-ldflags`.
        cgo: Whether it needs a C compiler.
        sources: Globs of what decides the outcome, relative to the folder.
    """

    folder: Path
    packages: Mapping[str, str]
    minutes: Mapping[str, float]
    linker_flags: str = "-s -w"
    cgo: bool = False
    sources: tuple[str, ...] = _PINNED

    def cache(self) -> Path:
        """Return the cache folder that belongs to exactly these sources."""
        paths = [path for pattern in self.sources for path in sorted(self.folder.glob(pattern))]
        pinned = b"".join(path.read_bytes() for path in paths)
        return cache_root() / "bin" / hashlib.sha256(pinned).hexdigest()[:16]


MODULES = (
    Module(
        _HERE / "etcd",
        {"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"},
        {"etcd": 0.5, "etcdctl": 0.1},
    ),
    Module(
        _HERE,
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in (*_KUBERNETES, "kubelet", "kube-proxy", "kube-scheduler")},
        {
            "kube-apiserver": 6.5,
            "kube-controller-manager": 2,
            "kubectl": 0.5,
            "kubemark": 0.7,
            "kubelet": 0.7,
            "kube-proxy": 0.3,
            "kube-scheduler": 0.3,
        },
        _KUBERNETES_FLAGS,
    ),
    Module(
        _HERE / "containerd",
        {name: f"github.com/containerd/containerd/v2/cmd/{name}" for name in _CONTAINERD},
        {"containerd": 0.8, "containerd-shim-runc-v2": 0.2, "ctr": 0.2},
    ),
    Module(
        _HERE / "flannel",
        {"flanneld": "github.com/flannel-io/flannel"},
        {"flanneld": 1.1},
        # Static, so that it runs on any host that a test makes; its udp backend is written in C.
        "-s -w -X github.com/flannel-io/flannel/pkg/version.Version=v0.28.10 -linkmode external -extldflags -static",
        cgo=True,
        sources=(*_PINNED, "tencentcloud/**/go.mod", "tencentcloud/**/*.go"),
    ),
)

PROGRAMS = ("etcd", "etcdctl", *_KUBERNETES)
"""What a control plane and hollow nodes need."""

NODE_PROGRAMS = ("kubelet", "kube-proxy", "kube-scheduler", *_CONTAINERD, "flanneld")
"""What real nodes need besides, and the scheduler that puts pods on them."""

SETS: Mapping[str, tuple[str, ...]] = {
    "control-plane": PROGRAMS,
    "node": NODE_PROGRAMS,
    "all": (*PROGRAMS, *NODE_PROGRAMS),
}
"""What `python -m hack.cluster build --set` may name."""


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
    with (
        locked(target.with_suffix(".lock"), "builds the programs", log),
        tempfile.TemporaryDirectory(prefix="build-", dir=target) as scratch,
    ):
        # Another caller may have built them while this one waited.
        missing = _missing(target, programs)
        go = find_go(cache_root(), log) if missing else ""
        for number, name in enumerate(missing, 1):
            log(f"building {name} ({number} of {len(missing)}, about {module.minutes[name]:g} min on two cores)")
            built = Path(scratch) / name
            build_program(go, module.folder, module.packages[name], built, module.linker_flags, log, cgo=module.cgo)
            built.replace(target / name)


@contextmanager
def locked(path: Path, what: str, log: Log) -> Iterator[None]:
    """Hold a file lock, waiting as long as another process holds it.

    Args:
        path: The lock's file; it stays.
        what: What the other process does, in the third person.
        log: Called when there is a wait.
    """
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"another process {what}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

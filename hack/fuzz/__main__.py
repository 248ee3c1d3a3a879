"""`python -m hack.fuzz [--seconds N] [--target NAME …] [--renew]`: fuzz what reads a requester's words.

The kept corpus comes in; what is found stays under `build/fuzz`, an input that breaks a promise as `crash-…`.
Rules: the time is shared out among the targets; a Python without an atheris wheel is a skip that says so;
`--renew` fuzzes nothing and keeps, of vectors, kept inputs and found ones, the fewest that reach as much.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hack import side_venv
from hack.fuzz import corpus

PYTHONS = ((3, 11), (3, 12), (3, 13))
"""What atheris 3.0.0 has wheels for."""

TARGETS = ("pem", "der", "info", "body", "enrollment")
SLOW_S = 5
"""Seconds after which one input counts as a fault: a request may not keep others waiting."""

MEMORY_MB = 1024
_WORK = side_venv.ROOT / "build" / "fuzz"


def _run(python: Path, target: str, options: Sequence[str], folders: Sequence[Path]) -> int:
    """Run the harness over folders, the first of which takes what is found; return its exit status."""
    root = str(side_venv.ROOT)
    search = os.pathsep.join([str(side_venv.ROOT / "operator"), root])
    _WORK.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_len={corpus.LONGEST}", f"-timeout={SLOW_S}", f"-rss_limit_mb={MEMORY_MB}"]
    itself = _WORK / f"{target}.sh"  # libFuzzer starts itself anew by its first argument, which has to be a program.
    itself.write_text(f'#!/bin/sh\nexec "{python}" -m hack.fuzz.harness {target} "$0" "$@"\n', encoding="utf-8")
    itself.chmod(0o755)
    command: list[str | Path] = [itself, *limits, f"-artifact_prefix={_WORK}/{target}-", *options, *folders]
    return subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": search}, check=False).returncode


def fuzz(python: Path, target: str, seconds: int) -> bool:
    """Fuzz one target from the kept corpus on; tell whether every promise was kept."""
    found = _WORK / target
    found.mkdir(parents=True, exist_ok=True)
    print(f"==> {target}: {seconds} s", flush=True)
    if _run(python, target, [f"-max_total_time={seconds}", "-print_final_stats=1"], [found, corpus.KEPT / target]) == 0:
        return True
    print(f"{target}: expected every promise kept, found one broken; the input is in {_WORK}/{target}-*")
    return False


def renew(python: Path, target: str) -> bool:
    """Replace a target's kept corpus by the smallest that reaches as much."""
    kept, fresh, seeds = corpus.KEPT / target, _WORK / f"{target}.kept", _WORK / f"{target}.seeds"
    for folder in (fresh, seeds):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    corpus.put(corpus.seeds(target), seeds)
    sources = [folder for folder in (kept, seeds, _WORK / target) if folder.is_dir()]
    if _run(python, target, ["-merge=1"], [fresh, *sources]):
        return False
    shutil.rmtree(kept, ignore_errors=True)
    corpus.put((path.read_bytes() for path in sorted(fresh.iterdir())), kept)
    return True


def main() -> int:
    """Fuzz, or renew the corpus; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m hack.fuzz", description="Fuzz what reads a requester's words.")
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together (default 60)")
    parser.add_argument("--target", action="append", choices=TARGETS, help="one of them, several times (default all)")
    parser.add_argument("--renew", action="store_true", help="make tests/corpus anew and fuzz nothing")
    args = parser.parse_args()
    if sys.version_info[:2] not in PYTHONS:
        print(f"SKIPPED: expected a Python with an atheris wheel (3.11 to 3.13), found {sys.version.split()[0]}")
        return 0
    python = side_venv.interpreter("fuzz", ["operator.txt", "fuzz.txt"])
    targets = args.target or list(TARGETS)
    if args.renew:
        return int(False in [renew(python, target) for target in targets])
    share = max(1, args.seconds // len(targets))
    return int(False in [fuzz(python, target, share) for target in targets])


if __name__ == "__main__":
    raise SystemExit(main())

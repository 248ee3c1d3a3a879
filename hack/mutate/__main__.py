"""`python -m hack.mutate [--module PATH …] [--again]`: mutate the decisions, and judge what survives.

The checkout comes in and is only read; mutmut works on a copy under `build/mutate`. Rules: 1 for a survivor that
has no reason in `reasons.toml`; `--again` judges the last run's results anew, without running anything.
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hack import side_venv
from hack.mutate import verdicts
from hack.mutate.targets import BESIDE, MODULES, TESTS

_WORK = side_venv.ROOT / "build" / "mutate"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis")


def prepare(modules: Sequence[str]) -> None:
    """Copy what is mutated, what the tests read, and the tests; the package stands at the top, where they import it."""
    shutil.rmtree(_WORK, ignore_errors=True)
    root = side_venv.ROOT
    shutil.copytree(root / "operator" / "nodegate", _WORK / "nodegate", ignore=_LEFT_OUT)
    for folder in (*BESIDE, "tests"):
        shutil.copytree(root / folder, _WORK / folder, ignore=_LEFT_OUT)
    options = {
        "source_paths": ["nodegate"],
        "only_mutate": list(modules),
        "also_copy": list(BESIDE),
        "pytest_add_cli_args_test_selection": [test for test in TESTS if (root / test).is_file()],
    }
    # JSON's lists of strings are TOML's.
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    own = (root / "pyproject.toml").read_text(encoding="utf-8")
    (_WORK / "pyproject.toml").write_text(f"{own}\n[tool.mutmut]\n{table}", encoding="utf-8")


def _mutmut(python: Path, *words: str) -> str:
    """Run a command of mutmut in the work folder and return what it printed."""
    command: list[str | Path] = [python.with_name("mutmut"), *words]
    return subprocess.run(command, cwd=_WORK, check=True, capture_output=True, text=True).stdout


def survivors(python: Path) -> list[verdicts.Survivor]:
    """Return what the last run left unnoticed."""
    results = _mutmut(python, "results")
    if missed := verdicts.unchecked(results):
        raise SystemExit(f"expected a run to its end, found {missed} mutants not checked; run it without --again")
    names = verdicts.unnoticed(results)
    return [verdicts.Survivor(name, verdicts.changed(_mutmut(python, "show", name))) for name in names]


def judge(left: Sequence[verdicts.Survivor]) -> int:
    """Print what has no reason, and what reason nothing needs; return the exit status."""
    reasons = verdicts.read_reasons()
    faults = verdicts.faults(left, reasons)
    for fault in faults:
        print(fault)
    for reason in verdicts.unneeded(left, reasons):
        print(f"reasons.toml: no survivor needs the reason for {reason.function}: {reason.change}")
    print(f"{len(left)} mutants survived, {len(faults)} of them without a reason")
    return 1 if faults else 0


def main() -> int:
    """Mutate and judge; 1 when a survivor has no reason."""
    parser = argparse.ArgumentParser(prog="python -m hack.mutate", description="Mutate the decisions, ask the tests.")
    parser.add_argument("--module", action="append", choices=MODULES, help="one of them, several times (default all)")
    parser.add_argument("--again", action="store_true", help="judge the last run's results anew")
    args = parser.parse_args()
    python = side_venv.interpreter("mutate", ["dev.txt", "mutate.txt"])
    if not args.again:
        prepare(args.module or MODULES)
        command: list[str | Path] = [python.with_name("mutmut"), "run", "--max-children", str(os.cpu_count() or 1)]
        if subprocess.run(command, cwd=_WORK, check=False).returncode:
            print("expected mutmut to run to its end, found an error above")
            return 1
    return judge(survivors(python))


if __name__ == "__main__":
    raise SystemExit(main())

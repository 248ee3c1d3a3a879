"""Virtual environments of tools that the project's own must not hold: hashed requirements in, an interpreter out.

Rules: one lives under `build`, so that `make clean` takes it away; it is made anew when its requirements
change, and is used only when it was made to its end.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def interpreter(name: str, requirements: Sequence[str]) -> Path:
    """Return the Python of the environment `build/NAME-venv`, made from files of `requirements` when needed.

    Raises:
        SystemExit: The packages cannot be had; the message says which file was asked for.
    """
    files = [ROOT / "requirements" / file for file in requirements]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    folder = ROOT / "build" / f"{name}-venv"
    stamp, python = folder / "made-from", folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return python
    print(f"==> making build/{name}-venv from requirements/{', '.join(requirements)} (hashed; about a minute)")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = [word for file in files for word in ("-r", str(file))]
    if subprocess.run([*install, "--require-hashes", "--only-binary=:all:", *options], check=False).returncode:
        raise SystemExit(f"build/{name}-venv: expected wheels for {', '.join(requirements)}, found none for this host")
    stamp.write_text(digest, encoding="utf-8")
    return python

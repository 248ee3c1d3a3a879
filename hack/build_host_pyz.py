"""Build nodegate-host.pyz: one file that any Python 3.9 or newer runs, the same bytes from the same sources.

``python -m hack.build_host_pyz -o dist/nodegate-host.pyz`` takes `nodegate_host` and the pure Python part of the
installed PyYAML (with its licence). Names are sorted, times and modes fixed, and nothing is compressed, because
zlib's output differs between its versions. The compiled loader of PyYAML is left out: the file is for every machine.
"""

import argparse
import hashlib
import os
import zipfile
from importlib.metadata import distribution
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "node" / "nodegate_host"

_SHEBANG = b"#!/usr/bin/env python3\n"
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""

_MAIN = b'''\
"""The start of nodegate-host: refuse a Python that is too old or too small in words it understands."""
import sys

if sys.version_info < (3, 9):
    sys.exit("nodegate-host: expected Python 3.9 or newer, found %d.%d" % sys.version_info[:2])

try:
    import dataclasses, difflib, ssl, tarfile
except ImportError as error:
    sys.exit(
        "nodegate-host: expected Python's whole standard library, found it without %s; "
        "on Debian and Ubuntu python3-minimal is not enough: apt-get install python3" % error.name
    )

from nodegate_host.cli import main

sys.exit(main())
'''


def members() -> dict[str, bytes]:
    """Return the archive's files: name to content."""
    found = {"__main__.py": _MAIN}
    for path in SOURCES.rglob("*.py"):
        found[f"nodegate_host/{path.relative_to(SOURCES).as_posix()}"] = path.read_bytes()
    yaml = distribution("PyYAML")
    for file in yaml.files or []:
        name = file.as_posix()
        if name.startswith("yaml/") and name.endswith(".py") and name != "yaml/cyaml.py":
            found[name] = file.read_binary()
        elif name.endswith("/LICENSE"):
            found["yaml/LICENSE"] = file.read_binary()
    if "yaml/LICENSE" not in found or "yaml/loader.py" not in found:
        raise SystemExit("expected PyYAML with its licence to be installed, found it incomplete; run make setup")
    return found


def build(target: Path) -> str:
    """Write the archive to `target`, executable, and return its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with temporary.open("wb") as stream:
        stream.write(_SHEBANG)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in sorted(members().items()):
                entry = zipfile.ZipInfo(name, _MOMENT)
                entry.create_system = 3  # Unix, whatever builds it.
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, content)
    temporary.chmod(0o755)
    temporary.replace(target)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main() -> None:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(description="build nodegate-host.pyz")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist/nodegate-host.pyz"), help="where it goes")
    target: Path = parser.parse_args().output
    digest = build(target)
    print(f"{target}  {target.stat().st_size} bytes  sha256 {digest}")


if __name__ == "__main__":
    main()

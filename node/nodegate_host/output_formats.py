"""A `Rendering` as a tar, cloud-init user data, an Ignition config, a directory, or text for people.

The same rendering gives the same bytes: fixed times and owners, files in the order of their paths. All forms but
`listing` hold the secrets, because they are for machines; `listing` shows a digest in their place.
"""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from nodegate_host import paths, yaml_writer
from nodegate_host.errors import Refused
from nodegate_host.model import File, Rendering

IGNITION_VERSION = "3.3.0"
"""The Ignition specification that is written: Flatcar and Fedora CoreOS have read it since 2021."""


def redacted(file: File) -> str:
    """Return a file's text for people; of a secret only the beginning of its digest."""
    if file.secret:
        return f"(secret) sha256:{file.sha256[:12]}\n"
    return file.content.decode("utf-8", "replace")


def listing(rendering: Rendering) -> str:
    """Return every file under a line with its path, mode and owner."""
    parts = []
    for file in rendering.files:
        text = redacted(file)
        parts.append(f"==> {file.path} {file.mode:04o} {file.owner}\n{text}{'' if text.endswith(chr(10)) else chr(10)}")
    return "\n".join(parts)


def _parents(rendering: Rendering) -> dict[str, int]:
    """Return every directory (without the leading slash) and its mode, parents first."""
    named = {each.path.strip("/"): each.mode for each in rendering.directories}
    found: dict[str, int] = {}
    for path in [*named, *(file.path.strip("/") for file in rendering.files)]:
        parts = path.split("/")
        depth = len(parts) + (path in named)
        for end in range(1, depth):
            directory = "/".join(parts[:end])
            found[directory] = named.get(directory, 0o755)
    return dict(sorted(found.items()))


def tar(rendering: Rendering) -> bytes:
    """Return a ustar archive of the tree, everything root's, all times zero."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        directories = [(path, mode, None) for path, mode in _parents(rendering).items()]
        for path, mode, content in [*directories, *((each.path, each.mode, each.content) for each in rendering.files)]:
            entry = tarfile.TarInfo(path.strip("/"))
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.mode, entry.mtime, entry.size = mode, 0, len(content or b"")
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(content or b""))
    return buffer.getvalue()


def cloud_init(rendering: Rendering) -> str:
    """Return user data that writes the files and starts the units, in order."""
    files = [
        {
            "path": file.path,
            "owner": file.owner,
            "permissions": f"{file.mode:04o}",
            "encoding": "b64",
            "content": base64.b64encode(file.content).decode(),
        }
        for file in rendering.files
    ]
    commands: list[list[str]] = [
        ["install", "-d", "-m", f"{each.mode:04o}", each.path] for each in rendering.directories
    ]
    commands += [["systemctl", "restart", "systemd-modules-load.service"], ["sysctl", "--system"]]
    commands.append(["systemctl", "daemon-reload"])
    ours = [each.name for each in rendering.units if each.ours]
    commands.append(["systemctl", "enable", *ours])
    # One after the other in their own order; --no-block, because flanneld may wait for etcd.
    commands += [["systemctl", "restart", "--no-block", each.name] for each in rendering.units]
    return "#cloud-config\n" + yaml_writer.dump({"write_files": files, "runcmd": commands})


def ignition(rendering: Rendering) -> str:
    """Return an Ignition config: units and drop-ins as such, everything else as files."""
    units: dict[str, dict[str, Any]] = {}
    files = []
    ours = {each.name for each in rendering.units if each.ours}
    for file in rendering.files:
        place = file.path[len(paths.UNITS) + 1 :].split("/") if file.path.startswith(f"{paths.UNITS}/") else []
        if len(place) == 1:
            units[place[0]] = {"name": place[0], "enabled": place[0] in ours, "contents": file.content.decode()}
        elif place:
            unit = place[0][: -len(".d")]
            units[unit] = {"name": unit, "dropins": [{"name": place[1], "contents": file.content.decode()}]}
        else:
            files.append(_ignition_file(file))
    body = {
        "ignition": {"version": IGNITION_VERSION},
        "storage": {
            "directories": [{"path": each.path, "mode": each.mode} for each in rendering.directories],
            "files": files,
        },
        "systemd": {"units": [units[name] for name in sorted(units)]},
    }
    return json.dumps(body, indent=2) + "\n"


def _ignition_file(file: File) -> dict[str, Any]:
    source = f"data:;base64,{base64.b64encode(file.content).decode()}"
    return {"path": file.path, "mode": file.mode, "overwrite": True, "contents": {"source": source}}


def write_tree(rendering: Rendering, target: Path) -> None:
    """Write the tree under `target`, which must be empty or absent; owners stay the caller's.

    Raises:
        Refused: There is something in `target` already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused(f"expected an empty directory or none at {target}, found something in it; name another one")
    target.mkdir(parents=True, exist_ok=True)
    for path, mode in _parents(rendering).items():
        (target / path).mkdir()
        (target / path).chmod(mode)
    for file in rendering.files:
        # The mode is there from the start: a secret is never wider for an instant.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        handle = os.open(target / file.path.strip("/"), flags, file.mode & 0o700)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), file.mode)
            stream.write(file.content)

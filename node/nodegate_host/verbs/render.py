"""``nodegate-host render``: every file of the node, written somewhere else than on the host.

Needs only the node.yaml and the files it names. ``--output`` is a form (stdout, tar, cloud-init, ignition) or a
directory. On stdout, secrets are shown as digests; the other forms hold them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nodegate_host import output_formats
from nodegate_host.errors import Refused, Usage
from nodegate_host.exits import Exit
from nodegate_host.loading import load
from nodegate_host.model import File, Rendering
from nodegate_host.surroundings import Surroundings

_FORMS = {"cloud-init": output_formats.cloud_init, "ignition": output_formats.ignition}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument(
        "--output",
        metavar="DIR|tar|cloud-init|ignition|stdout",
        default="stdout",
        help="a form for stdout, or a directory that is empty or absent (default stdout)",
    )
    parser.add_argument("--file", metavar="NAME", help="only the file whose path is NAME or ends in /NAME, on stdout")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Render and write."""
    rendering = load(surroundings).rendering
    if args.file is not None:
        _one(_find(rendering, args.file), surroundings)
    elif args.output == "stdout":
        output = surroundings.output
        output.result(output_formats.listing(rendering), "Rendering", _summary(rendering), map(_item, rendering.files))
    elif args.output == "tar":
        _tar(rendering, surroundings)
    elif args.output in _FORMS:
        _tell_secrets(rendering, surroundings)
        surroundings.output.write(_FORMS[args.output](rendering))
    else:
        _tree(rendering, Path(args.output), surroundings)
    return Exit.OK


def _summary(rendering: Rendering) -> dict[str, Any]:
    return {
        "files": len(rendering.files),
        "directories": [each.path for each in rendering.directories],
        "units": [each.name for each in rendering.units],
    }


def _item(file: File) -> dict[str, Any]:
    return {
        "path": file.path,
        "mode": f"{file.mode:04o}",
        "owner": file.owner,
        "secret": file.secret,
        "sha256": file.sha256,
        "units": list(file.units),
        "content": None if file.secret else file.content.decode("utf-8", "replace"),
    }


def _find(rendering: Rendering, name: str) -> File:
    found = [file for file in rendering.files if file.path == name or file.path.endswith("/" + name.lstrip("/"))]
    if len(found) == 1:
        return found[0]
    names = "\n  ".join(file.path for file in (found or rendering.files))
    raise Usage(f"expected --file to name one file, found {len(found)} for {name}; choose from\n  {names}")


def _one(file: File, surroundings: Surroundings) -> None:
    if file.secret:
        raise Refused(f"{file.path} is a secret and is not printed; write it with --output DIR")
    surroundings.output.result(file.content.decode(), "RenderedFile", {"path": file.path}, [_item(file)])


def _tar(rendering: Rendering, surroundings: Surroundings) -> None:
    stream = surroundings.output.stdout
    if stream.isatty():
        raise Usage("expected stdout to be a file or a pipe for a tar, found a terminal; redirect it")
    _tell_secrets(rendering, surroundings)
    stream.flush()
    stream.buffer.write(output_formats.tar(rendering))


def _tell_secrets(rendering: Rendering, surroundings: Surroundings) -> None:
    secrets = [file.path for file in rendering.files if file.secret]
    if secrets:
        surroundings.output.note(f"the output holds secrets, keep it closed: {', '.join(secrets)}")


def _tree(rendering: Rendering, target: Path, surroundings: Surroundings) -> None:
    try:
        output_formats.write_tree(rendering, target)
    except OSError as error:
        raise Usage(f"expected to write under {target}, found: {error.strerror}") from None
    text = f"wrote {len(rendering.files)} files under {target}"
    surroundings.output.result(text, "Rendering", _summary(rendering), map(_item, rendering.files))

"""Vectors as YAML text, and files kept as they are.

Rules: a file that exists is left alone unless it is asked for; what the integration tier has filled in
(`api`, `apiMessage`) is carried over; keys stand in the order in which a person reads them.
"""

from pathlib import Path
from typing import Any

import yaml

from hack.vectors.vector import Vector

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "csr"
_HEADER = "# Written by `python -m hack.vectors`; the case stands in hack/vectors/cases.\n"
_FOLDED_OVER, _LINE = 60, 100
"""Characters from which a text is folded, and a list or object broken up."""


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key and folds long texts."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's signature
        """Indent a list below its key, always."""
        super().increase_indent(flow, False)  # noqa: FBT003 - the base's signature

    def represent_sequence(
        self,
        tag: str,
        sequence: Any,
        flow_style: bool | None = None,  # noqa: FBT001 - the base's signature
    ) -> yaml.SequenceNode:
        """Write a list that would not fit into a line as one item a line."""
        return super().represent_sequence(tag, sequence, False if len(str(sequence)) > _LINE else flow_style)

    def represent_mapping(
        self,
        tag: str,
        mapping: Any,
        flow_style: bool | None = None,  # noqa: FBT001 - the base's signature
    ) -> yaml.MappingNode:
        """Write an object that would not fit into a line as one field a line."""
        return super().represent_mapping(tag, mapping, False if len(str(mapping)) > _LINE else flow_style)

    def ignore_aliases(self, _: Any) -> bool:
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    plain = value.isascii() and value.isprintable() and len(value) > _FOLDED_OVER
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=">" if plain else None)


_Dumper.add_representer(str, _text)


def text(vector: Vector, kept: dict[str, Any]) -> str:
    """Return a vector's file, with what an earlier file knew of the API server."""
    known: dict[str, Any] = {
        key: kept[key] for key in ("api", "apiMessage") if key in kept and kept.get("api") != "unknown"
    }
    return _HEADER + yaml.dump(
        {**vector.content, **known}, Dumper=_Dumper, default_flow_style=None, sort_keys=False, width=120
    )


def write(vectors: tuple[Vector, ...], folder: Path, *, force: bool) -> tuple[str, ...]:
    """Write the files that are missing, or with `force` all; return the paths of those that changed."""
    changed = []
    for vector in vectors:
        path = folder / f"{vector.path}.yaml"
        kept = path.read_text() if path.exists() else ""
        if kept and not force:
            continue
        fresh = text(vector, yaml.safe_load(kept) or {} if kept else {})
        if fresh != kept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fresh)
            changed.append(vector.path)
    return tuple(changed)


def strangers(vectors: tuple[Vector, ...], folder: Path) -> tuple[str, ...]:
    """Return the files that no case stands for."""
    known = {f"{vector.path}.yaml" for vector in vectors}
    return tuple(
        sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml") if str(p.relative_to(folder)) not in known)
    )

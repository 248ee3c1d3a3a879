"""The vectors of `flannel check`: files on disk go in, values that tests compare come out.

Rules: a vector is data and decides nothing; its file's name is the case and the flannel release.
"""

import base64
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from nodegate.flannel.check import parse_version
from nodegate.flannel.model import Reading, Severity, Version
from tests.builders import ROOT

FOLDER = ROOT / "tests" / "vectors" / "flannel"


@dataclass(frozen=True, slots=True)
class ConfigVector:
    """One file of `tests/vectors/flannel/config`."""

    name: str
    body: dict[str, Any]

    @property
    def text(self) -> bytes:
        """The config as it stands in etcd."""
        encoded = self.body.get("configBase64")
        return base64.b64decode(encoded) if encoded else str(self.body["config"]).encode()

    @property
    def version(self) -> Version:
        """The flannel release."""
        return parse_version(self.body["flannelVersion"])

    @property
    def expect(self) -> dict[str, Any]:
        """What is expected."""
        return dict(self.body["expect"])


@cache
def config_vectors() -> tuple[ConfigVector, ...]:
    """Return every vector, by name."""
    paths = sorted((FOLDER / "config").glob("*.yaml"))
    return tuple(ConfigVector(path.stem, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in paths)


@cache
def config_schema() -> Draft202012Validator:
    """Return the form of a vector."""
    return Draft202012Validator(json.loads((FOLDER / "config.schema.json").read_text(encoding="utf-8")))


def fields(reading: Reading, severity: Severity) -> list[str]:
    """Return the members that problems of a severity name."""
    return [problem.field for problem in reading.problems if problem.severity is severity]

"""From the surroundings to a config and its rendering: the only place that reads node.yaml and the files it names.

What can be wrong is a sentence for a person: the file is not there, is no UTF-8, is not valid.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodegate_host.errors import Usage
from nodegate_host.inputs import read_inputs
from nodegate_host.model import NodeConfig, Rendering, Version
from nodegate_host.parse import parse
from nodegate_host.render import render
from nodegate_host.surroundings import Surroundings


@dataclass(frozen=True)
class Loaded:
    """A config and what it comes to."""

    config: NodeConfig
    rendering: Rendering


def load_config(surroundings: Surroundings, *, kubernetes: Version | None = None) -> NodeConfig:
    """Return the node's config.

    Raises:
        Usage: The file cannot be read.
        ConfigInvalid: It is not valid.
    """
    path = surroundings.config
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        found = error.strerror
        raise Usage(f"expected the node's file {path}: {found}; write one with init, or name it with -c") from None
    except UnicodeDecodeError:
        raise Usage(f"expected UTF-8 text in {path}, found other bytes") from None
    return parse(text, str(path), kubernetes=kubernetes)


def load(surroundings: Surroundings) -> Loaded:
    """Return the node's config and rendering.

    Raises:
        Usage: The file cannot be read.
        ConfigInvalid: It, or a file that it names, is not valid.
    """
    config = load_config(surroundings)
    given = read_inputs(config, surroundings.config.parent, surroundings.root, str(surroundings.config))
    return Loaded(config, render(config, given))

"""Whatever stands in a node.yaml, reading it ends in a config that renders or in sentences, never in anything else."""

import copy
import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from hack.host_golden import INPUTS, special
from nodegate_host import yaml_writer
from nodegate_host.inputs import wanted
from nodegate_host.output_formats import cloud_init, ignition, listing, tar
from nodegate_host.parse import parse
from nodegate_host.render import render
from tests.unit.host.sample import GOOD, mistakes

BASES = [yaml.safe_load(text) for text in (GOOD, *special().values())]
ODD = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-1, 2**40),
    some.floats(allow_nan=False, allow_infinity=False),
    some.sampled_from(
        [
            "",
            " ",
            "a b",
            "$HOME",
            "%n",
            "x\ny",
            "..",
            "/../x",
            "::1",
            "10.0.0.0/33",
            "1.36.2",
            "é",
            '"',
            "'",
            "\\",
            "#",
            "{}",
        ]
    ),
    some.text(max_size=12),
    some.just([]),
    some.just({}),
    some.lists(some.text(max_size=4), max_size=3),
    some.dictionaries(some.text(max_size=4), some.text(max_size=4), max_size=2),
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, each in inside for place in places(each, (*here, key)))]


@some.composite
def mutated(draw: some.DrawFn) -> Any:
    """Draw a valid config in which up to three values are something else, or were added."""
    body = copy.deepcopy(draw(some.sampled_from(BASES)))
    for _ in range(draw(some.integers(1, 3))):
        place = draw(some.sampled_from([each for each in places(body) if each]))
        parent = body
        for key in place[:-1]:
            parent = parent[key]
        key = place[-1]
        if isinstance(parent, dict) and draw(some.booleans()):
            parent[draw(some.text("abcDIN", min_size=1, max_size=4))] = draw(ODD)
        else:
            parent[key] = draw(ODD)
    return body


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_any_change_of_a_config_is_read_or_refused(body: Any) -> None:
    """A changed config either renders in every form, or is refused in sentences that name a place."""
    text = yaml_writer.dump(body)
    found = mistakes(text)
    assert all(re.match("n(:|$)", sentence) for sentence in found)
    if found:
        return
    config = parse(text)
    rendering = render(config, {each.field: INPUTS[each.form] for each in wanted(config)})
    assert listing(rendering)
    assert tar(rendering)
    assert cloud_init(rendering)
    assert ignition(rendering)
    for file in rendering.files:
        if file.path.startswith("/etc/systemd/system/"):
            check_unit(file.content.decode())


def check_unit(text: str) -> None:
    """See that nothing of the config can end a line, open a quote or stand for something else in a unit."""
    for line in text.splitlines():
        assert re.fullmatch(r"(#.*)?|\[\w+\]|[A-Z]\w*=[\x20-\x7e]*|  [\x21-\x7e]+( \\)?", line), line
        # Percent signs are specifiers for systemd; of ours there are none.
        assert "%" not in line


@settings(max_examples=200, deadline=None)
@given(some.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Text that is no config at all is refused in sentences too."""
    assert mistakes(text)

"""Log lines: one a record whatever the text, a traceback only for who debugs, every audit field."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegate.csr.decide import judge
from nodegate.csr.render import audit
from nodegate.log import LINE_LIMIT, JsonLines, PlainLines, configure
from tests.builders import make_case, make_csr

Configure = Callable[..., io.StringIO]

_HOSTILE = "csr-1\nlevel=error\r\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\u2066 \u2028\u2029 \x85 \udcff \x00"


@pytest.fixture(name="lines")
def _lines() -> Iterator[Configure]:
    """Configure the root logger as the operator does, onto a stream; put everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in ("kopf", "aiohttp.access", "asyncio")}
    # `configure` closes the handlers that it replaces; the test runner's are not its to close.
    root.handlers[:] = []

    def configured(level: str = "info", form: str = "json") -> io.StringIO:
        stream = io.StringIO()
        configure(level, form, stream)
        return stream

    yield configured
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def _record(text: str, *args: object, **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("nodegate.x", logging.INFO, "f", 1, text, args, None)
    record.__dict__.update(fields)
    return record


def test_a_line_says_when_how_bad_who_and_what() -> None:
    """Moment in UTC, level, logger and message, in that order."""
    line = json.loads(JsonLines().format(_record("%d enrollments", 3)))

    assert list(line) == ["ts", "level", "logger", "msg"]
    assert (line["level"], line["logger"], line["msg"]) == ("info", "nodegate.x", "3 enrollments")
    assert line["ts"].endswith("+00:00")


@pytest.mark.parametrize("formatter", [JsonLines(), PlainLines()])
def test_hostile_text_stays_on_its_line(formatter: logging.Formatter) -> None:
    """Line breaks, terminal codes and bidirectional overrides are escaped, in the message and in the fields."""
    line = formatter.format(_record("%s", _HOSTILE, fields={"message": _HOSTILE, "csr": _HOSTILE}))

    assert line.isprintable()
    assert len(line.splitlines()) == 1


@given(text=st.text(alphabet=st.characters(), max_size=80))
def test_whatever_the_text_one_line_comes_out(text: str) -> None:
    """Any text at all, lone surrogates included, makes one line that is one JSON object."""
    record = _record("%s", text, fields={"message": text})
    line, plain = JsonLines().format(record), PlainLines().format(record)

    assert len(line.splitlines()) == len(plain.splitlines()) == 1
    assert json.loads(line)["message"] == text


def test_long_text_is_cut() -> None:
    """A message ends somewhere."""
    assert len(json.loads(JsonLines().format(_record("x" * 9999)))["msg"]) == LINE_LIMIT
    assert len(PlainLines().format(_record("x" * 9999))) < LINE_LIMIT + 60


def test_values_that_json_lacks_become_text() -> None:
    """A field of another kind is written as text, not a crash in the middle of a decision."""
    assert json.loads(JsonLines().format(_record("m", fields={"when": ValueError("x")})))["when"] == "x"


def test_fields_that_are_none_of_ours_are_left_out() -> None:
    """A foreign record with an attribute of that name does no harm."""
    assert "fields" not in json.loads(JsonLines().format(_record("m", fields=["a"])))


def _fail(logger: logging.Logger) -> None:
    try:
        int(_HOSTILE)
    except ValueError:
        logger.exception("it failed")


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_traceback_unless_debugging(lines: Configure, form: str) -> None:
    """A fault is one line; its traceback is for who asks for it."""
    stream = lines("info", form)
    _fail(logging.getLogger("nodegate.y"))

    assert stream.getvalue().count("\n") == 1
    assert "Traceback" not in stream.getvalue()
    assert "it failed" in stream.getvalue()


def test_traceback_when_debugging(lines: Configure) -> None:
    """At level debug the traceback stands in the same JSON object."""
    stream = lines("debug")
    _fail(logging.getLogger("nodegate.y"))

    line = json.loads(stream.getvalue())
    assert "ValueError" in line["trace"]
    assert stream.getvalue().count("\n") == 1


def test_plain_traceback_when_debugging(lines: Configure) -> None:
    """At level debug the traceback follows the plain line."""
    stream = lines("debug", "text")
    _fail(logging.getLogger("nodegate.y"))

    assert "Traceback (most recent call last)" in stream.getvalue()


def test_levels_are_kept(lines: Configure) -> None:
    """What is below the level is not written; libraries that report every retry speak at errors only."""
    stream = lines("warning")
    logging.getLogger("nodegate.z").info("no")
    logging.getLogger("kopf.objects").warning("no")
    logging.getLogger("kopf.objects").error("kopf failed")
    logging.getLogger("nodegate.z").warning("yes")

    assert [json.loads(line)["msg"] for line in stream.getvalue().splitlines()] == ["kopf failed", "yes"]


def test_configuring_again_replaces(lines: Configure) -> None:
    """A second call takes the place of the first; lines come once."""
    first, second = lines(), lines()
    logging.getLogger("nodegate.z").info("hello")

    assert first.getvalue() == ""
    assert second.getvalue().count("hello") == 1


_AUDIT = {
    *("type", "csr", "csrUID", "signer", "kind", "requester", "node", "publicKeySHA256", "credentialID"),
    *("enrollmentUID", "enrollmentGeneration", "verdict", "reasons", "mode", "ruleSet", "seconds", "message"),
}
"""What an audit line has besides what every line has."""


def test_audit_line_has_every_field(lines: Configure) -> None:
    """Who asked for what, by which key, what was decided and by which enrollment: all in one object."""
    stream = lines()
    judgement = judge(make_case(csr=make_csr(name=_HOSTILE)))
    fields = audit(judgement, mode="Enforce", seconds=0.0012345678)
    logging.getLogger("nodegate.audit").info("%s", "Approve", extra={"fields": fields})

    line = json.loads(stream.getvalue())
    assert set(line) == {"ts", "level", "logger", "msg"} | _AUDIT
    assert (line["type"], line["verdict"], line["reasons"]) == ("audit", "Approve", ["BootstrapApproved"])
    assert len(line["publicKeySHA256"]) == 64
    assert line["enrollmentGeneration"] == 1
    assert line["csr"].isprintable()

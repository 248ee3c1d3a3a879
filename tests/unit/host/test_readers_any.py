"""Readers of other people's files take anything: they give values or their own error, and never crash."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from nodegate_host import envfile, unitfile
from nodegate_host.facts import cri, x509
from nodegate_host.redaction import redact
from nodegate_host.rules import journal
from nodegate_host.rules.engine import diagnose

_LINES = st.text(alphabet=" \t\n\r\\\"'#;=$ABab{}[]-\u201c\u2013", max_size=80)
_DER = st.binary(max_size=60).map(lambda raw: bytes((0x30, len(raw))) + raw)


@given(_LINES)
def test_any_environment_file_can_be_read(text: str) -> None:
    """Lines of problems and assignments are lines of the file; what is set has a valid name."""
    last = text.count("\n") + text.count("\r") + 1

    assert all(1 <= each.line <= last for each in envfile.lint(text))
    assert all(1 <= each.line <= last and each.name.isidentifier() for each in envfile.parse(text))


@given(_LINES)
def test_line_ends_do_not_matter_outside_of_quotes(text: str) -> None:
    """CRLF gives the same assignments as LF as long as nothing is quoted or continued."""
    plain = "".join(char for char in text if char not in "\r\\\"'")

    assert envfile.parse(plain.replace("\n", "\r\n")) == envfile.parse(plain)


@given(_LINES, _LINES)
def test_any_unit_file_can_be_read_and_expanded(text: str, value: str) -> None:
    """Settings have lines; every command line expands to words with a source."""
    source = unitfile.Source("f", 1)
    for each in unitfile.parse(text):
        assert each.line >= 1
        known = {"A": unitfile.Value(value, source)}
        assert all(argument.source == source for argument in unitfile.expand(each.value, known, source))


@given(
    st.one_of(
        st.binary(max_size=80),
        _DER,
        st.recursive(_DER, lambda inner: inner.map(lambda raw: bytes((0x30, len(raw) % 128)) + raw)),
    )
)
def test_any_bytes_are_a_certificate_or_malformed(der: bytes) -> None:
    """Nothing but the reader's own error leaves it."""
    with contextlib.suppress(x509.Malformed):
        x509.parse_der(der, "f")


@given(st.binary(max_size=80))
def test_any_protobuf_can_be_walked(data: bytes) -> None:
    """Fields end with the data."""
    assert sum(len(content) for _, content in cri.fields(data)) <= len(data)


@settings(max_examples=50)
@given(
    st.lists(
        st.one_of(st.text(max_size=60), st.just('{"MESSAGE": [1, "x", 300]}'), st.just('{"MESSAGE": null}')),
        max_size=20,
    )
)
def test_any_journal_can_be_diagnosed(lines: list[str]) -> None:
    """A diagnosis never has more than was read."""
    read = journal.read(lines)
    found = diagnose(read)

    assert found.lines == len(read)
    assert len(found.unknown) <= len(read)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_token_is_found_in_any_text(before: str, after: str) -> None:
    """Whatever stands around it, a bootstrap token is not shown."""
    token = "abcdef.0123456789abcdef"  # noqa: S105 (made up)

    assert token not in redact(f"{before} {token} {after}")

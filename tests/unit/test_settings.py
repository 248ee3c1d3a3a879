"""Flags and environment: each setting both ways, every mistake at once, nothing falls back in silence."""

import argparse
from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from nodegate.errors import SettingsInvalid
from nodegate.settings import Settings, add_flags, read_settings

Read = Callable[..., Settings]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nodegate operator")
    add_flags(parser)
    return parser


def _read(*flags: str, **environment: str) -> Settings:
    return read_settings(_parser().parse_args(flags), environment)


def _mistakes(*flags: str, **environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        _read(*flags, **environment)
    return caught.value.mistakes


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """A file that exists."""
    file = tmp_path / "kubeconfig"
    file.touch()
    return file


_VALUES: dict[str, tuple[str, Any]] = {
    "context": ("there", "there"),
    "bootstrap_group": ("system:bootstrappers:metal", "system:bootstrappers:metal"),
    "never_deny": ("true", True),
    "rate_limits": ("false", False),
    "require_known_credential": ("true", True),
    "issue_tokens": ("true", True),
    "pools": ("true", True),
    "manage_nodes": ("true", True),
    "flannel": ("true", True),
    "allow_flannel_extension": ("true", True),
    "service_cidr": ("10.96.0.0/12, fd00:10::/108", (ip_network("10.96.0.0/12"), ip_network("fd00:10::/108"))),
    "listen": ("127.0.0.1:9000", ("127.0.0.1", 9000)),
    "metrics_listen": ("[::1]:9443", ("::1", 9443)),
    "insecure_metrics": ("true", True),
    "log_level": ("DEBUG", "debug"),
    "log_format": ("text", "text"),
    "workers": ("256", 256),
    "relist_seconds": ("5", 5.0),
    "leader_elect": ("TRUE", True),
    "lease_namespace": ("kube-system", "kube-system"),
}
"""Text and value of every setting but those that need a file."""

_FILES = ("kubeconfig", "metrics_tls_cert", "metrics_tls_key")


def test_without_anything_the_defaults_hold() -> None:
    """Neither flags nor variables: every default."""
    assert _read() == Settings()


def test_every_setting_is_tried_here() -> None:
    """A setting that nobody tries both ways would be one that nobody has to document."""
    assert {*_VALUES, *_FILES} == {field.name for field in fields(Settings)}


@pytest.mark.parametrize("name", _VALUES)
def test_flag_and_variable_mean_the_same(name: str) -> None:
    """`--some-name` and `NODEGATE_SOME_NAME` set the same thing, and nothing else."""
    text, value = _VALUES[name]
    expected = Settings(**{name: value})

    assert expected != Settings()
    assert _read(f"--{name.replace('_', '-')}", text) == expected
    assert _read(**{f"NODEGATE_{name.upper()}": text}) == expected


def test_kubeconfig_is_a_file_that_exists(file: Path) -> None:
    """The kubeconfig is looked for at once, by flag and by variable."""
    assert _read("--kubeconfig", str(file)).kubeconfig == file
    assert _read(NODEGATE_KUBECONFIG=str(file)).kubeconfig == file
    assert "a file that exists" in _mistakes("--kubeconfig", str(file.parent))[0]


def test_certificate_and_key_come_together(file: Path) -> None:
    """Both files are looked for at once; one without the other is a mistake, by flag and by variable."""
    both = _read("--metrics-tls-cert", str(file), NODEGATE_METRICS_TLS_KEY=str(file))

    assert (both.metrics_tls_cert, both.metrics_tls_key) == (file, file)
    expected = ("--metrics-tls-cert, --metrics-tls-key: expected both or neither, found one",)
    assert _mistakes("--metrics-tls-cert", str(file)) == expected
    assert _mistakes(NODEGATE_METRICS_TLS_KEY=str(file)) == expected


@pytest.mark.parametrize("path", ["~nobody-of-this-name/config", "x" * 5000, "a\0b"])
def test_impossible_paths_are_mistakes(path: str) -> None:
    """A path that cannot be looked up is a mistake like any other, not a crash."""
    assert _mistakes(NODEGATE_KUBECONFIG=path)[0].startswith("NODEGATE_KUBECONFIG: expected a file that exists")


def test_flag_wins() -> None:
    """A flag outweighs its variable, even when the variable's value is a mistake."""
    assert _read("--workers", "3", NODEGATE_WORKERS="many").workers == 3
    assert _read("--never-deny", "false", NODEGATE_NEVER_DENY="true").never_deny is False


def test_switches_need_no_value() -> None:
    """`--never-deny` alone says true."""
    settings = _read("--never-deny", "--leader-elect")

    assert (settings.never_deny, settings.leader_elect) == (True, True)


def test_empty_variable_is_no_value() -> None:
    """A manifest often sets a variable to nothing when it means the default."""
    assert _read(**{f"NODEGATE_{name.upper()}": "" for name in _VALUES}) == Settings()


@pytest.mark.parametrize("name", [*_FILES, *_VALUES])
def test_empty_flag_is_a_mistake(name: str) -> None:
    """A flag given with nothing, such as from an unset variable of a shell, never means the default."""
    flag = f"--{name.replace('_', '-')}"

    assert _mistakes(f"{flag}=")[0].startswith(f"{flag}: expected ")


_BAD = {
    "never_deny": "yes",
    "rate_limits": "off",
    "require_known_credential": "yes",
    "issue_tokens": "yes",
    "pools": "yes",
    "manage_nodes": "yes",
    "flannel": "yes",
    "allow_flannel_extension": "yes",
    "service_cidr": "10.96.0.1/12",
    "listen": "localhost:8080",
    "log_level": "loud",
    "log_format": "xml",
    "workers": "257",
    "relist_seconds": "4",
    "leader_elect": "1",
    "bootstrap_group": " x",
    "kubeconfig": "/nonexistent/kubeconfig",
    "lease_namespace": "../nodes",
}


def test_all_mistakes_are_told_at_once() -> None:
    """One sentence a mistake, each with its source, what was expected, and what was found."""
    mistakes = _mistakes(*(f"--{name.replace('_', '-')}={text}" for name, text in _BAD.items()))

    assert len(mistakes) == len(_BAD)
    for name, text in _BAD.items():
        (told,) = [line for line in mistakes if line.startswith(f"--{name.replace('_', '-')}: expected ")]
        assert f"found {text!r}" in told


def test_mistakes_of_flags_and_variables_come_together() -> None:
    """Flags and variables are read in one go."""
    mistakes = _mistakes("--workers=0", NODEGATE_LISTEN="x", NODEGATE_TYPO="1")

    assert sorted(line.partition(":")[0] for line in mistakes) == ["--workers", "NODEGATE_LISTEN", "NODEGATE_TYPO"]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e2", "٣", "", " 3", "99999999999999999999"])
def test_numbers_are_plain_digits(text: str) -> None:
    """What only looks like a number, or lies outside the range, is a mistake."""
    assert _mistakes(f"--workers={text}")[0].startswith("--workers: expected a whole number from 1 to 256")


def test_found_text_is_made_visible() -> None:
    """What a mistake quotes cannot paint on the terminal."""
    assert "\x1b" not in _mistakes("--log-level=\x1b[31mred")[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[::]:8080", ("::", 8080)),
        ("[fd00::1]:1", ("fd00::1", 1)),
        (":9090", ("0.0.0.0", 9090)),  # noqa: S104 - what is tested
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
    ],
)
def test_listening_addresses(text: str, address: tuple[str, int]) -> None:
    """IPv6 in brackets, every address by an empty host, and port 0 for a free one."""
    assert _read("--listen", text).listen == address


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.1:65536", "host:80", "1.2.3:80", "[::]", ":", "127.0.0.1:-1"])
def test_addresses_that_cannot_be_listened_on(text: str) -> None:
    """A host name, no port, or a port out of range is a mistake."""
    assert _mistakes(f"--listen={text}")[0].startswith("--listen: expected an IP address and a port")


def test_unknown_variables_are_mistakes() -> None:
    """A variable of ours that nobody reads is a typo: it would be silent otherwise."""
    assert _mistakes(NODEGATE_WORKER="3") == (
        "NODEGATE_WORKER: expected a variable that `nodegate operator --help` lists",
    )


_LINKS = {
    "NODEGATE_SERVICE_HOST": "10.96.3.1",
    "NODEGATE_SERVICE_PORT": "8080",
    "NODEGATE_SERVICE_PORT_METRICS": "8080",
    "NODEGATE_PORT": "tcp://10.96.3.1:8080",
    "NODEGATE_PORT_8080_TCP": "tcp://10.96.3.1:8080",
    "NODEGATE_PORT_8080_TCP_PROTO": "tcp",
    "NODEGATE_PORT_8080_TCP_PORT": "8080",
    "NODEGATE_PORT_8080_TCP_ADDR": "10.96.3.1",
    "NODEGATE_METRICS_SERVICE_HOST": "10.96.3.2",
}


def test_service_links_are_tolerated() -> None:
    """The kubelet sets such variables for a Service named nodegate; they are not ours and no mistake."""
    assert _read(**_LINKS) == Settings()


def test_other_variables_are_nobodys_business() -> None:
    """Variables without our prefix, and the one of the test bed, mean nothing here."""
    assert _read(PATH="/bin", KUBECONFIG="x", NODEGATE_BIN_DIR="/x") == Settings()


@pytest.mark.parametrize(
    ("group", "fits"), [("system:bootstrappers", True), ("system:bootstrappers:metal", True), ("metal", False)]
)
def test_minted_tokens_need_a_group_that_tokens_can_have(group: str, *, fits: bool) -> None:
    """The API server puts tokens into groups below system:bootstrappers only."""
    flags = ("--issue-tokens", "--bootstrap-group", group)
    if fits:
        assert _read(*flags).issue_tokens
    else:
        assert "with --issue-tokens" in _mistakes(*flags)[0]


def test_help_names_variable_and_default_of_every_setting() -> None:
    """Everything that can be set is in the help, with its variable and its default."""
    text = " ".join(_parser().format_help().split())

    for field in fields(Settings):
        assert f"--{field.name.replace('_', '-')}" in text
        assert f"[NODEGATE_{field.name.upper()}]" in text
    shown = [part.partition(")")[0] for part in text.split("(default ")[1:]]
    addresses = ["0.0.0.0:8080", "0.0.0.0:8443"]
    assert shown == [
        "system:bootstrappers",
        "false",
        "true",
        *["false"] * 6,
        *addresses,
        "false",
        "info",
        "json",
        "32",
        "60",
        "false",
    ]

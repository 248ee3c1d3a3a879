"""Canaries: the public names of kopf that the lifecycle plane is built on."""

import inspect

import kopf
import pytest

_NAMES = (
    "AiohttpSession",
    "ConnectionInfo",
    "DiffBaseStorage",
    "LoginError",
    "OperatorRegistry",
    "OperatorSettings",
    "PermanentError",
    "ProgressStorage",
    "TemporaryError",
    "login_with_kubeconfig",
    "login_with_service_account",
    "operator",
    "on",
)


@pytest.mark.parametrize("name", _NAMES)
def test_the_name_is_there(name: str) -> None:
    """Each name is one that kopf shows to everybody."""
    assert hasattr(kopf, name)


def test_version() -> None:
    """The minor version that these canaries were written for."""
    from importlib.metadata import version

    assert version("kopf").startswith("1.45.")


@pytest.mark.parametrize("name", ["registry", "settings", "standalone", "clusterwide", "stop_flag", "ready_flag"])
def test_an_operator_takes_its_own_registry_and_settings(name: str) -> None:
    """`kopf.operator` is run with a registry, settings and flags of our own."""
    assert name in inspect.signature(kopf.operator).parameters


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ("networking", "request_timeout"),
        ("networking", "connect_timeout"),
        ("networking", "error_backoffs"),
        ("watching", "server_timeout"),
        ("watching", "client_timeout"),
        ("watching", "connect_timeout"),
        ("watching", "reconnect_backoff"),
        ("queueing", "worker_limit"),
        ("persistence", "progress_storage"),
        ("persistence", "diffbase_storage"),
        ("posting", "enabled"),
        ("scanning", "disabled"),
    ],
)
def test_the_settings_field_is_there(group: str, field: str) -> None:
    """A misspelt setting would be set without a word and change nothing."""
    assert hasattr(getattr(kopf.OperatorSettings(), group), field)


@pytest.mark.parametrize(
    ("storage", "methods"),
    [
        (kopf.ProgressStorage, {"fetch", "store", "purge", "touch", "clear"}),
        (kopf.DiffBaseStorage, {"fetch", "store", "build"}),
    ],
)
def test_a_storage_is_made_by_these_methods(storage: type, methods: set[str]) -> None:
    """Our own storages override exactly what kopf calls."""
    assert methods <= set(dir(storage))
    assert getattr(storage, "__abstractmethods__", frozenset()) <= methods

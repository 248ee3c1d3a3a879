"""The real control plane for this tier.

What leaves is the session fixture `cluster`. Rules: the programs are found or built before the first test, when
no test's time limit runs yet; the tier is skipped, loudly, only where they are neither found nor buildable.
"""

from collections.abc import Iterator

import pytest

from hack.cluster import Cluster, NotBuildable
from hack.cluster.binaries import find
from tests.integration import hosts_at_hand
from tests.integration.operator_fixtures import account, lab, own_lab, shared_lab, start

__all__ = ["account", "lab", "own_lab", "shared_lab", "start"]

_MISSING = pytest.StashKey[str]()
_HOSTLESS = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of the tests that need real hosts."""
    config.addinivalue_line("markers", hosts_at_hand.MARKER)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find or build the programs, with progress on the terminal, when a collected test needs them."""
    if session.config.option.collectonly or not any(item.get_closest_marker("integration") for item in session.items):
        return
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    try:
        find(terminal.write_line if terminal else None)
    except NotBuildable as error:
        session.config.stash[_MISSING] = str(error)
        return
    if any(item.get_closest_marker(hosts_at_hand.MARK) for item in session.items):
        session.config.stash[_HOSTLESS] = hosts_at_hand.prepare(terminal.write_line if terminal else None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs the programs when there are none."""
    missing = item.config.stash.get(_MISSING, None)
    if missing and item.get_closest_marker("integration"):
        pytest.skip(missing)
    hostless = item.config.stash.get(_HOSTLESS, "")
    if hostless and item.get_closest_marker(hosts_at_hand.MARK):
        pytest.skip(hostless)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in red, last, that the tier did not run."""
    if missing := config.stash.get(_MISSING, None):
        terminalreporter.section("INTEGRATION TESTS DID NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.line(missing)
    if hostless := config.stash.get(_HOSTLESS, ""):
        terminalreporter.section("TESTS ON REAL HOSTS DID NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.line(hostless)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Yield one control plane for the whole session; tests share it and clean up after themselves."""
    with Cluster() as started:
        yield started

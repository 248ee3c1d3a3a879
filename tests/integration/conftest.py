"""The real control plane for this tier.

What leaves is the session fixture `cluster`. Rules: the programs are found or built before the first test, when
no test's time limit runs yet; the tier is skipped, loudly, only where they are neither found nor buildable.
"""

from collections.abc import Iterator

import pytest

from hack.cluster import Cluster, NotBuildable
from hack.cluster.binaries import find
from tests.integration.operator_fixtures import account, lab, own_lab, shared_lab, start

__all__ = ["account", "lab", "own_lab", "shared_lab", "start"]

_MISSING = pytest.StashKey[str]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find or build the programs, with progress on the terminal, when a collected test needs them."""
    if session.config.option.collectonly or not any(item.get_closest_marker("integration") for item in session.items):
        return
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    try:
        find(terminal.write_line if terminal else None)
    except NotBuildable as error:
        session.config.stash[_MISSING] = str(error)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs the programs when there are none."""
    missing = item.config.stash.get(_MISSING, None)
    if missing and item.get_closest_marker("integration"):
        pytest.skip(missing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in red, last, that the tier did not run."""
    if missing := config.stash.get(_MISSING, None):
        terminalreporter.section("INTEGRATION TESTS DID NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.line(missing)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Yield one control plane for the whole session; tests share it and clean up after themselves."""
    with Cluster() as started:
        yield started

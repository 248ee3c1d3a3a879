"""Whether test hosts can run here, found out before the first test that needs them.

The collected tests come in; programs, a root file system or a reason to skip leave. Rules: what is missing is built
with progress on the terminal, when no test's time limit runs yet; nothing is installed; a skip says what to do.
"""

from collections.abc import Callable

from hack.cluster import ClusterError
from hack.cluster.binaries import find
from hack.hosts import HostError, needs, rootfs
from tests.integration.real_node import PROGRAMS

MARK = "hosts"
MARKER = "hosts: needs root and systemd-nspawn for real hosts (hack/hosts)"


def prepare(log: Callable[[str], None] | None) -> str:
    """Get everything ready; return why test hosts cannot run, or nothing.

    Args:
        log: Called with each line of progress.
    """
    try:
        needs.check()
        find(log, PROGRAMS)
        rootfs.find(log)
    except (HostError, ClusterError) as error:
        return str(error)
    return ""

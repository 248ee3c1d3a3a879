"""The operator as a real process, for the demo, the bench and the tests.

It is started as people start it, from a kubeconfig, and ends with whoever started it. What leaves are
its endpoints, its log and its own resource figures.
"""

import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.cluster.process import Component, free_ports

_SAMPLE = re.compile(r"^(?P<name>\w+)(\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class OperatorProcess(Component):
    """One operator on a free port of 127.0.0.1; its metrics are plain unless the flags say otherwise.

    Args:
        kubeconfig: Who it is to the API server.
        folder: Where its log goes.
        flags: Further flags of ``nodegate operator``.
        environment: Added to the process environment.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        (port,) = free_ports(1)
        command = (sys.executable, "-m", "nodegate", "operator")
        where = ("--kubeconfig", str(kubeconfig), "--listen", f"127.0.0.1:{port}", "--insecure-metrics")
        super().__init__(
            "nodegate",
            (*command, *where, *flags),
            folder / "nodegate.log",
            ready=self.is_ready,
            ports=(port,),
            environment=environment,
        )
        self.url = f"http://127.0.0.1:{port}"
        """Where its endpoints are."""

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and text of one of its endpoints.

        Raises:
            OSError: It does not answer.
        """
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def is_ready(self) -> bool:
        """Tell whether /readyz says yes."""
        try:
            return self.get("/readyz")[0] == 200  # noqa: PLR2004 - HTTP's OK
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that carry the labels, 0 when there is none."""
        total = 0.0
        for sample in _SAMPLE.finditer(self.get("/metrics")[1]):
            found = dict(_LABEL.findall(sample["labels"] or ""))
            if sample["name"] == name and labels.items() <= found.items():
                total += float(sample["value"])
        return total

    def log_text(self) -> str:
        """Return everything it has logged, all starts together."""
        return self.log_path.read_text(encoding="utf-8") if self.log_path.exists() else ""

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the process has used, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_mib(self) -> float:
        """Resident memory, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

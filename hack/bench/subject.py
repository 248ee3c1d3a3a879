"""The operator as the subject of measurement: a real process, its CPU, memory and own metrics."""

import asyncio
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hack.bench.load import CSRS, Api

_LINE = re.compile(r"^nodegate_api_requests_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)


class Subject:
    """One running operator."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._port = port

    @property
    def cpu_s(self) -> float:
        """CPU seconds that the process has used, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_mib(self) -> float:
        """Resident memory, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def requests(self) -> dict[str, float]:
        """Return how many requests it has made, by verb and resource, watches and lists left out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as answer:
            text = answer.read().decode()
        counts: dict[str, float] = {}
        for match in _LINE.finditer(text):
            labels = dict(pair.split("=", 1) for pair in match["labels"].replace('"', "").split(","))
            if labels["verb"] not in ("list", "watch"):
                key = f"{labels['verb']} {labels['resource']}"
                counts[key] = counts.get(key, 0) + float(match["value"])
        joins = re.search(r"^nodegate_enrollment_joins_total (\S+)$", text, re.MULTILINE)
        return counts | {"joins": float(joins[1]) if joins else 0.0}

    def all_calls(self) -> float:
        """Return how many requests it has made, lists and watches left out."""
        return sum(value for key, value in self.requests().items() if key != "joins")

    def decision_calls(self) -> float:
        """Return how many of them were on the way to a decision: approvals, joins and reads, no bookkeeping."""
        counts = self.requests()
        joins = counts.get("joins", 0)
        wanted = ("update certificatesigningrequests/approval", "get nodeenrollments", "get certificatesigningrequests")
        return joins + sum(counts.get(key, 0) for key in wanted)

    def pause(self) -> None:
        """Stop it in its tracks, so that a backlog can be made."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    async def ready(self) -> None:
        """Wait until it answers on /readyz."""
        while True:
            if self._answers():
                return
            await asyncio.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz"):
                return True
        except OSError:
            return False


@asynccontextmanager
async def running(kubeconfig: Path, port: int, log: Path) -> AsyncIterator[Subject]:
    """Run the operator as its own process; stopped by SIGTERM at the end."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nodegate", "operator"),
            *("--listen", f"127.0.0.1:{port}", "--kubeconfig", str(kubeconfig)),
            stderr=sink,
        )
        try:
            yield Subject(process, port)
        finally:
            process.terminate()
            await process.wait()


async def approved(api: Api, prefix: str) -> AsyncGenerator[tuple[str, float], None]:
    """Yield the name and the moment (``perf_counter``) of each approval seen in a watch."""
    seen: set[str] = set()
    async with api.session.get(f"{api.server}{CSRS}?watch=1", timeout=None) as response:
        async for line in response.content:
            item = json.loads(line)["object"]
            name = item["metadata"]["name"]
            conditions = item.get("status", {}).get("conditions", ())
            if name.startswith(prefix) and name not in seen and any(c["type"] == "Approved" for c in conditions):
                seen.add(name)
                yield name, time.perf_counter()

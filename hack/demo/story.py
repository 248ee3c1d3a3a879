"""How the demo speaks: numbered steps, the commands a person would type, and their real output."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hack.cluster import Cluster

T = TypeVar("T")


class StepFailed(Exception):
    """A step did not come out as told: what was expected, what was found."""


class Story:
    """Prints the steps, runs the commands and keeps the time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._started = time.monotonic()
        self._step = 0
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def scene(self, title: str, text: str) -> None:
        """Begin a numbered scene."""
        self._step += 1
        elapsed = time.monotonic() - self._started
        print(f"\n{self._bold(f'{self._step}. {title}')}   [{elapsed:.1f} s]")
        self.say(text)

    def say(self, text: str) -> None:
        """Print a paragraph."""
        width = min(100, shutil.get_terminal_size((100, 20)).columns)
        print(textwrap.fill(" ".join(text.split()), width, initial_indent="   ", subsequent_indent="   "))

    def show(self, text: str) -> None:
        """Print something's output, indented."""
        print(textwrap.indent(text.rstrip("\n"), "     "), flush=True)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a kubectl command and show it with its output."""
        self.command(f"kubectl {' '.join(arguments)}")
        output = self._cluster.kubectl(*arguments, input=stdin).stdout
        self.show(output)
        return output

    def plugin(self, *arguments: str, shown: str = "") -> str:
        """Run ``kubectl nodegate`` and show it, as `shown` if that is given, with its output."""
        self.command(f"kubectl nodegate {shown or ' '.join(arguments)}")
        program = Path(sys.executable).with_name("kubectl-nodegate")
        done = subprocess.run(
            [program, *arguments, "--kubeconfig", self._cluster.kubeconfig],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "96"},
        )
        self.show(done.stdout + done.stderr)
        if done.returncode != 0:
            raise StepFailed(f"kubectl nodegate: expected exit status 0, found {done.returncode}")
        return done.stdout

    def apply(self, manifest: str) -> None:
        """Apply a manifest, showing it."""
        manifest = textwrap.dedent(manifest).strip() + "\n"
        self.command("kubectl apply -f - <<EOF")
        self.show(manifest + "EOF")
        self.show(self._cluster.kubectl("apply", "-f", "-", input=manifest).stdout)

    def command(self, text: str) -> None:
        """Print a command as typed."""
        print(f"   {self._bold('$ ' + text)}", flush=True)

    def result(self, text: str) -> None:
        """Print what a step has shown."""
        print(f"   {self._green('✔')} {text}", flush=True)

    def expect(self, what: str, check: Callable[[], T], timeout: float = 30) -> T:
        """Wait until `check` returns something true, and return it.

        Args:
            what: What is expected, for people.
            check: Asked several times a second.
            timeout: Seconds.

        Raises:
            StepFailed: It did not happen in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = check()
            if found:
                return found
            if time.monotonic() > deadline:
                raise StepFailed(f"expected {what} within {timeout:g} s, found {found!r}")
            time.sleep(0.1)

    def condition(self, name: str, kind: str, timeout: float = 30) -> Any:
        """Wait for a request's condition, show it and return it."""
        condition = self.expect(f"{name} to be {kind}", lambda: self._condition(name, kind), timeout)
        self.show(f"{kind}: {condition['reason']}")
        self.say_lines(condition["message"])
        return condition

    def say_lines(self, text: str) -> None:
        """Print a long message, wrapped and indented."""
        print(textwrap.fill(text, 94, initial_indent="     ", subsequent_indent="     "), flush=True)

    def _condition(self, name: str, kind: str) -> Any:
        conditions: Sequence[Any] = self._cluster.csr(name).get("status", {}).get("conditions", ())
        return next((c for c in conditions if c["type"] == kind), None)

    def finish(self) -> None:
        """Say how long it took."""
        print(
            f"\n{self._bold('Done')} in {time.monotonic() - self._started:.1f} s; everything was stopped and removed."
        )

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self._colour else text

    def _green(self, text: str) -> str:
        return f"\x1b[32m{text}\x1b[0m" if self._colour else text

"""What can go wrong with test hosts, named by what to do about it.

Every message says what was expected, what was found and what to do next. All are `HostError`.
"""

from collections.abc import Sequence


class HostError(Exception):
    """The base of every error that this package raises on purpose."""


class NotPossible(HostError):
    """This machine cannot run test hosts: no root, or something is not installed."""


class HostFailed(HostError):
    """A machine ended, or did not come up or go down in time; with the end of its console."""


class CommandFailed(HostError):
    """A command ended with another status than 0.

    Attributes:
        returncode: The exit status.
        output: What it said, standard output and error.
    """

    def __init__(self, where: str, command: Sequence[str], returncode: int, output: str) -> None:
        super().__init__(
            f"{where}: {' '.join(command)}: expected exit status 0, found {returncode}: {output.strip()[-3000:]}"
        )
        self.returncode = returncode
        self.output = output

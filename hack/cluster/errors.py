"""What can go wrong with a local cluster, named by what to do about it.

Every message says what was expected, what was found and what to do next. All are `ClusterError`, so that the
command line can print them without a traceback.
"""

import json
from typing import Any


class ClusterError(Exception):
    """The base of every error that this package raises on purpose."""


class NotBuildable(ClusterError):
    """A program is neither found nor buildable here: no Go, and no way to get one."""


class BuildFailed(ClusterError):
    """The Go compiler refused; the message carries the end of its output."""


class PartFailed(ClusterError):
    """A started program ended, or did not get ready.

    Attributes:
        address_taken: Its log says that an address was in use already.
    """

    def __init__(self, message: str, log_tail: str) -> None:
        super().__init__(f"{message}\n{log_tail}".rstrip())
        self.address_taken = "address already in use" in log_tail


class KubectlFailed(ClusterError):
    """Kubectl ended with another status than 0.

    Attributes:
        returncode: The exit status.
        stderr: What it said.
    """

    def __init__(self, arguments: tuple[str, ...], returncode: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: expected exit status 0, found {returncode}: {stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr


class ApiRefused(ClusterError):
    """The API server answered with a status of 400 or more.

    Attributes:
        status: The HTTP status.
        body: The decoded JSON answer, or its text.
    """

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        text = body.get("message") or json.dumps(body) if isinstance(body, dict) else str(body)
        super().__init__(f"{method} {path}: {status}: {text}")
        self.status = status
        self.body = body

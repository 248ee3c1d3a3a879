"""Errors that end a run with a sentence and an exit code, never with a traceback.

A verb raises `Stop` (or a kind of it) when a person must act; `cli.main` prints the sentence on stderr and returns
the code. Everything else that escapes is an internal error (exit 70).
"""

from __future__ import annotations

from dataclasses import dataclass

from nodegate_host.exits import Exit


class Stop(Exception):
    """The run ends here.

    Attributes:
        code: What the process returns.
    """

    code = Exit.USAGE

    def __init__(self, message: str, code: Exit | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class Usage(Stop):
    """A wrong flag or a file that cannot be read."""

    code = Exit.USAGE


class Refused(Stop):
    """Something stands in the way that is not ours to move."""

    code = Exit.REFUSED


@dataclass(frozen=True)
class Problem:
    """One mistake in a config file.

    Attributes:
        path: The field, as ``kubelet.config.maxPods``; empty for the file as a whole.
        message: Expected, found, what to do.
        line: The line in the file, counted from 1, or None when it is not known.
    """

    path: str
    message: str
    line: int | None = None


class ConfigInvalid(Stop):
    """A node.yaml that cannot be used, with every mistake in it.

    Attributes:
        source: The file's name as given.
        problems: At least one, in the order of the file.
    """

    code = Exit.USAGE

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(sentence(source, problem) for problem in problems))
        self.source = source
        self.problems = problems


def sentence(source: str, problem: Problem) -> str:
    """Return ``node.yaml:7: kubelet.maxPod: unknown key; did you mean …``."""
    place = source if problem.line is None else f"{source}:{problem.line}"
    return ": ".join(part for part in (place, problem.path, problem.message) if part)

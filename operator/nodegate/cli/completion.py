"""``completion``: scripts by which shells complete the plugin's words, and the words themselves.

The scripts ask the plugin itself (the hidden verb ``__complete``), so they never grow stale. Rules:
completing never fails aloud and never waits long: what cannot be had within two seconds is not offered.
"""

import argparse
import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

from nodegate.cli.arguments import PROG, add_verb
from nodegate.cli.exits import Exit
from nodegate.errors import NodegateError

COMPLETE = "__complete"
"""The hidden verb that prints candidates, one a line, then ``:`` and a directive, as kubectl expects."""

_DEFAULT, _NO_FILES = 0, 4
"""Directives of kubectl's completion (spf13/cobra, ShellCompDirective): files may follow, or may not."""

_TIMEOUT_S = 2
_NAMES = {"explain": "read_requests", "token": "read_enrollments", "bundle": "read_enrollments"}
"""Verbs that take names, each with the function of ``cluster_facts`` that reads what they name."""

_BASH = """\
# bash completion for kubectl-nodegate; load it with: source <(kubectl nodegate completion bash)
_kubectl_nodegate() {
    local lines line
    mapfile -t lines < <(kubectl-nodegate __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=()
    for line in "${lines[@]}"; do
        case "$line" in
            :0) compopt -o default ;;
            :*) ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done
}
complete -F _kubectl_nodegate kubectl-nodegate
"""

_ZSH = """\
#compdef kubectl-nodegate
# zsh completion for kubectl-nodegate; load it with: source <(kubectl nodegate completion zsh)
_kubectl_nodegate() {
    local -a lines
    lines=("${(@f)$(kubectl-nodegate __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    compadd -- "${(@)lines[1,-2]}"
    [[ "${lines[-1]}" == ":0" ]] && _files
    return 0
}
compdef _kubectl_nodegate kubectl-nodegate
"""

_FISH = """\
# fish completion for kubectl-nodegate; load it with: kubectl nodegate completion fish | source
function __kubectl_nodegate
    set -l words (commandline -opc) (commandline -ct)
    kubectl-nodegate __complete $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c kubectl-nodegate -a '(__kubectl_nodegate)'
"""

_KUBECTL = """\
#!/bin/sh
# kubectl runs this to complete "kubectl nodegate ...". Save it as kubectl_complete-nodegate on the PATH.
exec kubectl-nodegate __complete "$@"
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "kubectl": _KUBECTL}

_EPILOG = f"""\
to complete "kubectl nodegate ..." (kubectl 1.26 and later, with kubectl's own completion loaded):
  {PROG} completion kubectl > ~/.local/bin/kubectl_complete-nodegate
  chmod +x ~/.local/bin/kubectl_complete-nodegate      # any directory on the PATH will do

to complete the program itself, kubectl-nodegate:
  source <({PROG} completion bash)
  source <({PROG} completion zsh)
  {PROG} completion fish | source"""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "completion",
        "Print a script that completes words in a shell",
        usage="(bash | zsh | fish | kubectl)",
        description="Print a script by which a shell, or kubectl itself, completes the words of this plugin.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=tuple(_SCRIPTS), metavar="SHELL", help="one of: %(choices)s")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the script."""
    print(_SCRIPTS[args.shell], end="")
    return Exit.OK


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """Return what completes the last word: candidates, one a line, and the directive.

    Args:
        parser: The whole command line.
        words: What was typed after the program's name; the last may be empty.
    """
    *before, last = words or [""]
    candidates, directive = _candidates(parser, before, last)
    fitting = [candidate for candidate in candidates if candidate.startswith(last)]
    return "".join(f"{line}\n" for line in (*fitting, f":{directive}"))


def _candidates(parser: argparse.ArgumentParser, before: Sequence[str], last: str) -> tuple[Iterable[str], int]:
    verbs = _verbs(parser)
    if not before:
        return verbs, _NO_FILES
    verb = verbs.get(before[0])
    if verb is None:
        return (), _NO_FILES
    if _verbs(verb):  # It has verbs of its own, which never name objects of the cluster.
        return _candidates(verb, before[1:], last)
    options = {option: action for action in verb._actions for option in action.option_strings}  # noqa: SLF001 - argparse has no public way to ask a parser for its flags
    if last.startswith("-"):
        return sorted(option for option in options if option.startswith("--")), _NO_FILES
    flag = _open_flag(options, before[1:])
    if flag is not None:
        return flag.choices or (), _NO_FILES if flag.choices or flag.metavar != "FILE" else _DEFAULT
    return _positional(before[0], verb, before[1:])


def _positional(name: str, verb: argparse.ArgumentParser, words: Sequence[str]) -> tuple[Iterable[str], int]:
    """Return what may stand where no flag stands."""
    if name in _NAMES:
        return _names(verb, words, name), _NO_FILES
    actions = [action for action in verb._actions if not action.option_strings]  # noqa: SLF001 - as above
    if any(action.metavar == "FILE" for action in actions):
        return (), _DEFAULT
    return next((action.choices for action in actions if action.choices), ()), _NO_FILES


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to ask a parser for its verbs
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            return dict(action.choices)
    return {}


def _open_flag(options: dict[str, argparse.Action], words: Sequence[str]) -> argparse.Action | None:
    """Return the flag whose value comes next, or None."""
    for distance, word in enumerate(reversed(words)):
        action = options.get(word)
        if action is not None:
            takes_more = action.nargs == "+" or (action.nargs is None and distance == 0)
            return action if takes_more else None
    return None


def _names(verb: argparse.ArgumentParser, words: Sequence[str], name: str) -> list[str]:
    """Return the names of the cluster's objects that a verb takes, or none when they cannot be had soon."""
    with contextlib.redirect_stderr(io.StringIO()):
        for more in ((), ("any",)):  # A verb that needs a name is not content before it has one.
            try:
                args = verb.parse_args([*words, *more, "--request-timeout", str(_TIMEOUT_S)])
                break
            except SystemExit:
                continue
        else:
            return []
        try:
            from nodegate.cli import cluster_facts
            from nodegate.cli.connection import connect

            with contextlib.closing(connect(args)) as connection:
                found = getattr(cluster_facts, _NAMES[name])(connection)
                return sorted(cluster_facts.name_of(body) for body in found)
        except (NodegateError, ImportError):
            return []

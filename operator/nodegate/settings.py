"""Flags and environment in, checked `Settings` out.

Rules: every flag ``--some-name`` is also ``NODEGATE_SOME_NAME``, the flag wins; every mistake is found
and reported at once (`SettingsInvalid`), and none falls back to a default.
"""

import argparse
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nodegate.errors import SettingsInvalid
from nodegate.identity import IPNetwork
from nodegate.names import BOOTSTRAP_GROUP
from nodegate.text import visible

ENVIRONMENT_PREFIX: Final = "NODEGATE_"
# The kubelet gives pods such variables for each Service of their namespace, one named nodegate included.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)$")

_HELP = {
    "kubeconfig": "kubeconfig file; without it: the pod's service account, $KUBECONFIG, ~/.kube/config",
    "context": "kubeconfig context; default: the current one",
    "bootstrap_group": "group whose members may ask for first certificates",
    "never_deny": "hold where a request would be denied (true or false)",
    "rate_limits": "hold the requests of a requester that asks too often (true or false)",
    "require_known_credential": "hold a node's request unless made with a recorded certificate (true or false)",
    "issue_tokens": "mint a bootstrap token for each enrollment with bootstrap.token.issue (true or false)",
    "pools": "enroll nodes through NodeEnrollmentPools (true or false)",
    "manage_nodes": "set labels, annotations and taints of spec.node on Nodes (true or false)",
    "flannel": "write flannel's network config to etcd as FlannelNetworks ask for it (true or false)",
    "allow_flannel_extension": "let FlannelNetworks set commands that run as root (true or false)",
    "service_cidr": "service networks, comma-separated, instead of ServiceCIDR objects (before Kubernetes 1.33)",
    "listen": "address and port of /healthz and /readyz, plain HTTP",
    "metrics_listen": "address and port of /metrics, over TLS and only for who may get it",
    "metrics_tls_cert": "certificate of /metrics, a PEM file; without it one is made at start, signed by itself",
    "metrics_tls_key": "its private key, a PEM file",
    "insecure_metrics": "serve /metrics on --listen instead, plain and for everybody (true or false)",
    "log_level": "debug, info, warning or error",
    "log_format": "json or text",
    "workers": "requests judged at once, 1 to 256",
    "relist_seconds": "seconds between complete re-lists, 5 to 600",
    "leader_elect": "run only while holding the Lease (true or false)",
    "lease_namespace": "namespace of the Lease; default: the pod's own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, checked."""

    kubeconfig: Path | None = None
    context: str | None = None
    bootstrap_group: str = BOOTSTRAP_GROUP
    never_deny: bool = False
    rate_limits: bool = True
    require_known_credential: bool = False
    issue_tokens: bool = False
    pools: bool = False
    manage_nodes: bool = False
    flannel: bool = False
    allow_flannel_extension: bool = False
    service_cidr: tuple[IPNetwork, ...] = ()
    """Empty: the ServiceCIDR objects are read."""

    listen: tuple[str, int] = ("0.0.0.0", 8080)  # noqa: S104 - a pod's probes and scrapes come from outside
    metrics_listen: tuple[str, int] = ("0.0.0.0", 8443)  # noqa: S104 - scrapes come from outside
    metrics_tls_cert: Path | None = None
    metrics_tls_key: Path | None = None
    """There if and only if `metrics_tls_cert` is."""

    insecure_metrics: bool = False
    log_level: str = "info"
    log_format: str = "json"
    workers: int = 32
    relist_seconds: float = 60.0
    leader_elect: bool = False
    lease_namespace: str | None = field(default=None)


def _flag(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise ValueError("true or false")


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() in choices:
            return text.lower()
        raise ValueError(f"one of {', '.join(choices)}")

    return parse


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"a whole number from {low} to {high}")

    return parse


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535:  # noqa: PLR2004 - the highest TCP port
        try:
            return (str(ipaddress.ip_address(host)) if host else "0.0.0.0", int(port))  # noqa: S104 - as the default
        except ValueError:
            pass
    raise ValueError("an IP address and a port, such as 127.0.0.1:8080 or [::]:8080")


def _networks(text: str) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"networks such as 10.96.0.0/12,fd00:10::/108 ({error})") from error


def _group(text: str) -> str:
    if re.fullmatch(r"\S(.{0,251}\S)?", text):
        return text
    raise ValueError("a group name without blanks around it")


def _context(text: str) -> str:
    if text:
        return text
    raise ValueError("the name of a context")


def _namespace(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        return text
    raise ValueError("a namespace's name (DNS-1123 label)")


def _file(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError):  # No right to look, a name too long, or nobody's home directory.
        pass
    raise ValueError("a file that exists")


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "kubeconfig": _file,
    "context": _context,
    "bootstrap_group": _group,
    "never_deny": _flag,
    "rate_limits": _flag,
    "require_known_credential": _flag,
    "issue_tokens": _flag,
    "pools": _flag,
    "manage_nodes": _flag,
    "flannel": _flag,
    "allow_flannel_extension": _flag,
    "service_cidr": _networks,
    "listen": _listen,
    "metrics_listen": _listen,
    "metrics_tls_cert": _file,
    "metrics_tls_key": _file,
    "insecure_metrics": _flag,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("json", "text"),
    "workers": _number(1, 256),
    "relist_seconds": _number(5, 600),
    "leader_elect": _flag,
    "lease_namespace": _namespace,
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare every setting as a flag, with its environment variable and default in the help."""
    defaults = Settings()
    for name, purpose in _HELP.items():
        default = getattr(defaults, name)
        shown = f" (default {_shown(default)})" if default not in (None, ()) else ""
        option, text = f"--{name.replace('_', '-')}", f"{purpose} [{ENVIRONMENT_PREFIX}{name.upper()}]{shown}"
        if isinstance(default, bool):  # A flag without a value is the usual way to say true.
            parser.add_argument(option, dest=name, metavar="VALUE", nargs="?", const="true", help=text)
        else:
            parser.add_argument(option, dest=name, metavar="VALUE", help=text)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ":".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def read_settings(flags: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Return the checked settings.

    Args:
        flags: What `add_flags` has declared, as parsed; None where a flag is absent.
        environment: The process environment.

    Raises:
        SettingsInvalid: One sentence for each mistake, in the order of ``--help``.
    """
    values, mistakes = {}, list(_unknown_variables(environment))
    for name, parse in _PARSERS.items():
        flag, variable = getattr(flags, name, None), f"{ENVIRONMENT_PREFIX}{name.upper()}"
        text = flag if flag is not None else environment.get(variable) or None
        if text is None:
            continue
        source = f"--{name.replace('_', '-')}" if flag is not None else variable
        try:
            values[name] = parse(text)
        except ValueError as error:
            mistakes.append(f"{source}: expected {error}, found {visible(text)!r}")
    if not mistakes and ("metrics_tls_cert" in values) != ("metrics_tls_key" in values):
        mistakes.append("--metrics-tls-cert, --metrics-tls-key: expected both or neither, found one")
    if not mistakes and values.get("issue_tokens") and not _holds_tokens(values.get("bootstrap_group")):
        mistakes.append(f"--bootstrap-group: expected {BOOTSTRAP_GROUP}, or a group below it, with --issue-tokens")
    if mistakes:
        raise SettingsInvalid(tuple(mistakes))
    return Settings(**values)


def _holds_tokens(group: str | None) -> bool:
    """Tell whether a token can be a member (kubernetes, bootstrap token authenticator: auth-extra-groups)."""
    if group is None or group == BOOTSTRAP_GROUP:
        return True
    return re.fullmatch(rf"{BOOTSTRAP_GROUP}:[a-z0-9:-]{{0,255}}[a-z0-9]", group) is not None


def _unknown_variables(environment: Mapping[str, str]) -> Sequence[str]:
    """Return a mistake for each variable with our prefix that nobody reads: a typo would be silent else."""
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in _PARSERS} | {f"{ENVIRONMENT_PREFIX}BIN_DIR"}
    unknown = sorted(
        name
        for name in environment
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known and not _SERVICE_LINK.search(name)
    )
    return [f"{visible(name)}: expected a variable that `nodegate operator --help` lists" for name in unknown]

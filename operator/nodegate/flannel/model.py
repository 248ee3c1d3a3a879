"""What flannel's network config and its leases say, as values.

Rules: everything here is frozen and free of I/O. A `Config` holds the values as flannel of one
version would use them: absent members are filled in, addresses are masked. Field names follow
flannel's own (`Network`, `SubnetLen`, `SubnetMin` ...) in snake case.
"""

import enum
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


class Api(enum.StrEnum):
    """Which of etcd's two disjoint stores flannel of a version reads."""

    V2 = "V2"
    V3 = "V3"


class Severity(enum.StrEnum):
    """How bad a problem is: an error forbids the config, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A flannel release, ordered as releases are."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """Return it as flannel writes it, without the ``v``."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def api(self) -> Api:
        """The store it reads: the v2 keys API until 0.17, v3 from 0.18 on."""
        return Api.V3 if (self.major, self.minor) >= (0, 18) else Api.V2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or odd in a config."""

    field: str
    """The member's name as flannel spells it, such as ``SubnetMin`` or ``Backend.VNI``; empty for the whole."""

    message: str
    """What was expected, what was found, what to do."""

    severity: Severity = Severity.ERROR


OptionValue = str | int | bool
"""A backend option: flannel knows strings, integers and booleans only."""


@dataclass(frozen=True, slots=True)
class Backend:
    """How packets travel between nodes."""

    type: str
    """Lower-case, as flannel compares it: ``vxlan``, ``host-gw``, ``wireguard`` ..."""

    options: tuple[tuple[str, OptionValue], ...] = ()
    """Options by flannel's own names with defaults filled in, sorted by name, such as ``("VNI", 1)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family4:
    """The IPv4 part of a config, filled in."""

    network: IPv4Network
    subnet_len: int
    subnet_min: IPv4Address
    subnet_max: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Family6:
    """The IPv6 part of a config, filled in."""

    network: IPv6Network
    subnet_len: int
    subnet_min: IPv6Address
    subnet_max: IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A network config as flannel of one version uses it; a disabled family is None."""

    ipv4: Family4 | None
    ipv6: Family6 | None
    backend: Backend
    enable_nftables: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one config text, read as flannel of one version would."""

    config: Config | None
    """As flannel would use it; None when flannel does not accept the text."""

    problems: tuple[Problem, ...] = field(default=())
    """flannel's own refusals and our stricter rules, errors first."""

    refusal: str | None = None
    """Why flannel does not accept it, in flannel's own words where it has any; None when it does."""

    @property
    def accepted(self) -> bool:
        """Whether a flanneld of that version starts with it and stays up."""
        return self.config is not None

    @property
    def valid(self) -> bool:
        """Whether there is no error, ours included."""
        return not any(problem.severity is Severity.ERROR for problem in self.problems)

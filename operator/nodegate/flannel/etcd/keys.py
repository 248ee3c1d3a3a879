"""The keys of one flannel network: a prefix in, names out. Pure.

Rules: only what is under ``<prefix>/subnets/`` may be written or deleted as a lease; nothing else has a name here.
"""

import re
from typing import Final

from nodegate.errors import Malformed

_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._-]+)+")
_DOTS: Final = frozenset({".", ".."})


class Keys:
    """The names of the keys.

    Args:
        prefix: flanneld's ``--etcd-prefix``, such as ``/coreos.com/network``.

    Attributes:
        config: Where the config is.
        subnets: What every lease begins with, with the slash.
        subnets_bare: The same without the slash, which is how flannel 0.18 and newer list them.
        tree: What every key of the network begins with, with the slash.

    Raises:
        Malformed: The prefix is none that flannel and both APIs read alike.
    """

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix) or _DOTS & set(prefix.split("/")):
            raise Malformed(
                f"etcd prefix: expected /part/part of letters, digits and ._-, found {prefix!r}: write it as flanneld's"
                " --etcd-prefix has it"
            )
        self.prefix = prefix
        self.config = f"{prefix}/config"
        self.tree = f"{prefix}/"
        self.subnets_bare = f"{prefix}/subnets"
        self.subnets = f"{self.subnets_bare}/"

    def is_lease(self, key: str) -> bool:
        """Tell whether a key is directly or deeper under ``subnets/``."""
        return key.startswith(self.subnets) and len(key) > len(self.subnets)

    def matters(self, key: str) -> bool:
        """Tell whether a change of this key is one of the config or of a lease, strays included."""
        return key == self.config or key.startswith(self.subnets_bare)

    def lease(self, key: str) -> str:
        """Return the key when it is a lease's.

        Raises:
            Malformed: It is not: writing or deleting it as one would do harm.
        """
        if not self.is_lease(key):
            raise Malformed(f"lease key: expected one under {self.subnets}, found {key!r}")
        return key

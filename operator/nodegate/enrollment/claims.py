"""Who claims which identity, kept up to date one enrollment at a time.

Enrollments go in as they change, the owners of an address, a name, a key or a token come out. Rules:
pure; thousands of enrollments cost nothing to ask; what has no owner any more is forgotten.
"""

from collections.abc import Iterable

from nodegate.enrollment.model import Enrollment, IPAddress, NodeName, State


class ClaimIndex:
    """`Claims` kept up to date one enrollment at a time, so that thousands cost nothing to ask."""

    __slots__ = ("_held", "_owners", "_secret_owners", "_secrets")

    def __init__(self, enrollments: Iterable[Enrollment] = ()) -> None:
        self._secret_owners: dict[str, frozenset[NodeName]] = {}
        self._secrets: dict[NodeName, frozenset[str]] = {}
        self._owners: dict[IPAddress | str, frozenset[NodeName]] = {}
        self._held: dict[NodeName, frozenset[IPAddress | str]] = {}
        for enrollment in enrollments:
            self.put(enrollment.name, enrollment)

    def put(self, name: NodeName, enrollment: Enrollment | None) -> frozenset[NodeName]:
        """Replace what `name` claims; None removes it. Return the others that share a claim, before or after.

        Keys and tokens touch nobody: a shared one bears on requests, not on enrollments, and those are judged again by
        themselves.
        """
        self._put_secrets(name, enrollment)
        before = self._held.pop(name, frozenset())
        after: frozenset[IPAddress | str] = frozenset()
        if enrollment is not None and enrollment.state is not State.REVOKED:
            after = enrollment.addresses | enrollment.names
        touched = self._touching(before - after)
        for claim in before - after:
            self._owners[claim] -= {name}
            if not self._owners[claim]:
                del self._owners[claim]
        for claim in after:
            self._owners[claim] = self._owners.get(claim, frozenset()) | {name}
        if after:
            self._held[name] = after
        return (touched | self._touching(after)) - {name}

    def _put_secrets(self, name: NodeName, enrollment: Enrollment | None) -> None:
        """Replace the keys and the token of `name`; a revoked enrollment keeps its own, so that none comes back.

        A key has 64 characters and a token id six, so one index holds both.
        """
        before = self._secrets.pop(name, frozenset())
        after = _secrets(enrollment) if enrollment else frozenset()
        for secret in before - after:
            self._secret_owners[secret] -= {name}
            if not self._secret_owners[secret]:
                del self._secret_owners[secret]
        for secret in after - before:
            self._secret_owners[secret] = self._secret_owners.get(secret, frozenset()) | {name}
        if after:
            self._secrets[name] = after

    def _touching(self, claims: Iterable[IPAddress | str]) -> frozenset[NodeName]:
        return frozenset(owner for claim in claims for owner in self._owners.get(claim, ()))

    def address_owners(self, address: IPAddress) -> frozenset[NodeName]:
        """Return the enrollments that list this address."""
        return self._owners.get(address, frozenset())

    def name_owners(self, dns_name: str) -> frozenset[NodeName]:
        """Return the enrollments that are called so or list this DNS name (lower case)."""
        return self._owners.get(dns_name, frozenset())

    def key_owners(self, public_key_sha256: str) -> frozenset[NodeName]:
        """Return the enrollments, revoked ones too, whose recorded joins hold this key (lower-case hex)."""
        return self._secret_owners.get(public_key_sha256, frozenset())

    def token_owners(self, token_id: str) -> frozenset[NodeName]:
        """Return the enrollments for which the operator has minted this token."""
        return self._secret_owners.get(token_id, frozenset())


def _secrets(enrollment: Enrollment) -> frozenset[str]:
    """Return the keys that joined under an enrollment, and the id of its minted token."""
    keys = {join.public_key_sha256 for join in enrollment.status.joins}
    minted = enrollment.status.token_id if enrollment.bootstrap.issue_token else None
    return frozenset(keys | ({minted} if minted else set()))

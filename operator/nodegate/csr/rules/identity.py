"""What a request's SANs are: well formed, the cluster's own, the node's own, somebody else's."""

from nodegate.csr.model import AltName, Case, NameKind
from nodegate.identity import is_dns_name, reserved_address, reserved_name


def reserved_because(name: AltName, case: Case) -> str | None:
    """Return why a well-formed SAN is the cluster's own, or None."""
    if name.address is not None:
        return reserved_address(name.address, case.enrollment, case.reserved)
    return reserved_name(name.text.lower())


def is_own(name: AltName, case: Case) -> bool:
    """Tell whether a SAN is the node's own name or one that its enrollment lists."""
    if name.address is not None:
        return case.enrollment is not None and name.address in case.enrollment.addresses
    own = name.text.lower()
    return own == case.csr.node_name or (case.enrollment is not None and own in case.enrollment.dns_names)


def other_owners(name: AltName, case: Case) -> tuple[str, ...]:
    """Return the other enrollments that list a SAN, sorted."""
    if name.address is not None:
        owners = case.claims.address_owners(name.address)
    else:
        owners = case.claims.name_owners(name.text.lower())
    return tuple(sorted(owners - {case.csr.node_name}))


def is_well_formed(name: AltName) -> bool:
    """Tell whether a SAN is an address or a DNS name that hosts can have."""
    return name.kind is NameKind.IP or is_dns_name(name.text)

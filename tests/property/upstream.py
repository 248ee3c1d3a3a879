"""What Kubernetes' own approver and signer ask of a kubelet's request, in our words.

Source: kubernetes, pkg/apis/certificates/helpers.go, ValidateKubeletClientCSR and ValidateKubeletServingCSR. What
enters are the PEM and the usages, what leaves is the first fault or None. Rules: it knows nothing of nodegate and sees
what Go's x509 package shows: names, addresses, e-mail addresses and URIs, no other kinds.
"""

import warnings
from collections.abc import Collection
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

_NAMES = (x509.DNSName, x509.IPAddress)
_FORBIDDEN = (x509.RFC822Name, x509.UniformResourceIdentifier)
_UNREADABLE = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


class _Shown(NamedTuple):
    """What Go's x509 package shows of a request."""

    organizations: list[str | bytes]
    common_name: str
    """The last one, as Go has it."""

    names: list[x509.GeneralName]


def _shown(pem: bytes) -> _Shown | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            request = x509.load_pem_x509_csr(pem)
            subject, names = request.subject, _alt_names(request)
        except _UNREADABLE:
            return None
        common_names = [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        organizations = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        return _Shown(organizations, common_names[-1] if common_names else "", names)


def _alt_names(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        return list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _common_fault(shown: _Shown, usages: Collection[str], purpose: str) -> str | None:
    wanted = {"digital signature", purpose}
    if shown.organizations != ["system:nodes"]:
        return "the organization is not system:nodes"
    if not shown.common_name.startswith("system:node:"):
        return "the common name does not start with system:node:"
    return None if set(usages) in (wanted, wanted | {"key encipherment"}) else "the usages do not match"


def client_fault(pem: bytes, usages: Collection[str]) -> str | None:
    """Return why upstream takes this for no kubelet client request, or None."""
    shown = _shown(pem)
    if shown is None:
        return "it cannot be read"
    if any(isinstance(name, _NAMES + _FORBIDDEN) for name in shown.names):
        return "names are not allowed"
    return _common_fault(shown, usages, "client auth")


def serving_fault(pem: bytes, usages: Collection[str]) -> str | None:
    """Return why upstream takes this for no kubelet serving request, or None."""
    shown = _shown(pem)
    if shown is None:
        return "it cannot be read"
    if not any(isinstance(name, _NAMES) for name in shown.names):
        return "a DNS name or an address is required"
    if any(isinstance(name, _FORBIDDEN) for name in shown.names):
        return "e-mail and URI names are not allowed"
    return _common_fault(shown, usages, "server auth")

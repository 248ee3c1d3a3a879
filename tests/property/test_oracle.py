"""Against Kubernetes' own checks as oracle: nodegate may refuse more, and never approves what they refuse."""

import base64
from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from hack.vectors.request import Request
from nodegate.csr.decide import judge
from nodegate.csr.model import Approve, Case
from nodegate.csr.render import verdict_name
from nodegate.names import CLIENT_SIGNER, SERVING_SIGNER
from tests.builders import Vector, case_from_vector, load_vectors, read
from tests.property.strategies import cases, is_readable, requests, serving_requests
from tests.property.upstream import client_fault, serving_fault


def _upstream_fault(signer: str, pem: bytes, usages: tuple[str, ...]) -> str | None:
    fault = {CLIENT_SIGNER: client_fault, SERVING_SIGNER: serving_fault}.get(signer)
    return fault(pem, usages) if fault else "no kubelet signer"


def _fault_of(vector: Vector) -> str | None:
    spec = vector.csr["spec"]
    try:
        pem = base64.b64decode(spec["request"], validate=True)
    except ValueError:
        return "no base64"
    return _upstream_fault(spec["signerName"], pem, tuple(spec["usages"]))


def test_no_vector_is_approved_that_upstream_refuses() -> None:
    """Every approved vector passes upstream's checks, and many that pass them are not approved."""
    approved, accepted = 0, 0
    for vector in load_vectors():
        fault = _fault_of(vector)
        if isinstance(judge(case_from_vector(vector)).verdict, Approve):
            approved += 1
            assert fault is None, f"{vector.name}: {fault}"
        accepted += fault is None

    assert approved > 50
    assert accepted > 3 * approved


_REQUESTS = st.one_of(requests(), serving_requests()).filter(is_readable)


@settings(max_examples=300, deadline=None)
@given(st.data(), _REQUESTS)
def test_no_request_is_approved_that_upstream_refuses(data: st.DataObject, request: Request) -> None:
    """The same for requests that nobody thought of."""
    case: Case = data.draw(cases(st.just(request)))
    verdict = judge(replace(case, csr=replace(case.csr, pkcs10=read(request)))).verdict
    fault = _upstream_fault(case.csr.signer, request.pem, case.csr.usages)
    event(f"{verdict_name(verdict)}, upstream {'refuses' if fault else 'accepts'}")

    assert not (isinstance(verdict, Approve) and fault), fault

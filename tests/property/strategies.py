"""What hypothesis draws: requests right and wrong, bytes bent out of shape, and whole cases.

Rules: right values are drawn as often as wrong ones, so that approvals are not rare; keys are the vectors'
fixed ones, so that drawing costs nothing.
"""

from datetime import timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from hack.vectors import der
from hack.vectors.keys import sign
from hack.vectors.names import directory_name, dns, email, ip, other_name, registered_id, uri
from hack.vectors.request import COMMON_NAME, ORGANIZATION, Request, pem
from nodegate.csr.model import Case, CsrFacts, NodeFacts, Policy
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.model import (
    Bootstrap,
    CertificateRecord,
    Certificates,
    Enrollment,
    Join,
    NodeName,
    NodeRef,
    Rejoin,
    Serving,
    State,
    Status,
)
from nodegate.identity import ReservedIndex
from nodegate.names import BOOTSTRAP_GROUP, CLIENT_SIGNER, NODES_GROUP, SERVING_SIGNER
from tests.builders import NOW, make_csr, make_enrollment, make_node, read

KEYS = ("p256-a", "p256-b", "ed25519")
TAGS = (der.PRINTABLE, der.UTF8, der.IA5, der.BMP, der.T61)
DNS_NAMES = ("node-a", "node-a.corp", "NODE-A", "node-b", "x.corp", "node-a.", "*.corp", "localhost", "10.0.0.5", "")
ADDRESSES = ("10.0.0.5", "fd00::5", "::ffff:10.0.0.5", "10.0.0.6", "10.0.0.1", "10.96.0.1", "127.0.0.1", "10.9.9.9")


def _mostly(good: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(good), st.just(good), st.just(good), st.sampled_from((good, *others)))


def dns_names() -> st.SearchStrategy[bytes]:
    """A dNSName: known ones, and any bytes."""
    return st.one_of(st.sampled_from(DNS_NAMES).map(dns), st.binary(max_size=12).map(dns))


def alt_names() -> st.SearchStrategy[bytes]:
    """A general name of any kind."""
    odd = (email("a@b"), uri("spiffe://a"), registered_id("1.2.3"), directory_name("a"), other_name("1.2.3", "a"))
    return st.one_of(
        st.sampled_from([dns("node-a"), ip("10.0.0.5")]),
        dns_names(),
        st.sampled_from(ADDRESSES).map(ip),
        st.sampled_from(odd),
        st.binary(max_size=17).map(ip),
    )


def _rdns() -> st.SearchStrategy[Any]:
    organization = st.builds(der.attribute, st.just(ORGANIZATION), _mostly("system:nodes", "x"), st.sampled_from(TAGS))
    common_name = st.builds(
        der.attribute,
        st.just(COMMON_NAME),
        _mostly("system:node:node-a", "system:node:node-b", "system:node:", "kubelet", "system:node:Node-A"),
        st.sampled_from(TAGS),
    )
    other = st.just(der.attribute("2.5.4.11", "x"))
    names = st.one_of(organization, common_name, other)
    return st.one_of(
        st.none(),
        st.none(),
        st.lists(st.lists(names, min_size=1, max_size=2).map(lambda a: der.rdn(*a)), max_size=3).map(tuple),
    )


@cache
def requests() -> st.SearchStrategy[Request]:
    """A request, signed by its own key, right or wrong in its content."""
    return st.builds(
        Request,
        key=st.sampled_from(KEYS),
        rdns=_rdns(),
        string_tag=_mostly(*TAGS),
        alt_names=st.lists(alt_names(), max_size=4).map(tuple),
        alt_names_critical=st.booleans(),
        extensions=_mostly((), (der.extension("2.5.29.19", der.sequence()),), (der.alt_names([dns("node-b")]),)),
        version=_mostly(0, 1),
    )


@cache
def serving_requests() -> st.SearchStrategy[Request]:
    """A serving request with names and addresses only, so that approvals are common."""
    names = st.one_of(st.sampled_from(DNS_NAMES).map(dns), st.sampled_from(ADDRESSES).map(ip))
    return st.builds(Request, key=st.sampled_from(KEYS), alt_names=st.lists(names, min_size=1, max_size=5).map(tuple))


def bent(content: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with a few of them changed, dropped, repeated or put in."""

    def bend(edits: list[tuple[int, int, bytes]]) -> bytes:
        changed = content
        for position, dropped, inserted in edits:
            at = position % (len(changed) + 1)
            changed = changed[:at] + inserted + changed[at + dropped :]
        return changed

    edit = st.tuples(st.integers(0, len(content)), st.integers(0, 3), st.binary(max_size=3))
    return st.lists(edit, min_size=1, max_size=3).map(bend)


@cache
def bent_requests() -> st.SearchStrategy[bytes]:
    """PEM that is nearly right: bent as text, bent as DER, or bent before it is signed."""
    serving = Request(alt_names=(dns("node-a"), ip("10.0.0.5")))
    client = Request()

    def resigned(info: bytes) -> bytes:
        signature = sign("p256-a", info)
        return pem(der.sequence(info, signature.algorithm, der.bits(signature.value)))

    return st.one_of(
        *(
            strategy
            for request in (client, serving)
            for strategy in (
                bent(request.pem),
                bent(request.der).map(pem),
                bent(request.info).map(resigned),
                st.tuples(bent(request.pem), st.just(request.pem)).map(b"".join),
            )
        )
    )


def _joins(*numbers: int) -> tuple[Join, ...]:
    keys = [read(Request(key=key)).public_key_sha256 or "" for key in KEYS]
    return tuple(
        Join(public_key_sha256=keys[number], csr_uid="u", csr_name="c", requester="r", time=NOW) for number in numbers
    )


def _lineage(*, seen: bool) -> Certificates:
    record = CertificateRecord(
        serial="0a", not_after=NOW, sha256="a1" * 32, csr_name="c", seen=seen, previous_sha256="b2" * 32
    )
    return Certificates(client=record)


@cache
def enrollments() -> st.SearchStrategy[Enrollment]:
    """An enrollment of node-a."""
    key = read(Request(key="p256-a")).public_key_sha256
    bootstrap = st.builds(
        Bootstrap,
        issue_token=_mostly(False, True),  # noqa: FBT003 - drawn values
        token_id=_mostly(None, "abcdef", "zzzzzz"),
        users=_mostly(frozenset(), frozenset({"jane"})),
        public_key_sha256=_mostly(None, key, "0" * 64),
        not_before=_mostly(None, NOW, NOW + timedelta(seconds=1)),
        not_after=_mostly(None, NOW, NOW - timedelta(seconds=1)),
        max_joins=_mostly(3, 1),
    )
    return st.builds(
        make_enrollment,
        state=_mostly(*State),
        processed=_mostly(True, False),  # noqa: FBT003 - drawn values
        addresses=_mostly(("10.0.0.5", "fd00::5"), (), ("10.0.0.1",), ("127.0.0.1",), ("10.0.0.6",)),
        dns_names=_mostly(frozenset({"node-a.corp"}), frozenset(), frozenset({"node-b"})),
        bootstrap=bootstrap,
        rejoin=st.sampled_from(Rejoin),
        serving=st.builds(
            Serving,
            approve=_mostly(True, False),  # noqa: FBT003 - drawn values
            require_node_addresses=st.booleans(),
            allow_dns_only=st.booleans(),
        ),
        max_expiration_seconds=_mostly(None, 3600),
        status=st.builds(
            Status,
            token_id=_mostly(None, "abcdef"),
            joins=_mostly((), _joins(0), _joins(1), _joins(1, 0)),
            join_count=_mostly(0, 1, 3),
            node=_mostly(NodeRef(), NodeRef(uid="old", joined_at=NOW - timedelta(hours=1))),
            certificates=_mostly(Certificates(), _lineage(seen=False), _lineage(seen=True)),
        ),
    )


@cache
def csrs(request: st.SearchStrategy[Request]) -> st.SearchStrategy[CsrFacts]:
    """The facts of a request, by somebody who may or may not ask for it."""
    client, serving = ("digital signature", "client auth"), ("digital signature", "server auth")
    return st.builds(
        make_csr,
        request=request,
        signer=st.sampled_from([CLIENT_SIGNER, SERVING_SIGNER]),
        username=st.sampled_from(
            ["system:node:node-a", "system:node:node-b", "system:bootstrap:abcdef", "system:bootstrap:zzzzzz", "jane"]
        ),
        groups=st.sets(st.sampled_from([BOOTSTRAP_GROUP, NODES_GROUP, "system:authenticated"])).map(frozenset),
        usages=_mostly(client, serving, (*client, "server auth")) | _mostly(serving, client, serving[:1]),
        credential_id=st.sampled_from([None, "a1" * 32, "b2" * 32, "c3" * 32]),
        expiration_seconds=_mostly(None, 599, 600, 3600, 3601),
        conditions=_mostly((), ("Approved",)),
        issued=_mostly(False, True),  # noqa: FBT003 - drawn values
    )


@cache
def _nodes() -> st.SearchStrategy[NodeFacts | None]:
    addresses = _mostly(frozenset({ip_address("10.0.0.5"), ip_address("fd00::5")}), frozenset())
    known = st.builds(make_node, ready=st.sampled_from(["True", "False", "Unknown"]), addresses=addresses)
    return st.one_of(st.none(), known, known)


def is_readable(request: Request) -> bool:
    """Tell whether a request is well formed enough to have facts."""
    try:
        read(request)
    except ValueError:
        return False
    return True


_STATES, _LENIENT = _mostly(*State), _mostly(False, True)  # noqa: FBT003 - drawn values


@cache
def _readable_requests() -> st.SearchStrategy[Request]:
    return st.one_of(requests(), serving_requests()).filter(is_readable)


@cache
def _maybe_enrolled() -> st.SearchStrategy[Enrollment | None]:
    return st.one_of(st.none(), enrollments(), enrollments(), enrollments())


@st.composite
def cases(draw: st.DrawFn, request: st.SearchStrategy[Request] | None = None) -> Case:
    """Everything that a decision rests on."""
    csr = draw(csrs(request if request is not None else _readable_requests()))
    own = draw(_maybe_enrolled())
    joined = Status(joins=draw(_mostly((), _joins(0), _joins(1))))
    other = make_enrollment(name=NodeName("node-b"), addresses=("10.0.0.6",), state=draw(_STATES), status=joined)
    reserved = ReservedIndex()
    reserved.put("cidr", [ip_network("10.96.0.0/12")], "service network")
    reserved.put_api_servers("slice", [ip_address("10.0.0.1")])
    return Case(
        csr=csr,
        enrollment=own if csr.node_name == "node-a" else other if csr.node_name == "node-b" else None,
        node=draw(_nodes()),
        claims=ClaimIndex([other, *([own] if own else [])]),
        reserved=reserved,
        policy=Policy(never_deny=draw(_LENIENT), require_known_credential=draw(_LENIENT)),
        now=NOW,
    )


def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value, with the field names that parsers look for."""
    keys = ["kind", "metadata", "spec", "status", "name", "request", "usages", "groups", "extra", "conditions"]
    keys += ["addresses", "address", "clusterIP", "clusterIPs", "cidrs", "endpoints", "network", "ipv6", "podCIDR"]
    keys += ["bootstrap", "notBefore", "joins", "time", "dnsNames", "type", "expirationSeconds", "state", "podCIDRs"]
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["NodeEnrollment", "x"]),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(keys), inner, max_size=5)),
        max_leaves=12,
    )

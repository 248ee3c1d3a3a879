"""Stage 3: subjects that are not exactly a node's; the signer would copy them as they are."""

from hack.vectors import der
from hack.vectors import manifests as m
from hack.vectors.request import COMMON_NAME, ORGANIZATION, Request
from hack.vectors.vector import Vector, bootstrap, renewal

_O = der.attribute(ORGANIZATION, "system:nodes")
_CN = der.attribute(COMMON_NAME, "system:node:node-a")
_EVIL = der.attribute(COMMON_NAME, "system:node:node-b")


def _subject(name: str, why: str, *rdns: bytes, **rest: str) -> Vector:
    return bootstrap(f"SubjectInvalid/{name}", why, request=Request(rdns=rdns), **rest)


def _named(name: str, why: str, common_name: str, tag: int = der.UTF8, **rest: str) -> Vector:
    subject = (der.rdn(_O), der.rdn(der.attribute(COMMON_NAME, common_name, tag)))
    return bootstrap(f"SubjectInvalid/{name}", why, request=Request(rdns=subject), **rest)


def _extra(name: str, why: str, kind: str, value: str) -> Vector:
    return _subject(name, why, der.rdn(_O), der.rdn(_CN), der.rdn(der.attribute(kind, value)))


VECTORS = (
    _subject(
        "two-common-names",
        "Go takes the last common name, others the first (V34).",
        der.rdn(_O),
        der.rdn(_CN),
        der.rdn(_EVIL),
    ),
    _subject("two-common-names-in-one-rdn", "Two common names in one RDN.", der.rdn(_O), der.rdn(_CN, _EVIL)),
    _subject(
        "same-common-name-twice",
        "Even the same common name twice is not exactly one.",
        der.rdn(_O),
        der.rdn(_CN),
        der.rdn(_CN),
    ),
    _subject("one-rdn", "O and CN in one RDN: each has to stand in its own.", der.rdn(_O, _CN)),
    _subject("no-common-name", "No common name (V35).", der.rdn(_O)),
    _subject("no-organization", "No organization (V38).", der.rdn(_CN)),
    _subject("empty", "An empty subject."),
    _subject(
        "masters-besides",
        "A second organization makes an administrator of the node (V39); openshift's approver"
        " asked only whether the right one is included.",
        der.rdn(_O),
        der.rdn(der.attribute(ORGANIZATION, "system:masters")),
        der.rdn(_CN),
    ),
    _subject(
        "masters-in-one-rdn",
        "A second organization in the RDN of the first.",
        der.rdn(_O, der.attribute(ORGANIZATION, "system:masters")),
        der.rdn(_CN),
    ),
    _subject(
        "organization-twice", "The right organization twice is not exactly one.", der.rdn(_O), der.rdn(_O), der.rdn(_CN)
    ),
    bootstrap(
        "SubjectInvalid/masters-instead",
        "O is system:masters, the group of all-powerful users.",
        request=Request(organization="system:masters"),
    ),
    bootstrap(
        "SubjectInvalid/cve-2022-36103",
        "Talos CVE-2022-36103: a worker asked for O=os:admin and got it.",
        request=Request(organization="os:admin"),
    ),
    bootstrap(
        "SubjectInvalid/organization-in-upper-case",
        "The organization is compared exactly.",
        request=Request(organization="system:Nodes"),
    ),
    bootstrap(
        "SubjectInvalid/organization-with-space",
        "The organization is compared exactly, no space trimmed.",
        request=Request(organization="system:nodes "),
    ),
    _extra("extra-ou", "An organizational unit besides: the signer would sign it (V40).", "2.5.4.11", "admins"),
    _extra("extra-country", "A country besides (V40).", "2.5.4.6", "DE"),
    _extra("extra-serial-number", "A serial number besides (V40).", "2.5.4.5", "1"),
    _extra(
        "extra-user-id",
        "A user id besides: API servers may take the UID from it (V40).",
        "0.9.2342.19200300.100.1.1",
        "0",
    ),
    _extra("extra-uid-oid", "Kubernetes' own attribute for a user's UID (V40).", "1.3.6.1.4.1.57683.2", "0"),
    _named("empty-node-name", "system:node: and no name; upstream's check accepts it (V35).", "system:node:"),
    _named("empty-common-name", "An empty common name (V35).", "", found="CN="),
    _named("upper-case", "Node names are lower case (V36).", "system:node:Node-A"),
    _named("prefix-in-upper-case", "The prefix is compared exactly.", "System:Node:node-a"),
    _named("system-masters", "A common name that is a group's (V37).", "system:masters"),
    _named("kubelet", "A common name without the prefix (V37).", "kubelet"),
    _named("kube-scheduler", "A control plane component's name (V37).", "system:kube-scheduler"),
    _named(
        "castai-contains",
        "castai's approver asked only whether a text is contained in the name.",
        "evil-system:node:node-a",
    ),
    _named("trailing-dot", "A trailing dot is no part of a node's name.", "system:node:node-a."),
    _named("leading-dot", "A leading dot is no part of a node's name.", "system:node:.node-a"),
    _named("wildcard", "No wildcard stands for nodes.", "system:node:*"),
    _named("underscore", "DNS-1123 knows no underscore.", "system:node:node_a"),
    _named("slash", "A name that would walk out of a path.", "system:node:../node-b"),
    _named("space-after", "No space is trimmed.", "system:node:node-a "),
    _named("newline-after", "A newline at the end, which a careless pattern's $ lets through.", "system:node:node-a\n"),
    _named("nul", "A NUL ends strings for C readers.", "system:node:node-a\x00.evil"),
    _named("terminal-escape", "Escape sequences must not reach a terminal.", "system:node:\x1b[2J\x1b[31mnode-a"),
    _named("kelvin-sign", "U+212A lower-cases to k: nothing is lower-cased here.", "system:node:\u212aube"),
    _named("cyrillic-a", "A letter that only looks like a.", "system:node:node-\u0430"),
    _named("name-of-254", "Longer than a node name can be.", "system:node:" + "a" * 254),
    _named(
        "bmp-string", "Only UTF8String and PrintableString are read alike by everybody.", "system:node:node-a", der.BMP
    ),
    _named("t61-string", "T61String has no one reading.", "system:node:node-a", der.T61),
    _named("ia5-string", "IA5String is not what a name is made of.", "system:node:node-a", der.IA5),
    renewal(
        "SubjectInvalid/renewal",
        "A renewal is held to the same subject.",
        request=Request(common_name="system:node:node-a.", key="p256-b"),
        others=(m.node("node-a"),),
    ),
)

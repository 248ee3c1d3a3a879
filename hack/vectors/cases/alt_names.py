"""Stage 7: names and addresses that the node may not carry."""

from hack.vectors import manifests as m
from hack.vectors.names import dns, ip
from hack.vectors.request import Request
from hack.vectors.vector import OWN_NAMES, Vector, serving


def _besides(path: str, why: str, name: bytes, **rest: object) -> Vector:
    """Return a vector whose request carries one more name than its own."""
    return serving(path, why, request=Request(key="p256-b", alt_names=(*OWN_NAMES, name)), **rest)


def _malformed(name: str, why: str, dns_name: str | bytes, **rest: object) -> Vector:
    return _besides(f"SubjectAltNameMalformed/{name}", why, dns(dns_name), **rest)


def _address(name: str, why: str, address: str, **rest: object) -> Vector:
    return _besides(f"SubjectAltNameReserved/{name}", why, ip(address), **rest)


def _reserved(name: str, why: str, dns_name: str) -> Vector:
    return _besides(f"SubjectAltNameReserved/{name}", why, dns(dns_name))


def _b_is(**spec: object) -> tuple[m.Manifest, ...]:
    return (m.enrollment("node-b", {**m.NODE_B, **spec}),)


_ON_NODE = {"serving": {"requireNodeAddresses": True}}
_BOTH_ADDRESSES = [{"type": "InternalIP", "address": "10.0.0.5"}, {"type": "InternalIP", "address": "fd00::5"}]

VECTORS = (
    _malformed("wildcard", "A wildcard stands for names of others (V72).", "*.corp"),
    _malformed("wildcard-alone", "A wildcard for everything.", "*"),
    _malformed("trailing-dot", "A trailing dot makes another text of the same name (V72).", "node-a."),
    _malformed("leading-dot", "A leading dot means a whole domain to some readers.", ".corp"),
    _malformed("empty", "An empty name; upstream's check accepts it (V72).", ""),
    _malformed("two-dots", "An empty label.", "node-a..corp"),
    _malformed("underscore", "DNS-1123 knows no underscore.", "node_a"),
    _malformed("leading-hyphen", "A label begins with a letter or digit.", "-node-a"),
    _malformed("address-literal", "10.0.0.5 as a DNS name: addresses are IP names (V72).", "10.0.0.5"),
    _malformed("ipv6-literal", "An IPv6 address as a DNS name.", "fd00::5"),
    _malformed("hex-last-label", "0x0a000005 is an address to URL parsers (WHATWG URL).", "0x0a000005"),
    _malformed("octal-last-label", "012.0.0.05 is an address in octal to some parsers (CVE-2021-29923).", "012.0.0.05"),
    _malformed("decimal-last-label", "A name that ends in a number is an IP literal.", "node-a.1"),
    _malformed("empty-hex-last-label", "0x alone is a number, too.", "node-a.0x"),
    _malformed("nul", "A NUL ends strings for C readers.", b"node-a\x00.evil.example.com"),
    _malformed("newline", "A newline at the end, which a careless pattern's $ lets through.", "node-a\n"),
    _malformed("space", "A space is no part of a name.", "node-a corp"),
    _malformed("port", "A port is no part of a name.", "node-a:10250"),
    _malformed("url", "A URL is no name.", "https://node-a/"),
    _malformed(
        "utf-8", "Bytes beyond ASCII: Go fails to parse them, others accept them.", "n\u00f6de-a", api="refuses"
    ),
    _malformed(
        "kelvin-sign", "U+212A lower-cases to k, and would make kubernetes of this.", "\u212aubernetes", api="refuses"
    ),
    _malformed("name-of-254", "A name longer than DNS can carry.", "a" * 254),
    _malformed("terminal-escape", "Escape sequences must not reach a terminal.", b"node-a\x1b[31m"),
    _address("loopback", "127.0.0.1 (V70).", "127.0.0.1"),
    _address("loopback-other", "All of 127.0.0.0/8 is loopback.", "127.0.0.53"),
    _address("loopback-v6", "::1 (V70).", "::1"),
    _address(
        "loopback-mapped", "127.0.0.1 as an IPv4-mapped address, which Go reads as 127.0.0.1.", "::ffff:127.0.0.1"
    ),
    _address("unspecified", "0.0.0.0 (V70).", "0.0.0.0"),  # noqa: S104 - the case itself
    _address("unspecified-v6", "IPv6's unspecified address (V70).", "::"),
    _address("cloud-metadata", "169.254.169.254 is where clouds keep their secrets (V70).", "169.254.169.254"),
    _address("link-local-v6", "fe80::1 (V70).", "fe80::1"),
    _address("multicast", "224.0.0.1 (V70).", "224.0.0.1"),
    _address("multicast-v6", "ff02::1 (V70).", "ff02::1"),
    _address("kubernetes-service", "The kubernetes Service's address (V69).", "10.96.0.1"),
    _address("service-network", "An address of the service network that no Service has yet.", "10.96.200.7"),
    _address("service-network-last", "The last address of the service network.", "10.111.255.255"),
    _address("service-network-mapped", "A service's address as an IPv4-mapped one.", "::ffff:10.96.0.1"),
    _address(
        "service-outside-the-network",
        "A Service's address that no ServiceCIDR covers.",
        "172.20.0.10",
        others=(m.service("web", "172.20.0.10", "web"),),
    ),
    _address(
        "service-network-v6",
        "The IPv6 service network.",
        "fd00:10:96::1",
        others=(m.service_cidr("10.96.0.0/12", "fd00:10:96::/112"),),
    ),
    _address(
        "k0s-8333-api-server-on-the-node",
        "The Node's own status claims the API server's address: a node reports its"
        " own addresses (k0s pull request 8333) (V68).",
        "10.0.0.1",
        others=(m.node("node-a", addresses=[{"type": "InternalIP", "address": "10.0.0.1"}]),),
    ),
    _address("api-server", "An API server's address that this enrollment does not list (V68).", "10.0.0.1"),
    _address("api-server-mapped", "An API server's address as an IPv4-mapped one.", "::ffff:10.0.0.1"),
    _address(
        "api-server-listed-elsewhere",
        "Another enrollment may carry it, this one not; Reserved comes before Foreign.",
        "10.0.0.1",
        others=_b_is(addresses=["10.0.0.1"]),
    ),
    _address(
        "pod-network",
        "An address of the pods that run on this very node (V71).",
        "10.244.1.1",
        without=("FlannelNetwork",),
    ),
    _address("flannel-network", "An address that flannel hands out to another node's pods (V71).", "10.244.77.1"),
    _address("flannel-network-v6", "An IPv6 address that flannel hands out (V71).", "fd00:10:244:1::1"),
    _reserved("kubernetes", "The API server's shortest name (V69).", "kubernetes"),
    _reserved("kubernetes-in-upper-case", "DNS names are compared without case.", "KUBERNETES"),
    _reserved("kubernetes-default", "The API server's name with its namespace.", "kubernetes.default"),
    _reserved("kubernetes-default-svc", "The API server's name in the cluster (V69).", "kubernetes.default.svc"),
    _reserved(
        "kubernetes-default-svc-domain",
        "The API server's name with the cluster's domain.",
        "kubernetes.default.svc.cluster.local",
    ),
    _reserved(
        "kubernetes-default-svc-other-domain", "Whatever the cluster's domain is.", "kubernetes.default.svc.corp"
    ),
    _reserved("localhost", "Every host's name for itself (V72).", "localhost"),
    serving(
        "SubjectAltNameReserved/node-called-kubernetes",
        "A node that is called as the API server is.",
        request=Request(common_name="system:node:kubernetes", alt_names=(dns("kubernetes"), ip("10.0.0.5"))),
        spec={"username": "system:node:kubernetes"},
        enrollment=None,
        others=(m.enrollment("kubernetes", m.NODE_A), m.node("kubernetes")),
    ),
    _besides("SubjectAltNameForeign/address", "Another enrollment's address.", ip("10.0.0.6"), found="node-b"),
    _besides(
        "SubjectAltNameForeign/address-mapped",
        "Another enrollment's address as an IPv4-mapped one.",
        ip("::ffff:10.0.0.6"),
    ),
    _besides(
        "SubjectAltNameForeign/talos-360-second-name",
        "talos-cloud-controller-manager pull request 360: all names after the first were unchecked.",
        dns("node-b"),
    ),
    _besides("SubjectAltNameForeign/name-in-upper-case", "Another enrollment's name, in upper case.", dns("NODE-B")),
    _besides("SubjectAltNameForeign/dns-name", "A name that another enrollment lists.", dns("node-b.corp")),
    _besides(
        "SubjectAltNameForeign/of-a-suspended-one",
        "A suspended enrollment keeps what it lists.",
        ip("10.0.0.6"),
        others=_b_is(state="Suspended"),
    ),
    _besides(
        "SubjectAltNameNotEnrolled/alex1989hu-348",
        "alex1989hu/kubelet-serving-cert-approver issue 348: nobody checks whose address it is (V67).",
        ip("10.0.0.77"),
        found="10.0.0.77",
    ),
    _besides(
        "SubjectAltNameNotEnrolled/postfinance-prefix",
        "A name that only begins with the node's name: postfinance's approver takes it.",
        dns("node-a1"),
    ),
    _besides(
        "SubjectAltNameNotEnrolled/postfinance-domain",
        "The node's name below a foreign domain.",
        dns("node-a.evil.example.com"),
    ),
    _besides("SubjectAltNameNotEnrolled/below-own-name", "A name below the node's own one.", dns("web.node-a")),
    _besides("SubjectAltNameNotEnrolled/own-domain", "The domain of an enrolled name.", dns("corp")),
    _besides("SubjectAltNameNotEnrolled/neighbour-v6", "The address beside the enrolled one.", ip("fd00::6")),
    _besides("SubjectAltNameNotEnrolled/ipv4-compatible", "::10.0.0.5 is not 10.0.0.5.", ip("::10.0.0.5")),
    _besides(
        "SubjectAltNameNotEnrolled/kubeone-2199-on-the-node",
        "Node.status says so, and that is the kubelet's own word (KubeOne issue 2199; kubernetes issue 50635).",
        ip("10.0.0.9"),
        others=(m.node("node-a", addresses=[{"type": "InternalIP", "address": "10.0.0.9"}]),),
    ),
    _besides(
        "SubjectAltNameNotEnrolled/of-a-revoked-one",
        "What a Revoked enrollment lists is nobody's.",
        ip("10.0.0.6"),
        others=_b_is(state="Revoked"),
    ),
    serving(
        "SubjectAltNameNotEnrolled/nothing-enrolled",
        "An enrollment without addresses allows the node's name only.",
        enrollment={"addresses": [], "dnsNames": []},
    ),
    serving("ServingNotApproved/switched-off", "serving.approve is false.", enrollment={"serving": {"approve": False}}),
    serving(
        "ServingNotApproved/names-only",
        "serving.approve is false, whatever else is allowed.",
        request=Request(alt_names=OWN_NAMES[:1]),
        enrollment={"serving": {"approve": False, "allowDNSOnly": True}},
    ),
    serving(
        "ServingNotApproved/audit",
        "serving.approve is false, in mode Audit as well.",
        enrollment={"mode": "Audit", "serving": {"approve": False}},
    ),
    serving(
        "AddressMissing/own-name",
        "No address, and spec does not allow that (V6).",
        request=Request(alt_names=OWN_NAMES[:1]),
    ),
    serving(
        "AddressMissing/two-names",
        "Two names, no address.",
        request=Request(alt_names=(*OWN_NAMES[:1], dns("node-a.corp"))),
    ),
    serving(
        "AddressMissing/required-on-node",
        "What the Node reports is no address of the request.",
        request=Request(alt_names=OWN_NAMES[:1]),
        enrollment=_ON_NODE,
    ),
    serving("NodeNotFound/none", "The Node is not there yet (V74).", without=("Node",)),
    serving("NodeNotFound/another-node", "Only another Node is there.", without=("Node",)),
    serving(
        "NodeNotFound/names-only",
        "The Node is not there yet, for a request of names alike.",
        without=("Node",),
        request=Request(alt_names=OWN_NAMES[:1]),
        enrollment={"serving": {"allowDNSOnly": True}},
    ),
    serving(
        "NodeAddressesUnknown/cma-321-empty",
        "openshift/cluster-machine-approver pull request 321: empty addresses are a matter of time (V75).",
        enrollment=_ON_NODE,
        others=(m.node("node-a", addresses=[]),),
    ),
    serving(
        "NodeAddressesUnknown/absent",
        "A Node without a status.",
        enrollment=_ON_NODE,
        others=({key: value for key, value in m.node("node-a").items() if key != "status"},),
    ),
    serving(
        "NodeAddressesUnknown/one-address-asked",
        "The same for a request with one address.",
        enrollment=_ON_NODE,
        request=Request(alt_names=OWN_NAMES[:2]),
        others=(m.node("node-a", addresses=[]),),
    ),
    serving(
        "SubjectAltNameNotOnNode/address",
        "The Node reports other addresses than the request (V76).",
        enrollment=_ON_NODE,
        others=(m.node("node-a", addresses=_BOTH_ADDRESSES[:1]),),
        found="fd00::5",
    ),
    serving(
        "SubjectAltNameNotOnNode/name",
        "The Node reports no such name.",
        enrollment=_ON_NODE,
        request=Request(alt_names=(*OWN_NAMES, dns("node-a.corp"))),
        others=(m.node("node-a", addresses=_BOTH_ADDRESSES),),
        found="node-a.corp",
    ),
    serving(
        "SubjectAltNameNotOnNode/hostname-only",
        "The Node reports its name and no address.",
        enrollment=_ON_NODE,
        others=(m.node("node-a"),),
    ),
)

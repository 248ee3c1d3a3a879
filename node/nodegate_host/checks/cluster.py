"""api.*, ident.*, etcd.*: the cluster, this node's identity, flannel's store (checks 50-57).

Pure. What a certificate says is read, what a server answers was asked before; no secret is in any fact or message.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence
from nodegate_host.checks.net import flannel_config, networks
from nodegate_host.facts.model import ApiFacts, Certificate, EtcdFacts, Facts, Kubeconfig
from nodegate_host.facts.x509 import is_issued_by
from nodegate_host.model import NodeConfig

_WEEK_S = 7 * 86400
_NODES = "system:nodes"
_MASTERS = "system:masters"
_PREFIX = "system:node:"
_ETCD_DIRECTORY = "/etc/etcd/"
_OTHERS = 0o077
_SUBNET_MOST = 30


def _api(facts: Facts) -> ApiFacts:
    if facts.api is None:
        raise NotKnown("the API server was not asked")
    return facts.api


def _etcd(facts: Facts) -> EtcdFacts:
    if facts.etcd is None:
        raise NotKnown("etcd was not asked")
    return facts.etcd


def _tcp(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    api = _api(facts)
    if api.tcp is False:
        yield Found(f"no connection to {api.server}: {api.problem}")


def _tls(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    if facts.identity.ca_problem:
        yield Found(
            f"cluster.caFile: {facts.identity.ca_problem}", "the CA that signed the API server's certificate, as PEM"
        )
        return
    api = _api(facts)
    if api.tls is False:
        yield Found(f"{api.server}: {api.problem}")
    elif api.tls is None:
        raise NotKnown("the API server could not be reached")


def is_expired(certificate: Certificate | None, now: float | None) -> bool:
    """Whether a certificate's time is over."""
    return certificate is not None and now is not None and now > certificate.not_after


def _is_joined(facts: Facts) -> bool:
    kubelet = facts.identity.kubelet
    return bool(kubelet and kubelet.certificate and not is_expired(kubelet.certificate, facts.host.now))


def _token(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if _is_joined(facts):
        return
    bootstrap = facts.identity.bootstrap
    if not config.bootstrap.token:
        yield from _bootstrap_file(bootstrap)
    api = _api(facts)
    if api.credential == "rejected":
        yield Found("the API server rejects the bootstrap token (401): expired, or of another cluster")
    elif api.credential == "forbidden" or api.may_request is False:
        yield Found(
            "the bootstrap token is known, but may not make certificate requests (403)",
            "bind its group to system:node-bootstrapper; the operator's manifests do",
        )
    elif api.credential is None:
        raise NotKnown("whether the API server takes the token")


def _bootstrap_file(found: Kubeconfig | None) -> Iterator[Found]:
    if found is None:
        return
    place = evidence(found.path)
    if found.state == "missing":
        yield Found(f"expected the bootstrap kubeconfig {found.path}, found none", evidence=place)
    elif found.state != "usable":
        yield Found(f"the bootstrap kubeconfig {found.path} cannot be used: {found.problem}", evidence=place)
    elif not found.token and found.certificate is None:
        yield Found(f"the bootstrap kubeconfig {found.path} holds no token and no certificate", evidence=place)


def _state(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    kubelet, now = facts.identity.kubelet, facts.host.now
    if kubelet is None or kubelet.state == "missing" or now is None:
        return
    place = evidence(kubelet.path)
    if kubelet.state != "usable" or kubelet.problem:
        yield Found(f"{kubelet.path}: {kubelet.problem}", evidence=place)
        return
    certificate = kubelet.certificate
    if certificate is None:
        return
    if is_expired(certificate, now):
        bootstrap = facts.identity.bootstrap
        again = bool(config.bootstrap.token) or bool(bootstrap and bootstrap.state == "usable")
        ending = (
            "the kubelet asks for a new one"
            if again
            else "and there is no bootstrap kubeconfig to get a new one (FAQ 2)"
        )
        severity = WARNING if again else ERROR
        yield Found(
            f"the client certificate expired on {_date(certificate.not_after)}; {ending}", None, severity, place
        )
    elif certificate.not_after - now < _WEEK_S:
        yield Found(f"the client certificate expires on {_date(certificate.not_after)}", None, WARNING, place)
    if kubelet.key_matches is False:
        yield Found(f"{kubelet.path}: certificate and key do not belong together", evidence=place)


def _date(seconds: float) -> str:
    days = int(seconds // 86400) + 719468
    era, of_era = divmod(days, 146097)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return f"{year + era * 400 + (month >= 10)}-{(month + 2) % 12 + 1:02}-{of_year - (153 * month + 2) // 5 + 1:02}"  # noqa: PLR2004 (months from March)


def _admin(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    kubelet = facts.identity.kubelet
    certificate = kubelet.certificate if kubelet else None
    if kubelet is None or kubelet.state != "usable":
        return
    place = evidence(kubelet.path)
    if certificate and _MASTERS in certificate.organizations:
        yield Found(
            f"{kubelet.path} is an administrator's credential ({certificate.common_name}, {_MASTERS})", evidence=place
        )
    elif certificate and (_NODES not in certificate.organizations or not certificate.common_name.startswith(_PREFIX)):
        groups = ", ".join(certificate.organizations) or "no group"
        message = f"expected {_PREFIX}{config.node.name} in {_NODES}, found {certificate.common_name!r} in {groups}"
        yield Found(f"{kubelet.path}: {message}", evidence=place)
    elif certificate is None and kubelet.token:
        yield Found(f"{kubelet.path} holds a token instead of the node's own certificate", evidence=place)


def _modes(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    for place in facts.identity.secrets:
        where = evidence(place.path)
        if place.kind == "link":
            folder = place.path.rpartition("/")[0]
            if place.target.startswith("/") and not place.target.startswith(folder):
                yield Found(f"{place.path} is a link out of its directory, to {place.target}", evidence=where)
        elif place.mode & _OTHERS:
            yield Found(
                f"{place.path}: expected mode 0600, found {place.mode:04o}", f"chmod 0600 {place.path}", evidence=where
            )
        if place.uid != 0:
            yield Found(
                f"{place.path}: expected owner root, found uid {place.uid}",
                f"chown root:root {place.path}",
                evidence=where,
            )


def _conn(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    etcd = config.flannel.etcd
    given = [bool(each) for each in (etcd.ca_file, etcd.cert_file, etcd.key_file)]
    if any(given) and not all(given):
        yield Found(
            "etcd needs CA, certificate and key; with one missing, flannel 0.18 and newer drops TLS and connects in "
            "the clear",
            "flannel.etcd: caFile, certFile and keyFile",
        )
    yield from _etcd_client(facts, config)
    health = _etcd(facts).health
    broken = {url: problem for url, problem in health.items() if problem}
    for url, problem in broken.items():
        yield Found(f"etcd {url}: {problem}", None, ERROR if len(broken) == len(health) else WARNING, evidence(url))


def _etcd_client(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    client, who = facts.identity.etcd_client, facts.identity
    path = config.flannel.etcd.cert_file or ""
    if client is None:
        return
    place = evidence(path)
    if who.etcd_key_matches is False:
        yield Found(f"flannel's certificate {path} and its key do not belong together", evidence=place)
    if is_expired(client, facts.host.now):
        yield Found(f"flannel's etcd certificate {path} expired on {_date(client.not_after)}", evidence=place)
    if who.etcd_ca and not any(is_issued_by(client, each) for each in who.etcd_ca):
        yield Found(f"flannel's etcd certificate {path} is not of the CA {config.flannel.etcd.ca_file}", evidence=place)
    if "serverAuth" in client.usages or path.startswith(_ETCD_DIRECTORY):
        message = f"{path} is an etcd server's own certificate: with it this node can read all Secrets of the cluster"
        yield Found(message, "a client certificate with a role on flannel's prefix", WARNING, place)


def _config(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    etcd = _etcd(facts)
    key = f"{config.flannel.etcd.prefix}/config"
    if not etcd.config_read and etcd.config is None:
        raise NotKnown("no etcd endpoint answered")
    place = evidence(f"etcd {key}")
    if etcd.config is None:
        other = "; it is in the other API (flannel reads v3 from 0.18.0 on)" if etcd.found_in_other_api else ""
        yield Found(f"expected flannel's configuration at {key}, found none{other}", evidence=place)
        return
    found = flannel_config(facts)
    network = found.get("Network")
    if not network:
        yield Found(f"{key}: expected a JSON object with Network, found {etcd.config[:80]!r}", evidence=place)
    elif not set(networks((str(network),))) & set(networks(config.cluster.pod_cidr)):
        yield Found(
            f"{key}: Network is {network}, cluster.podCIDR is {', '.join(config.cluster.pod_cidr)}", evidence=place
        )
    backend = found.get("Backend")
    if not isinstance(backend, dict) or not backend.get("Type"):
        yield Found(f"{key}: Backend.Type is not said; flannel then takes udp, not vxlan", evidence=place)
    length = found.get("SubnetLen", 24)
    prefix = next((each.prefixlen for each in networks((str(network),))), 0)
    if network and isinstance(length, int) and not prefix + 2 <= length <= _SUBNET_MOST:
        yield Found(f"{key}: SubnetLen {length} is not between {prefix + 2} and {_SUBNET_MOST}", evidence=place)


def _lease(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    leases = _etcd(facts).leases
    if leases is None:
        raise NotKnown("flannel's leases were not read")
    ours = [each for each in leases if each.public_ip in config.node.ips]
    if len(ours) > 1:
        yield Found(f"{len(ours)} leases for {ours[0].public_ip}: {', '.join(each.subnet for each in ours)}")
    interfaces = {each.name: each for each in facts.network.interfaces or ()}
    overlay = interfaces.get("flannel.1")
    for each in ours[:1]:
        if overlay and overlay.mac and each.vtep_mac and overlay.mac.lower() != each.vtep_mac.lower():
            message = f"flannel.1 has the MAC address {overlay.mac}, the lease {each.subnet} says {each.vtep_mac} (D23)"
            yield Found(message, "ip link delete flannel.1 && systemctl restart flanneld")
    yield from _wrong_interface(facts, config)
    found = flannel_config(facts)
    for network in networks((str(found.get("Network", "")),)):
        room = 2 ** max(int(found.get("SubnetLen", 24)) - network.prefixlen, 0)
        if len(leases) >= room and not ours:
            yield Found(f"all {room} subnets of {network} are leased; none is left for this node", "a larger Network")


def _wrong_interface(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    here = [each for interface in facts.network.interfaces or () for each in interface.addresses]
    addresses = {ipaddress.ip_interface(each).ip for each in here}
    for lease in _etcd(facts).leases or ():
        bridge = next((net for net in networks((lease.subnet,))), None)
        is_ours = bridge is not None and any(each in bridge for each in addresses)
        if is_ours and lease.public_ip and lease.public_ip not in config.node.ips:
            message = (
                f"this node's lease {lease.subnet} says PublicIP {lease.public_ip}, the node is {config.node.ips[0]}"
            )
            yield Found(message, "flannel.iface: the interface of node.ip", evidence=evidence(f"lease {lease.subnet}"))


CHECKS: tuple[Check, ...] = (
    Check(
        50,
        "api.tcp",
        ERROR,
        "the API server can be reached",
        _tcp,
        "check cluster.apiServer, routes and firewalls",
        "The first of the stages of a join: TCP, TLS, token, request, approval, certificate, Node.",
        "api",
        "S46",
    ),
    Check(
        50,
        "api.tls",
        ERROR,
        "the API server's certificate is good",
        _tls,
        "fix cluster.apiServer, or cluster.caFile",
        "Its certificate must be of the configured CA and carry the address that is used.",
        "api",
        "S46",
    ),
    Check(
        51,
        "api.token",
        ERROR,
        "a way to the first certificate",
        _token,
        "kubectl nodegate token NODE, then nodegate-host rejoin",
        "401 is a token that the API server does not know (any more), 403 one that may not ask for certificates.",
        "api",
        "S28, S44",
    ),
    Check(
        52,
        "ident.state",
        ERROR,
        "the node's certificate is valid",
        _state,
        "nodegate-host rejoin --bootstrap-kubeconfig FILE",
        "An expired certificate without a bootstrap kubeconfig is the third cause of the guide's FAQ 2.",
        "api",
        "S50, S58, E19",
    ),
    Check(
        53,
        "ident.admin",
        ERROR,
        "the node's credential is a node's",
        _admin,
        "nodegate-host rejoin --bootstrap-kubeconfig FILE",
        "The guide copies ~/.kube/config to every node: whoever gets one node then has the cluster, and the kubelet "
        "never asks for a certificate of its own.",
        "api",
        "S51, S60, E5",
    ),
    Check(
        54,
        "ident.modes",
        ERROR,
        "secrets are root's alone",
        _modes,
        "chmod 0600, chown root:root",
        "Keys and kubeconfigs are 0600 and root's; a link must not lead out of its directory.",
        "api",
        "S57",
    ),
    Check(
        55,
        "etcd.conn",
        ERROR,
        "etcd answers flannel's certificate",
        _conn,
        "check flannel.etcd and etcd itself",
        "flannel needs CA, certificate and key. The guide uses the etcd servers' own key on every node.",
        "etcd",
        "S4, S15, S18, E9, E30",
    ),
    Check(
        56,
        "etcd.config",
        ERROR,
        "flannel's network configuration",
        _config,
        "a FlannelNetwork in the cluster; the operator writes it",
        "The host only reads it. flannel reads etcd's v3 API from 0.18.0 on, the guide's commands write v2.",
        "etcd",
        "S17, S22, E10",
    ),
    Check(
        57,
        "etcd.lease",
        WARNING,
        "flannel's leases",
        _lease,
        "stop flanneld, delete the stale lease in etcd, start flanneld",
        "A lease is keyed by its public address; one of another interface sends Pods' traffic there.",
        "etcd",
        "S23, S24, E7",
    ),
)
"""Checks 50-57."""

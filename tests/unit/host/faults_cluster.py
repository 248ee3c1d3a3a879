"""Hosts with one fault each: runtime, programs, files, cluster, identity, etcd.

Data for `test_checks`: check, facts, configuration, severity, a part of the message.
"""

from dataclasses import replace

from nodegate_host import envfile
from nodegate_host.checks.model import ERROR, WARNING
from nodegate_host.facts.model import (
    Certificate,
    CgroupSetting,
    EnvironmentFile,
    Facts,
    Kubeconfig,
    Lease,
    Mount,
    Place,
)
from nodegate_host.model import (
    ForeignFiles,
    NodeConfig,
    RuntimeKind,
    Version,
)
from nodegate_host.unitfile import Source, Value
from tests.unit.host import healthy as h

_CGROUP_FILE = "/etc/containerd/config.toml"
_EXPIRED = replace(h.CLIENT, not_after=h.NOW - h.DAY)
_GONE = Kubeconfig("/etc/kubernetes/bootstrap.kubeconfig", "missing")


def _cni_only(*names: str) -> Facts:
    return h.runtime(cni_plugins={"bridge": True, **dict.fromkeys(names, False)})


def _etcd_config(text: str) -> Facts:
    return h.etcd(config=text)


_DOCKER = {"kind": RuntimeKind.CRI_DOCKERD}

FAULTS: list[tuple[str, Facts, NodeConfig, str, str]] = [
    ("rt.socket", h.runtime(exists=False), h.CONFIG, ERROR, "found none"),
    ("rt.socket", h.runtime(answers=False, problem="refused"), h.CONFIG, ERROR, "does not answer: refused"),
    (
        "rt.socket",
        h.runtime(cri=False, cri_disabled=f"{_CGROUP_FILE}:3"),
        h.CONFIG,
        ERROR,
        "unknown service runtime.v1",
    ),
    (
        "rt.version",
        h.runtime(version=Version(1, 7, 20)),
        h.CONFIG,
        ERROR,
        "wants containerd 2.2.0 or newer, found 1.7.20",
    ),
    ("rt.version", h.HEALTHY, h.config("runtime", kind=RuntimeKind.DOCKER), ERROR, "has no dockershim"),
    (
        "rt.cgroup",
        h.runtime(cgroups=(CgroupSetting("cgroupfs", _CGROUP_FILE, 12, "runc"),)),
        h.CONFIG,
        ERROR,
        "the kubelet gets systemd, runc has cgroupfs",
    ),
    (
        "rt.cgroup",
        h.runtime(cgroups=(CgroupSetting("cgroupfs", _CGROUP_FILE, 12, "runc"),)),
        h.config("runtime", manage=True),
        WARNING,
        "apply writes",
    ),
    ("rt.sandbox", h.runtime(images=()), h.CONFIG, WARNING, "must be pulled"),
    (
        "rt.dockerflags",
        h.runtime(docker_command="/usr/bin/dockerd -H fd://"),
        h.config("runtime", **_DOCKER),
        WARNING,
        "ignores /run/flannel/docker",
    ),
    (
        "rt.dockerflags",
        h.runtime(docker_command="/usr/bin/dockerd $DOCKER_NETWORK_OPTIONS", docker_daemon={"bip": "172.17.0.1/16"}),
        h.config("runtime", **_DOCKER),
        ERROR,
        "bip is in daemon.json",
    ),
    (
        "rt.dockerflags",
        h.runtime(
            docker_command="/usr/bin/dockerd $DOCKER_NETWORK_OPTIONS",
            docker_daemon={"hosts": "[]"},
            docker_options={"H": "true"},
        ),
        h.config("runtime", **_DOCKER),
        ERROR,
        "docker.service has -H",
    ),
    ("rt.cni", _cni_only("portmap"), h.CONFIG, ERROR, "plugins portmap in /opt/cni/bin"),
    (
        "rt.cni",
        h.runtime(cni_configs=("05-podman.conflist", "10-flannel.conflist")),
        h.CONFIG,
        ERROR,
        "05-podman.conflist sorts",
    ),
    ("bin.present", h.program("kubelet", exists=False), h.CONFIG, ERROR, "found no such file"),
    ("bin.present", h.program("kubelet", executable=False), h.CONFIG, ERROR, "may not be executed"),
    ("bin.present", h.program("flanneld", version=Version(0, 7, 1)), h.CONFIG, ERROR, "the program says 0.7.1"),
    (
        "bin.present",
        h.program("kubelet", sha256="b" * 64),
        h.config("kubernetes", sha256={"kubelet": "a" * 64}),
        ERROR,
        "expected sha256 aaaaaaaaaaaa",
    ),
    ("bin.skew", h.api(version=Version(1, 35, 0)), h.CONFIG, ERROR, "newer than the API server"),
    ("bin.skew", h.HEALTHY, h.config("kubernetes", version=Version(1, 33, 0)), ERROR, "3 minors older"),
    (
        "bin.flags",
        h.HEALTHY,
        h.config("kubelet", extra_args=("--pod-infra-container-image=x",)),
        ERROR,
        "--pod-infra-container-image was removed in 1.35",
    ),
    ("bin.flags", h.HEALTHY, h.config("kubelet", extra_args=("--nonsense=x",)), ERROR, "does not know --nonsense"),
    ("bin.flags", h.HEALTHY, h.config("flannel", options=("-nonsense=x",)), ERROR, "does not know -nonsense"),
    (
        "bin.conntrack",
        h.program("conntrack", exists=False),
        h.config("kubernetes", version=Version(1, 31, 0)),
        WARNING,
        "the program conntrack",
    ),
    (
        "bin.conntrack",
        h.host(mounts=(Mount("/proc/sys", "proc", ("ro",)),)),
        h.CONFIG,
        ERROR,
        "/proc/sys/net is read-only",
    ),
    (
        "cfg.env",
        replace(
            h.HEALTHY, environment_files=(EnvironmentFile("/etc/kubernetes/kubelet", envfile.lint('\nA="--x=1" # n')),)
        ),
        h.CONFIG,
        ERROR,
        "/etc/kubernetes/kubelet line 2",
    ),
    (
        "cfg.env",
        h.units(
            kubelet=h.unit(
                "kubelet.service", "${ARGS}", environment={"ARGS": Value("--v=2 --w=3", Source("/etc/k", 1))}
            )
        ),
        h.CONFIG,
        ERROR,
        "${ARGS} passes all its flags as one word",
    ),
    ("cfg.labels", h.HEALTHY, h.config("node", labels={"node-role.kubernetes.io/worker": ""}), ERROR, "cannot be set"),
    ("cfg.labels", h.HEALTHY, h.config("node", labels={"example.com/x": "a b"}), ERROR, "example.com/x"),
    (
        "cfg.units",
        h.units(kubelet=h.unit("kubelet.service", load_state="masked")),
        h.CONFIG,
        ERROR,
        "kubelet.service is masked",
    ),
    (
        "cfg.units",
        h.units(docker=h.unit("docker.service", load_state="bad-setting")),
        h.CONFIG,
        ERROR,
        "systemd refuses",
    ),
    (
        "cfg.units",
        h.units(docker=h.unit("docker.service", missing_environment=(("/etc/x", "/lib/y.service:3"),))),
        h.CONFIG,
        ERROR,
        "/etc/x, which does not exist",
    ),
    (
        "cfg.foreign",
        replace(
            h.HEALTHY,
            targets={"/etc/systemd/system/kubelet.service": Place("/etc/systemd/system/kubelet.service", "file")},
        ),
        h.CONFIG,
        ERROR,
        "is not ours",
    ),
    (
        "cfg.foreign",
        replace(h.HEALTHY, targets={"/x": Place("/x", "file")}),
        h.config("policy", foreign_files=ForeignFiles.ADOPT),
        WARNING,
        "apply saves it",
    ),
    ("cfg.foreign", h.host(installers={"k3s": "/etc/rancher/k3s"}), h.CONFIG, ERROR, "k3s is installed"),
    (
        "cfg.dropins",
        h.units(kubelet=h.unit("kubelet.service", dropins=("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf",))),
        h.CONFIG,
        WARNING,
        "10-kubeadm.conf",
    ),
    (
        "api.tcp",
        h.api(tcp=False, tls=None, problem="refused"),
        h.CONFIG,
        ERROR,
        "no connection to https://10.0.0.1:6443",
    ),
    (
        "api.tls",
        h.api(tls=False, problem="certificate verify failed: IP address mismatch"),
        h.CONFIG,
        ERROR,
        "mismatch",
    ),
    ("api.tls", h.identity(ca_problem="no certificate in ca.crt"), h.CONFIG, ERROR, "no certificate in ca.crt"),
    ("api.token", h.identity(kubelet=None, bootstrap=_GONE), h.CONFIG, ERROR, "found none"),
    (
        "api.token",
        h.identity(kubelet=None, bootstrap=Kubeconfig("/b", "empty", "the file is empty")),
        h.CONFIG,
        ERROR,
        "the file is empty",
    ),
    (
        "api.token",
        replace(h.api(credential="rejected"), identity=h.identity(kubelet=None).identity),
        h.CONFIG,
        ERROR,
        "401",
    ),
    (
        "api.token",
        replace(h.api(may_request=False), identity=h.identity(kubelet=None).identity),
        h.CONFIG,
        ERROR,
        "403",
    ),
    (
        "ident.state",
        h.identity(kubelet=replace(h.KUBELET, certificate=_EXPIRED), bootstrap=_GONE),
        h.CONFIG,
        ERROR,
        "expired on 2027-01-14; and there is no bootstrap kubeconfig",
    ),
    (
        "ident.state",
        h.identity(kubelet=replace(h.KUBELET, certificate=_EXPIRED)),
        h.CONFIG,
        WARNING,
        "asks for a new one",
    ),
    (
        "ident.state",
        h.identity(kubelet=replace(h.KUBELET, certificate=replace(h.CLIENT, not_after=h.NOW + h.DAY))),
        h.CONFIG,
        WARNING,
        "expires on 2027-01-16",
    ),
    (
        "ident.state",
        h.identity(kubelet=replace(h.KUBELET, key_matches=False)),
        h.CONFIG,
        ERROR,
        "do not belong together",
    ),
    (
        "ident.state",
        h.identity(kubelet=replace(h.KUBELET, certificate=None, problem="client-certificate /p does not exist")),
        h.CONFIG,
        ERROR,
        "/p does not exist",
    ),
    (
        "ident.admin",
        h.identity(kubelet=replace(h.KUBELET, certificate=Certificate("/c", "admin", ("system:masters",)))),
        h.CONFIG,
        ERROR,
        "administrator's credential",
    ),
    (
        "ident.admin",
        h.identity(kubelet=replace(h.KUBELET, certificate=Certificate("/c", "bob", ("people",)))),
        h.CONFIG,
        ERROR,
        "found 'bob' in people",
    ),
    (
        "ident.modes",
        h.identity(secrets=(Place("/k", "file", 0o644),)),
        h.CONFIG,
        ERROR,
        "expected mode 0600, found 0644",
    ),
    ("ident.modes", h.identity(secrets=(Place("/k", "file", 0o600, 1000),)), h.CONFIG, ERROR, "found uid 1000"),
    (
        "ident.modes",
        h.identity(secrets=(Place("/p/k", "link", 0o777, 0, "/elsewhere/k"),)),
        h.CONFIG,
        ERROR,
        "out of its directory",
    ),
    ("etcd.conn", h.etcd(health={"https://10.0.0.1:2379": "refused"}), h.CONFIG, ERROR, "refused"),
    (
        "etcd.conn",
        h.etcd(health={"https://a:2379": "refused", "https://b:2379": ""}),
        h.CONFIG,
        WARNING,
        "https://a:2379",
    ),
    (
        "etcd.conn",
        h.HEALTHY,
        h.config("flannel", etcd=replace(h.CONFIG.flannel.etcd, key_file=None)),
        ERROR,
        "drops TLS",
    ),
    (
        "etcd.conn",
        h.HEALTHY,
        h.config("flannel", etcd=replace(h.CONFIG.flannel.etcd, cert_file="/etc/etcd/ssl/etcd.pem")),
        WARNING,
        "server's own certificate",
    ),
    ("etcd.conn", h.identity(etcd_key_matches=False), h.CONFIG, ERROR, "do not belong together"),
    ("etcd.conn", h.identity(etcd_ca=(replace(h.CA, subject="ff"),)), h.CONFIG, ERROR, "not of the CA"),
    ("etcd.config", h.etcd(config=None, found_in_other_api=True), h.CONFIG, ERROR, "it is in the other API"),
    ("etcd.config", _etcd_config("{}"), h.CONFIG, ERROR, "expected a JSON object with Network"),
    (
        "etcd.config",
        _etcd_config('{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'),
        h.CONFIG,
        ERROR,
        "Network is 10.1.0.0/16",
    ),
    ("etcd.config", _etcd_config('{"Network": "10.244.0.0/16"}'), h.CONFIG, ERROR, "flannel then takes udp"),
    (
        "etcd.config",
        _etcd_config('{"Network": "10.244.0.0/16", "SubnetLen": 31, "Backend": {"Type": "vxlan"}}'),
        h.CONFIG,
        ERROR,
        "SubnetLen 31",
    ),
    (
        "etcd.lease",
        h.etcd(leases=(Lease("a/24", "10.0.0.3"), Lease("b/24", "10.0.0.3"))),
        h.CONFIG,
        WARNING,
        "2 leases for 10.0.0.3",
    ),
    (
        "etcd.lease",
        h.etcd(leases=(Lease("10.244.31.0/24", "10.0.0.3", "aa:bb:cc:dd:ee:ff"),)),
        h.CONFIG,
        WARNING,
        "(D23)",
    ),
    (
        "etcd.lease",
        h.etcd(leases=(Lease("10.244.31.0/24", "47.96.40.139"),)),
        h.CONFIG,
        WARNING,
        "says PublicIP 47.96.40.139",
    ),
]

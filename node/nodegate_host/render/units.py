"""flanneld, kubelet and kube-proxy as systemd units, and the drop-ins that bind the runtime to flannel.

Rules: a unit restarts for ever (no start limit), waits for etcd as long as it takes, never pulls another unit down
(``Wants`` and ``After``, never ``Requires`` or ``RequiredBy``), and says its flags itself instead of in environment
files. Values were checked when the config was read: none holds a blank, a quote, ``$`` or ``%``.
"""

from __future__ import annotations

from nodegate_host import paths
from nodegate_host.model import CniPlugin, File, NodeConfig, Role, RuntimeKind
from nodegate_host.render.headers import with_header

FLANNELD = "flanneld.service"
KUBELET = "kubelet.service"
KUBE_PROXY = "kube-proxy.service"

_ADVICE = "change node.yaml, or use drop-ins"

_WAIT_SECONDS = 60
"""How long docker waits for the lease before it fails and is started again by its own unit."""


def _unit(name: str, body: str) -> File:
    return File(paths.unit(name), with_header(body, advice=_ADVICE), units=(name,))


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _command(program: str, flags: list[str]) -> str:
    return " \\\n  ".join([f"ExecStart={program}", *flags])


def waits_for_flannel(config: NodeConfig) -> bool:
    """Whether the runtime starts only after flanneld; not where etcd itself may be a Pod of this host."""
    return config.flannel.enabled and config.node.role is Role.WORKER


def flanneld(config: NodeConfig) -> File:
    """Return flanneld's unit; READY comes after the lease, so nothing that is ordered after it sees an old one."""
    program = paths.binary(config, "flanneld")
    flags = ["-etcd-endpoints=${FLANNEL_ETCD_ENDPOINTS}", "-etcd-prefix=${FLANNEL_ETCD_PREFIX}", "$FLANNEL_OPTIONS"]
    before = f"Before={config.runtime.unit} {KUBELET}"
    body = _lines(
        "[Unit]",
        "Description=flannel: the network between nodes",
        "Documentation=https://github.com/flannel-io/flannel",
        "Wants=network-online.target",
        "After=network-online.target etcd.service",
        *([before] if waits_for_flannel(config) else []),
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"EnvironmentFile={paths.flannel_env(config)}",
        "ExecStartPre=-/sbin/modprobe -a br_netfilter vxlan",
        _command(program, flags),
        f"ExecStartPost=/bin/sh {paths.LEASE_SCRIPT}",
        "TimeoutStartSec=infinity",
        "Restart=always",
        "RestartSec=5",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    )
    return _unit(FLANNELD, body)


def kubelet(config: NodeConfig, flags: list[str]) -> File:
    """Return the kubelet's unit; `flags` as `kubelet.flags` makes them."""
    after = [config.runtime.unit, *([FLANNELD] if waits_for_flannel(config) else []), "network-online.target"]
    body = _lines(
        "[Unit]",
        "Description=kubelet: the Kubernetes node agent",
        "Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/",
        f"Wants={config.runtime.unit} network-online.target",
        f"After={' '.join(after)}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"ExecStartPre=/bin/mkdir -p -m 0700 {paths.KUBELET_ROOT}",
        _command(paths.binary(config, "kubelet"), flags),
        "Restart=always",
        "RestartSec=10",
        "KillMode=process",
        "CPUAccounting=true",
        "MemoryAccounting=true",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    )
    return _unit(KUBELET, body)


def kube_proxy(config: NodeConfig) -> File:
    """Return kube-proxy's unit; the name is given as a flag too, because the flag wins over the file."""
    flags = [f"--config={paths.PROXY_CONFIG}", f"--hostname-override={config.node.name}", "--v=2"]
    body = _lines(
        "[Unit]",
        "Description=kube-proxy: Services on this node",
        "Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        _command(paths.binary(config, "kube-proxy"), flags),
        "Restart=always",
        "RestartSec=5",
        "LimitNOFILE=65536",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    )
    return _unit(KUBE_PROXY, body)


def drop_ins(config: NodeConfig) -> list[File]:
    """Return the drop-in for the runtime's unit, if flannel runs here."""
    if not config.flannel.enabled:
        return []
    order = ["[Unit]", f"Wants={FLANNELD}", *([f"After={FLANNELD}"] if waits_for_flannel(config) else [])]
    on_docker0 = config.runtime.kind is RuntimeKind.DOCKER and config.cni.plugin is CniPlugin.NONE
    body = _lines(*order, *(_docker_service() if on_docker0 else []))
    path = paths.drop_in(config.runtime.unit)
    # Order alone takes effect at the next boot; only docker's command line is worth a restart.
    affected = (config.runtime.unit,) if on_docker0 else ()
    return [File(path, with_header(body, advice=_ADVICE), units=affected)]


def _docker_service() -> list[str]:
    # The packages' units ignore DOCKER_NETWORK_OPTIONS, so the command is said again. A shell finds dockerd, which
    # is in /usr/bin or /usr/sbin, and `exec` leaves its process the main one.
    missing = f'echo "no {paths.DOCKER_ENV}: is flanneld up?" >&2; exit 1'
    step = f"[ $$i -le {_WAIT_SECONDS} ] || {{ {missing}; }}; sleep 1"
    wait = f"i=0; until [ -s {paths.DOCKER_ENV} ]; do i=$$((i+1)); {step}; done"
    return [
        "",
        "[Service]",
        f"EnvironmentFile=-{paths.DOCKER_ENV}",
        f"ExecStartPre=/bin/sh -c '{wait}'",
        "SyslogIdentifier=dockerd",
        "ExecStart=",
        "ExecStart=/bin/sh -c 'exec dockerd -H fd:// $$DOCKER_OPTS $$DOCKER_NETWORK_OPTIONS'",
    ]

"""D5-D8, D12, D13, D15, D24, D25: what systemd, the kernel and the runtime refuse.

Data. D6 and D7 only follow from another failure and rank behind everything else.
"""

from __future__ import annotations

from nodegate_host.rules.model import EFFECT, WARNING, Rule, rule

RULES: tuple[Rule, ...] = (
    rule(
        "D5",
        "a unit's working directory is missing",
        ("status=200/CHDIR", "Changing to the requested working directory failed"),
        r"status=200/CHDIR|Changing to the requested working directory failed",
        cause="systemd cannot change to WorkingDirectory= of the unit, which does not exist",
        remedy=(
            "mkdir -p -m 0700 /var/lib/kubelet",
            "systemctl reset-failed kubelet && systemctl start kubelet",
        ),
        doc="The guide's unit has WorkingDirectory=/var/lib/kubelet and tells twice to create it by hand. "
        "`systemctl start` itself returns 0; five starts fail within a second.",
        errata="E24",
    ),
    rule(
        "D6",
        "systemd gave up after several failed starts",
        ("Start request repeated too quickly", "start-limit-hit"),
        r"Start request repeated too quickly|start-limit-hit",
        cause="the unit failed too often in a short time, and systemd no longer tries; the first failure is the cause",
        remedy=(
            "journalctl -u UNIT -b, and look at the first failure",
            "systemctl reset-failed UNIT && systemctl start UNIT",
        ),
        doc="Restart=on-failure without RestartSec= makes five attempts within a second and then stops for good. "
        "The rendered units have RestartSec= and no start limit.",
        errata="E24",
        depth=EFFECT,
    ),
    rule(
        "D7",
        "a unit was not started because one that it requires failed",
        ("failed with result 'dependency'", "Dependency failed for"),
        r"Job (\S+?)/start failed with result 'dependency'|Dependency failed for (.+?)\.?$",
        cause="{0} was not started: a unit that it requires failed; it stays down even when that one recovers",
        remedy=(
            "start it again: systemctl start UNIT",
            "remove RequiredBy=docker.service from flanneld.service (systemctl disable flanneld, then enable it again)",
        ),
        doc="RequiredBy=docker.service in the guide's flanneld unit makes one failed start of flanneld at boot leave "
        "docker and the kubelet down for good, and a restart of flanneld restarts both.",
        depth=EFFECT,
    ),
    rule(
        "D8",
        "a file that the unit must read is missing",
        (
            "Failed to load environment files",
            "Failed to run 'start' task",
            "Result=resources",
            "with result 'resources'",
        ),
        r"Failed to load environment files: (.+)|Failed to run 'start' task: No such file"
        r"|Result=resources|[Ff]ailed with result 'resources'",
        cause="an EnvironmentFile= without a leading dash does not exist, so systemd does not even try to start",
        remedy=("create the file, or apply node.yaml: nodegate-host apply", "systemctl start UNIT"),
        doc="EnvironmentFile=/etc/sysconfig/flanneld in the guide's unit is mandatory.",
    ),
    rule(
        "D12",
        "swap is on and the kubelet refuses it",
        ("unning with swap on is not supported",),
        r"[Rr]unning with swap on is not supported",
        cause="the kubelet does not start while swap is on",
        remedy=(
            "swapoff -a, and remove swap from /etc/fstab and zram",
            "or allow it: host.swap: allow in node.yaml",
        ),
        doc="So since Kubernetes 1.8; the guide has no step for it.",
        errata="E20",
    ),
    rule(
        "D13",
        "the runtime does not speak CRI v1",
        ("unknown service runtime.v1", "validate CRI v1 runtime API"),
        r"unknown service runtime\.v1|validate CRI v1 runtime API",
        cause="the runtime's socket answers, but the CRI service is not on it",
        remedy=(
            'remove "cri" from disabled_plugins in /etc/containerd/config.toml',
            "systemctl restart containerd; a containerd before 1.6 must be updated",
        ),
        doc='Packages of containerd that come for docker ship disabled_plugins = ["cri"].',
    ),
    rule(
        "D15",
        "kube-proxy may not set conntrack limits",
        ("hashsize: ", "nf_conntrack_max: ", "conntrack parameters"),
        r"hashsize: (?:operation not supported|read-only|permission denied|no such file)"
        r"|nf_conntrack_max: permission denied|could not set conntrack parameters",
        cause="kube-proxy cannot write the kernel's conntrack limits; inside a container they are not its own",
        remedy=(
            "kubeProxy.config.conntrack: {{maxPerCore: 0, min: 0}} in node.yaml, then nodegate-host apply",
            "on a real host: modprobe nf_conntrack",
        ),
        doc="A value of 0 leaves the kernel's limits alone.",
    ),
    rule(
        "D24",
        "the kubelet looks for statistics in a cgroup that does not exist",
        ("Failed to get system container stats",),
        r'Failed to get system container stats(?:.*?for "([^"]+)")?',
        cause="--runtime-cgroups or --kubelet-cgroups names a cgroup that does not exist ({0})",
        remedy=(
            "nodegate-host apply writes runtimeCgroups and kubeletCgroups as /system.slice/NAME.service",
            "on cgroup v1 also CPUAccounting=yes and MemoryAccounting=yes in kubelet.service",
        ),
        doc="The guide's /systemd/system.slice is taken from the path of the v1 name=systemd hierarchy.",
        severity=WARNING,
        errata="E14",
    ),
    rule(
        "D25",
        "a port that the kubelet needs is taken",
        ("address already in use",),
        r"(?:listen \w+ )?\S*:(10250|10248|10255|10256|10249): bind: address already in use",
        cause="port {0} is already in use, by another kubelet (k3s, rke2, microk8s) or by an old process",
        remedy=("ss -ltnp 'sport = :{0}'", "stop that process, or remove the other installation"),
        doc="10250 is the kubelet's API, 10248 its health, 10256 and 10249 are kube-proxy's health and metrics.",
    ),
)
"""By number."""

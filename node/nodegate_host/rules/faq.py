"""D1-D4: the four cases of the guide's FAQ, and what its answers get wrong.

Data. The guide answers FAQ 1 with "an option is wrong" (which one, it leaves to the reader), FAQ 2 with the wrong one
of three causes, FAQ 3 rightly, and FAQ 4 with a reboot and the deletion of all Pods and Services, where nothing at
all is to be done.
"""

from __future__ import annotations

from nodegate_host.rules.model import INFO, Rule, rule

RULES: tuple[Rule, ...] = (
    rule(
        "D1",
        "a flag that the program does not know",
        (
            "unknown flag: --",
            "unknown shorthand flag",
            "flag provided but not defined",
            "unknown command",
            "--v Level",
            "--version version[",
            "--ersion version[",
        ),
        r"unknown flag: (--[\w-]+)|unknown shorthand flag: '.' in (-\S+)|flag provided but not defined: (-\S+)"
        r"|unknown command:? (\S+)|-v, ?--v Level|--v?ersion version\[=true\]",
        cause="the program got an argument that it does not take ({0}) and printed its usage instead of starting",
        remedy=(
            "remove or correct the argument where it is written (see the evidence)",
            "systemctl reset-failed UNIT && systemctl restart UNIT",
        ),
        doc="Only some usage dumps name the flag. Usual reasons: a flag that this release no longer has; a comment "
        "behind a value in an environment file, which becomes an argument; typographic quotes or dashes from a web "
        "page; an unclosed quote, which swallows the next line; ${ARGS} in ExecStart, which makes one word of all.",
        faq=1,
        errata="E18",
    ),
    rule(
        "D2",
        "the kubelet has no usable bootstrap kubeconfig",
        ("unable to load bootstrap kubeconfig", "part of the existing bootstrap client certificate"),
        r"unable to load bootstrap kubeconfig:? ?(stat|invalid configuration|error loading config file)?"
        r"|(part of the existing bootstrap client certificate)",
        cause="the kubelet needs a first certificate and cannot read the file that says how to get one",
        remedy=("nodegate-host rejoin --bootstrap-kubeconfig FILE",),
        doc="Three different faults read alike. 'stat …: no such file' is a missing file. 'invalid configuration: no "
        "configuration has been provided' is a file that is there and empty or without contexts. Both also come up "
        "on a node that had joined long ago, when its client certificate has expired and the bootstrap file is gone. "
        "Copying an administrator's ~/.kube/config here, as the guide proposes, gives every node the whole cluster.",
        faq=2,
        errata="E19",
    ),
    rule(
        "D3",
        "kubelet and container runtime use different cgroup drivers",
        ("cgroup driver: ",),
        r"cgroup driver: \"?'?(\w+)'?\"? is different from docker cgroup driver: \"?'?(\w+)",
        cause="the kubelet uses the cgroup driver {0}, docker uses {1}",
        remedy=(
            "set runtime.cgroupDriver once in node.yaml and apply it: nodegate-host apply",
            "by hand: cgroupDriver in the kubelet's config, native.cgroupdriver in docker's exec-opts, equal",
        ),
        doc="Which of the two drivers matters little, that they are equal does; systemd is the better one on a host "
        "that systemd runs. The value must not carry quotes of its own.",
        faq=3,
        errata="E15",
    ),
    rule(
        "D3b",
        "Pods are restarted over and over because their cgroups are mixed",
        ("SandboxChanged", "Pod sandbox changed", "expected cgroupsPath to be of format"),
        r"SandboxChanged|Pod sandbox changed, it will be killed|expected cgroupsPath to be of format",
        cause="sandboxes are killed and made anew; with containerd a different cgroup driver in kubelet and runtime "
        "does this, hours after both started without a complaint",
        remedy=(
            "nodegate-host preflight --only rt.cgroup",
            "set SystemdCgroup of every runc runtime in containerd's config to what the kubelet has",
        ),
        doc="dockershim compared the drivers and refused to start; the CRI does not, so a mismatch shows only later.",
        severity="warning",
        faq=3,
    ),
    rule(
        "D4",
        "a mount that the kubelet had seen is gone; harmless",
        ("Stat fs failed", "partition mountpoint does not exist"),
        r"Stat fs failed|partition mountpoint does not exist",
        cause="a file system that was mounted when the kubelet started is no longer there, so measuring it fails",
        remedy=(
            "nothing is to be done: Pods and Services are not affected, do not reboot and do not delete anything",
            "to silence the line: systemctl restart kubelet",
        ),
        doc="The guide answers with a reboot and the deletion of all Pods and Services. The line comes from the "
        "statistics code of Kubernetes up to 1.9, which logged a vanished mount as an error.",
        severity=INFO,
        faq=4,
        errata="E17",
    ),
)
"""In the order of the FAQ."""

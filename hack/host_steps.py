"""The guide's steps on a node, S1 to S76: what each asks for, where it is met, and what proves it.

Data only. `code` is ``file:function`` below node/nodegate_host, `tests` below tests/unit/host; what a check or an
answer of ``verify`` meets says so itself and is not repeated here.
"""

from collections.abc import Mapping
from typing import NamedTuple

LAST = 76
"""The number of the last step."""


class Step(NamedTuple):
    """One step; `remark` says why nothing meets it, or what is done in its place."""

    demand: str
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    remark: str = ""


_FLANNELD = ("render/units.py:flanneld",)
_KUBELET = ("render/units.py:kubelet",)
_PROXY = ("render/units.py:kube_proxy",)
_KUBELET_CONFIG = ("render/kubelet.py:configuration",)
_PROXY_CONFIG = ("render/proxy.py:configuration",)
_LEASE = ("render/flannel.py:lease_script",)
_FLANNEL_ENV = ("render/flannel.py:env_file",)
_ORDER = ("test_render_files.py:test_units_start_in_order_and_restart_what_they_must",)
_GOLDEN = ("test_render_files.py:test_every_case_renders_as_its_golden_file",)
_VARIABLES = ("test_render_programs.py:test_every_variable_of_a_unit_is_defined",)
_ALIKE = ("test_render_files.py:test_name_address_and_ranges_are_said_alike_everywhere",)
_HIT = ("test_diagnose.py:test_a_rule_hits_its_line",)
_STARTED = ("engine/test_apply.py:test_a_fresh_host_gets_files_and_running_units",)
_OPERATOR = "the operator's: a FlannelNetwork writes it"
_BY_OPERATOR = "the operator's: NodeEnrollment and its tokens"

STEPS: Mapping[int, Step] = {
    1: Step("flanneld, docker, kubelet and kube-proxy", ("render/__init__.py:render",), _GOLDEN),
    2: Step("flannel on every node", _FLANNELD, _GOLDEN, "a control plane without Pods needs no node.yaml"),
    3: Step("flannel, docker, then kubelet and kube-proxy", ("engine/order.py:start",), _ORDER),
    4: Step("flannel asks etcd by TLS", _FLANNEL_ENV, _GOLDEN),
    5: Step(
        "flannel as a package, 0.7.1", _FLANNELD, _GOLDEN, "any flanneld in kubernetes.binDir; the program is given"
    ),
    6: Step("unit in /usr/lib/systemd/system", _FLANNELD, _GOLDEN, "in /etc/systemd/system on purpose (E3)"),
    7: Step("after network and etcd, before docker", _FLANNELD, _ORDER),
    8: Step("Type=notify", _FLANNELD, _GOLDEN),
    9: Step("the environment file must exist", _FLANNELD, _VARIABLES),
    10: Step("braces make one word, a bare variable many", _FLANNELD, _VARIABLES),
    11: Step(
        "mk-docker-opts.sh after the start", _LEASE, ("test_render_lease.py:test_docker_gets_the_options_of_the_lease",)
    ),
    12: Step("Restart=on-failure", _FLANNELD, _ORDER, "Restart=always with RestartSec on purpose (E24)"),
    13: Step(
        "RequiredBy=docker.service",
        _FLANNELD,
        ("test_render_files.py:test_a_failure_of_flannel_pulls_nothing_down",),
        "refused on purpose: one failed start would hold docker and kubelet down; a drop-in waits instead",
    ),
    14: Step("endpoints, prefix and options in three keys", _FLANNEL_ENV, _GOLDEN),
    15: Step("CA, certificate and key of etcd", _FLANNEL_ENV, _GOLDEN),
    16: Step("-iface with several interfaces", ("render/flannel.py:options",), _GOLDEN),
    17: Step("the network's configuration is in etcd first", remark=_OPERATOR),
    18: Step("every call to etcd has endpoints, CA, certificate, key", ("render/flannel.py:options",), _GOLDEN),
    19: Step("/var/lib/kubelet exists before the start", _KUBELET, _GOLDEN),
    20: Step("daemon-reload, enable, start, status", ("engine/apply.py:Apply",), _STARTED),
    21: Step("etcd lists the leases"),
    22: Step("the configuration reads back as written"),
    23: Step("a lease has address, type and MAC"),
    24: Step("the lease's address and MAC are this node's"),
    25: Step(
        "docker reads /run/flannel/docker",
        ("render/units.py:drop_ins",),
        ("test_render_programs.py:test_docker_is_started_with_the_options_of_the_lease",),
    ),
    26: Step(
        "the file has bip, ip-masq and mtu", _LEASE, ("test_render_lease.py:test_docker_gets_the_options_of_the_lease",)
    ),
    27: Step("docker 17.12.0-ce", remark="any runtime that the Kubernetes version takes"),
    28: Step("a binding for the bootstrap user", remark=f"{_BY_OPERATOR}; here it is only asked whether it holds"),
    29: Step(
        "kubelet and kube-proxy in /usr/local/bin", remark="the programs are given; a replaced one restarts its unit"
    ),
    30: Step("the kubelet's unit", _KUBELET, _GOLDEN),
    31: Step(
        "After= and Requires=docker.service",
        _KUBELET,
        _ORDER,
        "Wants= on purpose: a failing runtime does not bar the kubelet",
    ),
    32: Step(
        "WorkingDirectory=/var/lib/kubelet",
        _KUBELET,
        _GOLDEN,
        "made before the start instead; diagnose knows 200/CHDIR (D5)",
    ),
    33: Step(
        "environment files for the kubelet",
        _KUBELET,
        _GOLDEN,
        "refused on purpose: a configuration file has no quoting (E18)",
    ),
    34: Step("nine variables make the command", _KUBELET, _GOLDEN, "the command stands in the unit (E26)"),
    35: Step("Restart=on-failure, WantedBy=multi-user", _KUBELET, _ORDER, "Restart=always on purpose (E24)"),
    36: Step("--address is the node's", ("render/kubelet.py:flags",), _ALIKE, "--node-ip in its place (E23)"),
    37: Step("--hostname-override", ("render/kubelet.py:flags",), _ALIKE),
    38: Step(
        "a private pause image",
        ("render/runtimes.py:_format_2",),
        ("test_render_files.py:test_containerd_gets_its_format",),
        "runtime.sandboxImage",
    ),
    39: Step("driver, DNS, kubeconfigs, certificates, domain, hairpin", _KUBELET_CONFIG, _GOLDEN),
    40: Step(
        "--runtime-cgroups and --kubelet-cgroups",
        ("render/kubelet.py:_runtime_flags",),
        _GOLDEN,
        "the right path (E14)",
    ),
    41: Step("the address is not 127.0.0.1"),
    42: Step("kube-proxy has the kubelet's name", ("render/kubelet.py:flags",), _ALIKE),
    43: Step("one cgroup driver for both", _KUBELET_CONFIG, _GOLDEN),
    44: Step(
        "the bootstrap kubeconfig has user and token",
        ("render/kubelet.py:bootstrap_kubeconfig",),
        ("test_render_files.py:test_the_token_becomes_a_kubeconfig",),
    ),
    45: Step(
        "the kubelet writes key, certificate and kubeconfig",
        ("engine/joining.py:stage_of",),
        ("engine/test_joining.py:test_the_first_stage_that_is_not_done",),
    ),
    46: Step(
        "the API server stands in the kubeconfig",
        ("render/kubelet.py:bootstrap_kubeconfig",),
        ("test_render_files.py:test_the_token_becomes_a_kubeconfig",),
    ),
    47: Step("DNS is a Service address", _KUBELET_CONFIG, _GOLDEN),
    48: Step("DNS and domain only together", _KUBELET_CONFIG, _GOLDEN),
    49: Step(
        "no dot at the domain's end",
        ("guide/convert.py:convert",),
        ("test_guide.py:test_takes_the_dot_off_the_domain_and_says_so",),
    ),
    50: Step("no kubeconfig before the first start"),
    51: Step("one kubeconfig for all nodes", remark="refused on purpose (E5)"),
    52: Step("the pause image can be had"),
    53: Step("make /var/lib/kubelet", _KUBELET, _GOLDEN),
    54: Step("reload, enable, start the kubelet", ("engine/order.py:start",), _STARTED),
    55: Step(
        "the Node appears after the approval",
        ("engine/joining.py:stage_of",),
        ("engine/test_joining.py:test_the_first_stage_that_is_not_done",),
    ),
    56: Step(
        "requests go from Pending to Approved,Issued",
        ("engine/joining.py:look",),
        ("engine/test_joining.py:test_a_requests_state_is_read",),
        f"approving is {_BY_OPERATOR}",
    ),
    57: Step("modes of the files that the join leaves"),
    58: Step("a restart rejoins without a request"),
    59: Step(
        "the identity is kept",
        ("engine/reset.py:Reset",),
        ("engine/test_reset.py:test_identity_and_data_stay_unless_asked_for",),
    ),
    60: Step(
        "copy the admin's kubeconfig when certificates fail",
        ("engine/rejoining.py:read_bootstrap",),
        ("engine/test_rejoining.py:test_an_administrators_kubeconfig_is_refused",),
        "refused on purpose; rejoin in its place",
    ),
    61: Step("install conntrack"),
    62: Step("kube-proxy's unit", _PROXY, _ORDER),
    63: Step(
        "bind-address, name, kubeconfig, cluster-cidr",
        _PROXY_CONFIG,
        _ALIKE,
        "bind-address binds nothing and is left out (E27)",
    ),
    64: Step("kube-proxy's name equals the kubelet's", _PROXY_CONFIG, _ALIKE),
    65: Step("cluster-cidr tells inside from outside", _PROXY_CONFIG, _ALIKE),
    66: Step(
        "kube-proxy's kubeconfig has server and credential",
        ("render/__init__.py:_identity",),
        ("test_render_files.py:test_secrets_are_closed_and_everything_else_is_readable",),
    ),
    67: Step("rights of system:kube-proxy", remark="the cluster's own binding system:node-proxier (E4)"),
    68: Step("reload, enable, start kube-proxy", ("engine/order.py:start",), _STARTED),
    69: Step("two replicas and a NodePort Service", remark="a test of the whole cluster, not of one host"),
    70: Step("curl to the ClusterIP answers", remark="a test of the whole cluster; ask every endpoint (E6)"),
    71: Step("every node answers on the NodePort", remark="a test of the whole cluster, not of one host"),
    72: Step(
        "FAQ 1: usage in the journal",
        ("rules/faq.py:RULES",),
        ("test_diagnose_refined.py:test_faq_1_names_file_line_and_the_release_that_removed_the_flag",),
    ),
    73: Step(
        "FAQ 2: no bootstrap kubeconfig",
        ("rules/faq.py:RULES",),
        ("test_diagnose_refined.py:test_faq_2_tells_its_three_faults_apart",),
    ),
    74: Step(
        "FAQ 3: two cgroup drivers", ("rules/faq.py:RULES",), ("test_diagnose_refined.py:test_faq_3_names_both_places",)
    ),
    75: Step(
        "FAQ 4: Stat fs failed",
        ("rules/faq.py:RULES",),
        ("test_diagnose.py:test_faq_4_asks_for_nothing_to_be_restarted_or_deleted",),
    ),
    76: Step("logs are in the journal", ("rules/journal.py:command",), _HIT),
}
"""Every step, by its number."""

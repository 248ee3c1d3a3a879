"""What kubelet, kube-proxy and containerd understand in which version: Kubernetes 1.20 to 1.37.

Numbers are minors of Kubernetes 1. A kubelet that meets an unknown flag does not start; an unknown field of its
configuration it ignores, but for a line in its log (measured with 1.37.2), so what was meant does not happen. Both
are refused before anything is written. Sources: the release notes and the published ``k8s.io/kubelet`` and
``k8s.io/kube-proxy`` types.
"""

from __future__ import annotations

import difflib

from nodegate_host import flags
from nodegate_host.model import Version

OLDEST = 20
NEWEST = 37
"""Minors of Kubernetes that can be rendered."""

_ALWAYS = """enableServer staticPodPath syncFrequency fileCheckFrequency httpCheckFrequency staticPodURL
staticPodURLHeader address port readOnlyPort tlsCertFile tlsPrivateKeyFile tlsCipherSuites tlsMinVersion
rotateCertificates serverTLSBootstrap authentication authorization registryPullQPS registryBurst eventRecordQPS
eventBurst enableDebuggingHandlers enableContentionProfiling healthzPort healthzBindAddress oomScoreAdj clusterDomain
clusterDNS streamingConnectionIdleTimeout nodeStatusUpdateFrequency nodeStatusReportFrequency nodeLeaseDurationSeconds
imageMinimumGCAge imageGCHighThresholdPercent imageGCLowThresholdPercent volumeStatsAggPeriod kubeletCgroups
systemCgroups cgroupRoot cgroupsPerQOS cgroupDriver cpuManagerPolicy cpuManagerReconcilePeriod topologyManagerPolicy
topologyManagerScope qosReserved runtimeRequestTimeout hairpinMode maxPods podCIDR podPidsLimit resolvConf runOnce
cpuCFSQuota cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles contentType kubeAPIQPS kubeAPIBurst serializeImagePulls
evictionHard evictionSoft evictionSoftGracePeriod evictionPressureTransitionPeriod evictionMaxPodGracePeriod
evictionMinimumReclaim podsPerCore enableControllerAttachDetach protectKernelDefaults makeIPTablesUtilChains
iptablesMasqueradeBit iptablesDropBit featureGates failSwapOn containerLogMaxSize containerLogMaxFiles
configMapAndSecretChangeDetectionStrategy systemReserved kubeReserved reservedSystemCPUs showHiddenMetricsForVersion
systemReservedCgroup kubeReservedCgroup enforceNodeAllocatable allowedUnsafeSysctls volumePluginDir providerID
kernelMemcgNotification logging enableSystemLogHandler shutdownGracePeriod shutdownGracePeriodCriticalPods"""

KUBELET_FIELDS: dict[str, int] = {
    **dict.fromkeys(_ALWAYS.split(), OLDEST),
    "enableProfilingHandler": 21,
    "enableDebugFlagsHandler": 21,
    "memoryManagerPolicy": 21,
    "reservedMemory": 21,
    "cpuManagerPolicyOptions": 22,
    "memorySwap": 22,
    "memoryThrottlingFactor": 22,
    "seccompDefault": 22,
    "registerNode": 23,
    "registerWithTaints": 23,
    "shutdownGracePeriodByPodPriority": 23,
    "localStorageCapacityIsolation": 25,
    "tracing": 25,
    "topologyManagerPolicyOptions": 26,
    "containerRuntimeEndpoint": 27,
    "enableSystemLogQuery": 27,
    "imageServiceEndpoint": 27,
    "maxParallelImagePulls": 27,
    "imageMaximumGCAge": 29,
    "containerLogMaxWorkers": 30,
    "containerLogMonitorInterval": 30,
    "podLogsDir": 30,
    "failCgroupV1": 31,
    "crashLoopBackOff": 32,
    "mergeDefaultEvictionSettings": 32,
    "singleProcessOOMKill": 32,
    "imagePullCredentialsVerificationPolicy": 33,
    "preloadedImagesVerificationAllowlist": 33,
    "userNamespaces": 33,
    "memoryReservationPolicy": 36,
    "tlsCurvePreferences": 36,
    "defaultPodSysctls": 37,
}
"""Field of KubeletConfiguration (v1beta1) → the first minor that has it."""

_PROXY_ALWAYS = """featureGates bindAddress healthzBindAddress metricsBindAddress bindAddressHardFail enableProfiling
clusterCIDR hostnameOverride clientConnection iptables ipvs oomScoreAdj mode portRange conntrack configSyncPeriod
nodePortAddresses winkernel showHiddenMetricsForVersion detectLocalMode"""

PROXY_FIELDS: dict[str, int] = {
    **dict.fromkeys(_PROXY_ALWAYS.split(), OLDEST),
    "detectLocal": 23,
    "logging": 27,
    "nftables": 29,
    "windowsRunAsService": 34,
}
"""Field of KubeProxyConfiguration (v1alpha1) → the first minor that has it."""

PROXY_FIELDS_REMOVED: dict[str, tuple[int, str]] = {"udpIdleTimeout": (26, "it belonged to the userspace mode")}
"""Field → the minor of its removal and why it went."""


def is_supported(version: Version) -> bool:
    """Whether node files can be rendered for this Kubernetes."""
    return version.major == 1 and OLDEST <= version.minor <= NEWEST


def flag_problem(program: str, flag: str, version: Version) -> str | None:
    """Return why `program` (kubelet, kube-proxy) of `version` does not start with ``--name[=value]``, or None."""
    gone = flags.removal(program, flag)
    if gone is None or version.release < gone.since:
        return None
    name = flag.split("=", 1)[0]
    return (
        f"{name} was removed from {program} {gone.release}, and {program} {version.text} would not start with it; "
        f"instead: {gone.instead}"
    )


def suggestion(word: str, known: list[str]) -> str:
    """Return ``; did you mean X?`` when a known word is close, or the empty string."""
    # The comparison ignores case: clusterDns for clusterDNS is the commonest slip.
    lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    return f"; did you mean {lower[close[0]]}?" if close else ""


def _field_problem(field: str, version: Version, fields: dict[str, int], kind: str) -> str | None:
    if field not in fields:
        return f"expected a field of {kind}, found {field}{suggestion(field, list(fields))}"
    if version.minor < fields[field]:
        return f"{kind} has {field} since 1.{fields[field]}, and {version.text} would ignore it; remove it"
    return None


def kubelet_field_problem(field: str, version: Version) -> str | None:
    """Return why a kubelet of `version` refuses this field of its configuration, or None."""
    return _field_problem(field, version, KUBELET_FIELDS, "KubeletConfiguration")


def proxy_field_problem(field: str, version: Version) -> str | None:
    """Return why a kube-proxy of `version` refuses this field of its configuration, or None."""
    if field in PROXY_FIELDS_REMOVED and version.minor >= PROXY_FIELDS_REMOVED[field][0]:
        minor, why = PROXY_FIELDS_REMOVED[field]
        return f"{field} was removed from KubeProxyConfiguration in 1.{minor}: {why}; remove it"
    known = {**PROXY_FIELDS, **dict.fromkeys(PROXY_FIELDS_REMOVED, OLDEST)}
    return _field_problem(field, version, known, "KubeProxyConfiguration")


def containerd_config_version(version: Version | None) -> int:
    """Return the format of containerd's configuration: 2 (before 2.1, and when unknown), 3 (2.1), 4 (2.3 and newer).

    2.0 has format 3 too, but calls the plugins' directory by a name that 2.4 no longer takes over (measured), while
    every release takes over format 2.
    """
    if version is None or version.release < (2, 1):
        return 2
    return 4 if version.release >= (2, 3) else 3


_CONTAINERD_FOR: dict[int, tuple[Version, ...]] = {
    35: (Version(1, 7, 28), Version(2, 1, 5), Version(2, 2)),
    36: (Version(2, 2), Version(2, 3)),
    37: (Version(2, 2), Version(2, 3)),
}
"""Minor of Kubernetes → the oldest patch of each containerd release that supports it; newer releases do as well."""


def containerd_problem(kubernetes: Version, containerd: Version) -> str | None:
    """Return why this containerd does not serve this Kubernetes, or None (also when no rule is known)."""
    oldest = _CONTAINERD_FOR.get(kubernetes.minor, ())
    if not oldest or containerd.release > oldest[-1].release:
        return None
    if any(containerd.release == each.release and containerd >= each for each in oldest):
        return None
    wanted = " or ".join(each.text for each in oldest)
    return (
        f"Kubernetes {kubernetes.text} wants containerd {wanted} or newer, found {containerd.text}; upgrade containerd"
    )

"""Tables of what exists when, and of labels that a kubelet may set."""

import pytest

from nodegate_host import labels, versions
from nodegate_host.flags import KUBELET
from nodegate_host.model import Version


@pytest.mark.parametrize(
    ("key", "own"),
    [
        ("zone", True),
        ("example.com/rack", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/instance-type", True),
        ("node.kubernetes.io/anything", True),
        ("team.node.kubernetes.io/x", True),
        ("kubelet.kubernetes.io/x", True),
        ("a.kubelet.kubernetes.io/x", True),
        ("kubernetes.io/role", False),
        ("k8s.io/x", False),
        ("a.k8s.io/x", False),
        ("node-role.kubernetes.io/worker", False),
        ("node-restriction.kubernetes.io/x", False),
        ("notnode.kubernetes.io/x", False),
        ("mykubernetes.io/x", True),
    ],
)
def test_a_kubelet_may_set_its_own_labels_only(key: str, *, own: bool) -> None:
    """NodeRestriction's rule: under the Kubernetes domains only the listed keys and the two open prefixes."""
    assert labels.is_own(key) is own
    assert (labels.restriction_problem(key) is None) is own


@pytest.mark.parametrize("key", ["a", "a/b", "A.b_c-d", "a" * 63, "a" * 250 + ".bc/x"])
def test_label_keys_are_read_as_kubernetes_reads_them(key: str) -> None:
    """A name of at most 63, before it at most a DNS name and a slash."""
    assert labels.key_problem(key) is None


@pytest.mark.parametrize("key", ["", "-a", "a/b/c", "A/b", "/a", "a" * 64, "a" * 254 + "/x", "a b"])
def test_other_label_keys_are_refused(key: str) -> None:
    """Whatever the API server would refuse is refused here."""
    assert "expected a label key" in str(labels.key_problem(key))


@pytest.mark.parametrize("flag", KUBELET)
def test_a_removed_flag_is_refused_from_its_release_on(flag: str) -> None:
    """The release before still takes it; the release of the removal does not, and says what to do."""
    major, minor = KUBELET[flag].since

    assert versions.flag_problem("kubelet", f"{flag}=x", Version(major, minor - 1, 99)) is None
    told = versions.flag_problem("kubelet", f"{flag}=x", Version(major, minor, 0))
    assert told is not None
    assert told.startswith(f"{flag} was removed from kubelet 1.{minor}")
    assert KUBELET[flag].instead in told


@pytest.mark.parametrize(
    ("field", "minor"), [(f, m) for f, m in versions.KUBELET_FIELDS.items() if m > versions.OLDEST]
)
def test_a_new_field_is_refused_before_its_release(field: str, minor: int) -> None:
    """The release before would ignore it."""
    assert versions.kubelet_field_problem(field, Version(1, minor, 0)) is None
    assert f"since 1.{minor}" in str(versions.kubelet_field_problem(field, Version(1, minor - 1, 9)))


def test_a_removed_proxy_field_is_refused() -> None:
    """The field of the userspace mode is known up to 1.25."""
    assert versions.proxy_field_problem("udpIdleTimeout", Version(1, 25, 0)) is None
    assert "removed from KubeProxyConfiguration in 1.26" in str(
        versions.proxy_field_problem("udpIdleTimeout", Version(1, 26, 0))
    )


@pytest.mark.parametrize(
    ("kubernetes", "containerd", "good"),
    [
        ("1.34.0", "1.6.0", True),
        ("1.35.0", "1.7.27", False),
        ("1.35.0", "1.7.28", True),
        ("1.35.0", "2.0.9", False),
        ("1.35.0", "2.1.4", False),
        ("1.35.0", "2.1.5", True),
        ("1.35.0", "2.2.0", True),
        ("1.36.0", "1.7.99", False),
        ("1.36.0", "2.1.9", False),
        ("1.36.0", "2.2.0", True),
        ("1.37.0", "2.4.2", True),
    ],
)
def test_containerd_must_be_new_enough(kubernetes: str, containerd: str, *, good: bool) -> None:
    """The release table of containerd: patches of old lines count, newer lines always do."""
    pair = [Version(*map(int, text.split("."))) for text in (kubernetes, containerd)]

    assert (versions.containerd_problem(pair[0], pair[1]) is None) is good


@pytest.mark.parametrize(
    ("containerd", "form"),
    [(None, 2), ("1.6.0", 2), ("2.0.9", 2), ("2.1.0", 3), ("2.2.9", 3), ("2.3.0", 4), ("3.0.0", 4)],
)
def test_the_configuration_has_the_format_of_the_release(containerd: str | None, form: int) -> None:
    """The newest format that the release reads whole."""
    version = Version(*map(int, containerd.split("."))) if containerd else None

    assert versions.containerd_config_version(version) == form


@pytest.mark.parametrize(
    ("word", "meant"),
    [("clusterDns", "clusterDNS"), ("maxpods", "maxPods"), ("evictionHart", "evictionHard"), ("zzz", "")],
)
def test_a_slip_is_answered_by_what_was_meant(word: str, meant: str) -> None:
    """Close words are proposed, case does not count, and nothing is proposed for what is like nothing."""
    told = str(versions.kubelet_field_problem(word, Version(1, 36, 0)))

    assert told.endswith(f"; did you mean {meant}?") if meant else "did you mean" not in told

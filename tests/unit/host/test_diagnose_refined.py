"""What the host's files add: the line of a flag, FAQ 2's three faults, the drivers' places."""

import pytest

from nodegate_host import envfile
from nodegate_host.facts.model import Certificate, CgroupSetting, EnvironmentFile, Kubeconfig, UnitFact
from nodegate_host.model import Version
from nodegate_host.rules.engine import diagnose
from nodegate_host.rules.model import Cause, Line
from nodegate_host.rules.refine import Known, refiner
from nodegate_host.unitfile import Argument, Source

_FILE = "/etc/kubernetes/kubelet"
_MISSING = "unable to load bootstrap kubeconfig: stat /etc/kubernetes/bootstrap.kubeconfig: no such file or directory"
_EMPTY = "unable to load bootstrap kubeconfig: invalid configuration: no configuration has been provided"
_PATH = "/etc/kubernetes/bootstrap.kubeconfig"


def _unit(*arguments: str) -> dict[str, UnitFact]:
    command = (
        Argument("/usr/local/bin/kubelet", Source("u", 1)),
        *(Argument(each, Source(_FILE, 4)) for each in arguments),
    )
    return {"kubelet.service": UnitFact("kubelet.service", fragment="u", command=command)}


def _cause(message: str, known: Known, unit: str = "kubelet") -> Cause:
    return diagnose([Line(1, message, unit)], refiner(known)).causes[0]


def test_faq_1_names_file_line_and_the_release_that_removed_the_flag() -> None:
    """The kubelet names a flag; the cause names where it is written and what replaces it."""
    known = Known(units=_unit("--allow-privileged=true", "--v=2"))

    cause = _cause("unknown flag: --allow-privileged", known)

    assert (cause.evidence[0].file, cause.evidence[0].line) == (_FILE, 4)
    assert "removed in Kubernetes 1.15" in cause.cause
    assert cause.remedy[0].startswith("delete --allow-privileged")


def test_faq_1_finds_the_flag_behind_a_bare_usage_dump() -> None:
    """The journal holds only the usage; the flag that this version lost is found on the command line."""
    known = Known(
        units=_unit("--cgroup-driver=systemd", "--network-plugin=cni"), versions={"kubelet": Version(1, 24, 1)}
    )

    cause = _cause("-v,--v Level", known)

    assert cause.evidence[0].text == "--network-plugin=cni"
    assert "--network-plugin was removed in Kubernetes 1.24" in cause.cause


def test_faq_1_finds_nothing_removed_in_an_older_version() -> None:
    """A flag that this version still has is not blamed."""
    known = Known(units=_unit("--network-plugin=cni"), versions={"kubelet": Version(1, 23, 1)})

    assert "removed" not in _cause("-v,--v Level", known).cause


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('KUBELET_ARGS="--v=2" # note\n', "text after #"),
        ('KUBELET_ARGS="--v=2\nKUBE_X="y"\n', "closing quote"),
        ("KUBELET_ARGS=\u201c--v=2\u201d\n", "typographic"),
        ("export KUBELET_ARGS=--v=2\n", "export"),
        ("KUBELET_ARGS=--name=${H}\n", "stays as it is"),
    ],
)
def test_faq_1_names_the_mistake_in_the_environment_file(text: str, part: str) -> None:
    """Each mistake of E18 behind a usage dump is told with file and line."""
    known = Known(environment_files=(EnvironmentFile(_FILE, envfile.lint(text)),))

    cause = _cause("      --version version[=true]   Print version information and quit", known)

    assert any(each.file == _FILE and each.line == 1 and part in each.text for each in cause.evidence)


@pytest.mark.parametrize(
    ("message", "known", "identifier"),
    [
        (_MISSING, Known(bootstrap=Kubeconfig(_PATH, "missing")), "D2a"),
        (_EMPTY, Known(bootstrap=Kubeconfig(_PATH, "empty", "the file is empty")), "D2b"),
        (
            _EMPTY,
            Known(
                bootstrap=Kubeconfig(_PATH, "missing"),
                kubelet=Kubeconfig("/k", "usable", certificate=Certificate("/c", not_after=10.0)),
                now=11.0,
            ),
            "D2c",
        ),
        ("part of the existing bootstrap client certificate in /k is expired", Known(), "D2c"),
    ],
)
def test_faq_2_tells_its_three_faults_apart(message: str, known: Known, identifier: str) -> None:
    """Missing, empty, and an expired certificate are three findings with one remedy, which is no admin's file."""
    cause = _cause(message, known)

    assert cause.id == identifier
    assert cause.remedy == ("nodegate-host rejoin --bootstrap-kubeconfig FILE",)


def test_faq_2_does_not_call_a_valid_certificate_expired() -> None:
    """With a certificate that is still good, the text decides."""
    kubelet = Kubeconfig("/k", "usable", certificate=Certificate("/c", not_after=12.0))

    assert _cause(_EMPTY, Known(bootstrap=Kubeconfig(_PATH, "empty"), kubelet=kubelet, now=11.0)).id == "D2b"


def test_faq_3_names_both_places() -> None:
    """The kubelet's flag and the runtime's setting are told with their files."""
    known = Known(
        units=_unit("--cgroup-driver=systemd"),
        cgroups=(CgroupSetting("cgroupfs", "/etc/docker/daemon.json", 0, "docker"),),
    )

    cause = _cause('kubelet cgroup driver: "systemd" is different from docker cgroup driver: "cgroupfs"', known)

    assert [str(each) for each in cause.evidence[:2]] == [
        f"{_FILE}:4: --cgroup-driver=systemd",
        "/etc/docker/daemon.json: docker: cgroupfs",
    ]


def test_a_missing_environment_file_is_named() -> None:
    """The journal does not say which file it could not read; the unit does."""
    unit = UnitFact(
        "flanneld.service",
        missing_environment=(("/etc/sysconfig/flanneld", "/usr/lib/systemd/system/flanneld.service:9"),),
    )

    cause = _cause(
        "flanneld.service: Failed with result 'resources'.", Known(units={"flanneld.service": unit}), "flanneld"
    )

    assert cause.evidence[0].line == 9
    assert "/etc/sysconfig/flanneld" in cause.evidence[0].text

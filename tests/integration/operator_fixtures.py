"""Fixtures of the operator's integration tests.

The session's control plane comes in; operators that run with exactly the shipped rights leave. Rules: the base
is applied as people apply it (its Deployment has no kubelet to run on and stays pending), the operator has a
token of its ServiceAccount and no other credentials; when an operator is done with, its whole log must be one
JSON object a line, without a traceback and without the secret half of any token.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.kubeconfig import read_kubeconfig
from hack.operator_process import OperatorProcess
from tests.integration.lab import Lab, log_lines

BASE = Path(__file__).parents[2] / "manifests" / "base"
COMPONENTS = BASE.parent / "components"
APPLY = ("apply", "--server-side", "--force-conflicts")
RELIST = ("--relist-seconds", "10")

Start = Callable[..., Lab]
"""Starts one operator more: ``start(*flags, kubeconfig=..., environment=..., ready=True)``."""


def install(cluster: Cluster) -> Path:
    """Apply the base and return a kubeconfig with a token of the operator's ServiceAccount."""
    cluster.kubectl(*APPLY, "-k", str(BASE))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/nodeenrollments.nodegate.dev")
    return cluster.service_account_kubeconfig("nodegate-system", "nodegate")


@contextmanager
def component(cluster: Cluster, name: str) -> Iterator[None]:
    """Apply the objects of a kustomize component beside the base, and take them away afterwards."""
    files = [str(path) for path in sorted((COMPONENTS / name).glob("[0-9]*.yaml"))]
    for file in files:
        cluster.kubectl(*APPLY, "-f", file)
    try:
        yield
    finally:
        for file in files:
            cluster.kubectl("delete", "--ignore-not-found", "-f", file)


@pytest.fixture(scope="session")
def account(cluster: Cluster) -> Path:
    """Return the operator's kubeconfig, once the base is applied."""
    return install(cluster)


def check_log(text: str, secrets: Sequence[str]) -> None:
    """Check what holds for every log of the operator."""
    list(log_lines(text))
    assert "Traceback" not in text
    assert "Task exception was never retrieved" not in text
    assert not [secret for secret in secrets if secret in text], "a token's secret half is in the log"
    assert not re.search(r"PRIVATE KEY", text)


def new_lab(cluster: Cluster, kubeconfig: Path, folder: Path, flags: Sequence[str] = RELIST) -> Lab:
    """Return a lab whose operator is not started yet."""
    return Lab(cluster, OperatorProcess(kubeconfig, folder, flags))


def finish(lab: Lab, kubeconfig: Path) -> None:
    """Stop the operator, clean the cluster and check the log."""
    lab.operator.stop()
    lab.clean()
    check_log(lab.operator.log_text(), [*lab.secrets, read_kubeconfig(kubeconfig).token or "no token"])


@contextmanager
def running(cluster: Cluster, kubeconfig: Path, folder: Path, flags: Sequence[str] = RELIST) -> Iterator[Lab]:
    """Have a clean lab with its operator ready; everything is cleaned up and its log checked afterwards."""
    lab = new_lab(cluster, kubeconfig, folder, flags)
    lab.clean()
    lab.operator.start()
    lab.operator.wait_ready()
    try:
        yield lab
    finally:
        finish(lab, kubeconfig)


@pytest.fixture(scope="module")
def shared_lab(
    request: pytest.FixtureRequest, cluster: Cluster, account: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """Yield a lab for a whole module; its `OPERATOR_FLAGS`, if it has any, go to the operator."""
    flags = (*RELIST, *getattr(request.module, "OPERATOR_FLAGS", ()))
    with running(cluster, account, tmp_path_factory.mktemp("operator"), flags) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """Yield the module's lab, cleaned afterwards."""
    yield shared_lab
    shared_lab.clean()


@pytest.fixture
def own_lab(cluster: Cluster, account: Path, tmp_path: Path) -> Iterator[Lab]:
    """Yield a lab with an operator of its own, for tests that stop or starve it."""
    with running(cluster, account, tmp_path) as lab:
        yield lab


@pytest.fixture
def start(cluster: Cluster, account: Path, tmp_path: Path) -> Iterator[Start]:
    """Yield what starts an operator in any way, whose log is checked as everyone's."""
    labs: list[Lab] = []

    def begin(
        *flags: str,
        kubeconfig: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> Lab:
        process = OperatorProcess(kubeconfig or account, tmp_path / str(len(labs)), (*RELIST, *flags), environment)
        labs.append(Lab(cluster, process))
        process.start()
        if ready:
            process.wait_ready()
        return labs[-1]

    try:
        yield begin
    finally:
        for lab in labs:
            finish(lab, account)

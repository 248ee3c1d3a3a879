"""The Dockerfile, the project and the Deployment speak of one version, and the two stages of one Python."""

import json
import re
import tomllib

from tests.manifests.shipped import ROOT, base_objects

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def test_one_version() -> None:
    """The image is built from the wheel of this version, and the Deployment runs that image."""
    assert set(re.findall(r"^ARG VERSION=(.+)$", DOCKERFILE, re.MULTILINE)) == {_version()}
    (deployment,) = base_objects("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"nodegate:{_version()}"


def test_both_stages_carry_the_same_python() -> None:
    """Debian 12 ships Python 3.11; extensions that were installed for another minor version would not load."""
    images = re.findall(r"^FROM (\S+?)\$\{", DOCKERFILE, re.MULTILINE)
    assert images == ["python:3.11-slim-bookworm", "gcr.io/distroless/python3-debian12:nonroot"]


def test_dependencies_are_installed_by_hash() -> None:
    """A package whose content changed under its version is refused, and nothing is resolved anew."""
    commands = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]*)", commands)
    assert len(installs) == 2
    assert all(("--require-hashes" in line) != ("--no-deps --no-index" in line) for line in installs)


def test_it_starts_without_a_shell_and_without_rights() -> None:
    """Exec form lets SIGTERM reach Python; the user is the one that the Deployment insists on."""
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    assert json.loads(entrypoint) == ["/usr/bin/python3", "-m", "nodegate"]
    assert json.loads(command) == ["operator"]
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["65532:65532"]


def test_the_build_context_is_closed() -> None:
    """Only the lock file and the wheel enter the build; a new secret in the checkout is left out by itself."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules == ["*", "!requirements/operator.txt", "!dist/nodegate-*.whl"]

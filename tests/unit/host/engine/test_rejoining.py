"""Joining again moves the old identity aside, and puts it back when the kubelet does not come up."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodegate_host import paths
from nodegate_host.engine import rejoining
from nodegate_host.errors import Refused, Stop, Usage
from nodegate_host.exits import Exit
from nodegate_host.output import Output
from nodegate_host.surroundings import Surroundings
from nodegate_host.verbs.rejoin import _again
from tests.unit.host.engine.scene import KUBELET, Scene, first, run_apply

_PEM = "/var/lib/kubelet/pki/kubelet-client-current.pem"
_NEW = b"""\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: u, user: {token: made-up}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


@pytest.fixture
def joined(scene: Scene) -> Scene:
    """Return a host that was applied and has an identity."""
    run_apply(scene.site(), first())
    scene.put(_PEM, "old certificate", 0o600)
    scene.put("/var/lib/kubelet/pki/kubelet.crt", "serving")
    scene.put(paths.KUBELET_KUBECONFIG, "old kubeconfig", 0o600)
    return scene


def _surroundings(scene: Scene) -> Surroundings:
    output = Output(io.StringIO(), io.StringIO())
    return Surroundings(scene.root, Path("node.yaml"), output, {}, io.StringIO(), no_input=True, euid=0)


def test_the_old_identity_is_moved_aside_and_the_kubelet_starts(joined: Scene) -> None:
    """Kubeconfig and client certificate go to a private place, the serving certificate stays, the kubelet runs."""
    site = joined.site()

    outcome = _again(_surroundings(joined), site, rejoining.with_bootstrap(site, _NEW))

    assert outcome.code is Exit.OK
    assert not site.is_joined()
    assert joined.read(paths.BOOTSTRAP_KUBECONFIG) == _NEW.decode()
    assert joined.read("/var/lib/kubelet/pki/kubelet.crt") == "serving"
    places = (joined.root / "var/lib/nodegate/aside").rglob("*")
    aside = {each.name: each.read_text() for each in places if each.is_file()}
    assert aside == {"kubelet-client-current.pem": "old certificate", "kubelet.kubeconfig": "old kubeconfig"}
    assert joined.active()["kubelet.service"] == "active"


def test_a_kubelet_that_does_not_come_up_gets_its_identity_back(joined: Scene) -> None:
    """When the kubelet fails everything is as before, and it is started again."""
    site = joined.site()
    way = rejoining.with_bootstrap(site, _NEW)
    crash = (joined.root / KUBELET.lstrip("/")).read_bytes() + b"CRASH\n"
    files = tuple(replace(each, content=crash) if each.path == KUBELET else each for each in way.wish.files)

    outcome = _again(_surroundings(joined), site, replace(way, wish=replace(way.wish, files=files)))

    assert outcome.code is Exit.ROLLED_BACK
    assert joined.read(_PEM) == "old certificate"
    assert joined.read(paths.KUBELET_KUBECONFIG) == "old kubeconfig"
    assert joined.active()["kubelet.service"] == "active"


def test_units_that_are_refused_give_the_identity_back_too(joined: Scene) -> None:
    """An error before anything was applied leaves no node without its identity."""
    site = joined.site()
    way = rejoining.with_bootstrap(site, _NEW)
    typo = (joined.root / KUBELET.lstrip("/")).read_bytes() + b"Typo=1\n"
    files = tuple(replace(each, content=typo) if each.path == KUBELET else each for each in way.wish.files)

    with pytest.raises(Stop, match="does not accept the units"):
        _again(_surroundings(joined), site, replace(way, wish=replace(way.wish, files=files)))

    assert site.is_joined()
    assert joined.active()["kubelet.service"] == "active"


@pytest.mark.parametrize("given", [b"", b"not: a kubeconfig", b"\xff\xfe"])
def test_an_unusable_bootstrap_is_told(given: bytes) -> None:
    """A file without contexts or credential is refused before anything is moved."""
    with pytest.raises(Usage, match="expected a kubeconfig with a token"):
        rejoining.read_bootstrap(given, "file")


def test_an_administrators_kubeconfig_is_refused() -> None:
    """The guide's trick, an administrator's credential on a node, is exit 9."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start + timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    field = f"client-certificate-data: {base64.b64encode(pem).decode()}"
    given = _NEW.replace(b"token: made-up", field.encode())

    with pytest.raises(Refused, match="administrator's credential"):
        rejoining.read_bootstrap(given, "file")

"""Probes ask real sockets and files, and a wait ends when units are well or will not be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.health import fault_of, probes_of
from nodegate_host.engine.records import Probe
from nodegate_host.parse import parse
from tests.unit.host.engine.scene import Scene, first, run_apply
from tests.unit.host.sample import GOOD


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"text")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server that answers /healthz alone."""
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_any_of_the_addresses_will_do(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon too old for /livez is well by /healthz, and a proxy in the environment is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    probe = Probe("kube-proxy.service", "http", (f"{url}/livez", f"{url}/healthz"))

    assert fault_of(probe, Disk(tmp_path)) == ""


def test_another_answer_is_a_fault(url: str, tmp_path: Path) -> None:
    """The fault names the address, the status and what was said."""
    assert fault_of(Probe("x", "http", (f"{url}/livez",)), Disk(tmp_path)) == f"{url}/livez answers 404 text"


def test_no_answer_is_a_fault(tmp_path: Path) -> None:
    """A port where nobody listens is told as such."""
    assert "does not answer" in fault_of(Probe("x", "http", ("http://127.0.0.1:1/healthz",)), Disk(tmp_path))


def test_a_file_must_be_there_and_filled(tmp_path: Path) -> None:
    """Flanneld is well when its lease file has something in it."""
    probe = Probe("flanneld.service", "file", ("/run/lease",))
    assert fault_of(probe, Disk(tmp_path)) == "/run/lease is not there"
    (tmp_path / "run").mkdir()
    (tmp_path / "run/lease").touch()
    assert fault_of(probe, Disk(tmp_path)) == "/run/lease is empty"
    (tmp_path / "run/lease").write_text("x")
    assert fault_of(probe, Disk(tmp_path)) == ""


def test_probes_follow_the_configuration() -> None:
    """Ports come from the kubelet's and kube-proxy's own fields, and only kube-proxy waits for the join."""
    probes = {each.unit: each for each in probes_of(parse(GOOD))}

    assert probes["kubelet.service"].target == ("http://127.0.0.1:10248/healthz",)
    assert probes["kube-proxy.service"].target[0] == "http://127.0.0.1:10256/livez"
    assert [unit for unit, each in probes.items() if each.needs_join] == ["kube-proxy.service"]


def test_a_unit_that_waits_for_the_join_is_not_asked(scene: Scene) -> None:
    """Before the node has its certificate kube-proxy is only to be running; after that it must answer."""
    run_apply(scene.site(), first())
    site = scene.site()
    assert site.systemd is not None
    probe = Probe("kube-proxy.service", "http", ("http://127.0.0.1:1/livez",), needs_join=True)
    watch = site.watch(site.systemd)

    assert watch.check(["kube-proxy.service"], [probe])[0].fault == ""
    scene.put("/var/lib/kubelet/pki/kubelet-client-current.pem", "certificate")
    assert "does not answer" in watch.check(["kube-proxy.service"], [probe])[0].fault

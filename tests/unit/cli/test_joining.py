"""``token``: which kubeconfig comes out, when there is none, and that the secret goes nowhere else.

The cluster is a server on loopback; a proxy for TLS is not needed, because the kubeconfig made here names
the server that cluster-info or --node-server says.
"""

import base64
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodegate.cli.exits import Stopped
from nodegate.cli.joining import Cluster, kubeconfig, write_file
from nodegate.cli.tokens import parse_token
from nodegate.errors import Malformed
from tests.unit.cli import cluster_stub as stub
from tests.unit.cli.command import run

SECRET = "0123456789abcdef"  # noqa: S105 - of a cluster that is not there
CA = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()
NODE = f"{stub.ENROLLMENTS}/node-a"
NAMED = f"{stub.SECRETS}/bootstrap-token-abcdef"
PINNED = stub.enrolled(bootstrap={"tokenID": "abcdef"})


def refused(answers: Mapping[str, Any], *words: str) -> tuple[int, str]:
    """Ask for the token of node-a where none may come out; return exit code and message."""
    with stub.served(answers) as server:
        done = run("token", "node-a", *words, *server.words)
    assert done.stdout == ""
    assert SECRET not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        ({}, 3, "expected a NodeEnrollment called node-a, found none"),
        ({NODE: 403}, 4, "Forbidden"),
        (
            {NODE: stub.enrolled()},
            4,
            "expected spec.bootstrap.tokenID in NodeEnrollment node-a, found none; make",
        ),
        ({NODE: stub.enrolled(bootstrap={"token": {"issue": True}})}, 4, "the operator has not seen the enrollment"),
        ({NODE: PINNED}, 4, "expected the Secret kube-system/bootstrap-token-abcdef"),
        ({NODE: PINNED, NAMED: 403}, 4, "Forbidden"),
        ({NODE: PINNED, NAMED: stub.secret(expiration=stub.PAST)}, 4, "it expired at 2020-01-01T00:00:00+00:00"),
        ({NODE: PINNED, NAMED: stub.secret(usage_bootstrap_authentication="no")}, 4, "usage-bootstrap-authentication"),
        ({NODE: PINNED, NAMED: stub.secret(**{"token-secret": "short"})}, 4, "token-secret is not 16 characters"),
        ({NODE: PINNED, NAMED: stub.secret(kind="Opaque")}, 4, "expected type bootstrap.kubernetes.io/token"),
        ({NODE: PINNED, NAMED: stub.secret("fedcba", name="bootstrap-token-abcdef")}, 4, "found another"),
        ({NODE: PINNED, NAMED: stub.secret(expiration="soon")}, 4, "expected an RFC 3339 moment"),
        ({NODE: PINNED, NAMED: stub.secret()}, 4, "expected a CA by which the node knows the API server"),
    ],
)
def test_without_a_token_that_works_nothing_is_printed(answers: Mapping[str, Any], code: int, words: str) -> None:
    """Each reason for which the node could not join with it is told, with what to do, and is exit 3 or 4."""
    found, message = refused(answers)

    assert (found, words in message) == (code, True), message


def test_a_minted_token_is_taken_from_the_status() -> None:
    """Where the operator mints, the id stands in the status, and the Secret of that id is read."""
    minted = stub.enrolled(bootstrap={"token": {"issue": True}})
    minted["status"]["bootstrap"] = {"tokenID": "abcdef"}

    code, message = refused({NODE: minted, NAMED: stub.secret(expiration=stub.PAST)})

    assert (code, "bootstrap-token-abcdef" in message) == (4, True)


def test_a_file_is_not_replaced_without_force(tmp_path: Path) -> None:
    """An existing file stops it before anything is asked; --force alone makes no sense."""
    there = tmp_path / "there"
    there.write_text("precious", encoding="utf-8")

    done = run("token", "node-a", "--output-file", str(there), "-s", "http://127.0.0.1:1")

    assert (done.returncode, there.read_text(encoding="utf-8")) == (2, "precious")
    assert "give --force to replace it" in done.stderr
    assert run("token", "node-a", "--force").returncode == 2


@pytest.mark.parametrize("secret", [SECRET, "0123456789012e12", "1234567890123456"])
def test_every_token_is_read_as_text(secret: str) -> None:
    """Also a token that looks like a number is a string in the kubeconfig, for every YAML reader."""
    token = parse_token(stub.secret("123456", token_secret=secret))
    text = kubeconfig("node-a", Cluster("https://10.0.0.1:6443", CA), token)
    body = yaml.safe_load(text)

    assert f'token: "123456.{secret}"' in text
    assert body["users"][0]["user"] == {"token": f"123456.{secret}"}
    assert body["clusters"][0]["cluster"] == {"server": "https://10.0.0.1:6443", "certificate-authority-data": CA}
    assert body["contexts"][0]["context"] == {"cluster": "kubernetes", "user": "bootstrap-node-a"}
    assert body["current-context"] == body["contexts"][0]["name"]


def test_a_ca_of_the_hosts_own_is_left_out() -> None:
    """Without a CA of its own the kubeconfig has none, and the host's are used."""
    text = kubeconfig("node-a", Cluster("https://x", ""), parse_token(stub.secret()))

    assert yaml.safe_load(text)["clusters"][0]["cluster"] == {"server": "https://x"}


def test_a_token_does_not_show_its_secret() -> None:
    """Neither repr nor an error holds the secret half."""
    token = parse_token(stub.secret())

    assert token.secret == SECRET
    assert SECRET not in repr(token)
    with pytest.raises(Malformed) as raised:
        parse_token(stub.secret(**{"token-id": f"abcdef.{SECRET}"}))
    assert SECRET not in str(raised.value)


def test_a_file_is_written_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    """The file has mode 0600 from the beginning, and replacing it keeps no trace of the old one or of ours."""
    path = tmp_path / "boot.conf"
    write_file(path, "one", force=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    write_file(path, "two", force=True)

    assert (path.read_text(encoding="utf-8"), stat.S_IMODE(path.stat().st_mode)) == ("two", 0o600)
    with pytest.raises(Stopped, match="give --force"):
        write_file(path, "three", force=False)
    with pytest.raises(Stopped, match="which is something else"):
        write_file(tmp_path, "four", force=True)
    with pytest.raises(Stopped, match="expected to write"):
        write_file(tmp_path / "absent" / "file", "five", force=False)
    assert [each.name for each in tmp_path.iterdir()] == ["boot.conf"]

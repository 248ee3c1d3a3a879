"""Reading a config: versions, switches, flannel's own words, and secrets that stay where they are."""

import pytest

from nodegate.errors import Malformed
from nodegate.flannel.check import LIMIT_BYTES, effective, parse_version, read_config
from nodegate.flannel.findings import LIMIT
from nodegate.flannel.model import Api, Family4, Family6, Severity, Version

_NEWEST = parse_version("0.28.10")
_PUBLIC = '{"Network":"8.0.0.0/8"}'
_EXTENSION = '{"Network":"172.30.0.0/16","Backend":{"Type":"extension"}}'
_SECRET = "s3cret-" * 20


@pytest.mark.parametrize(
    ("text", "version"), [("0.7.1", (0, 7, 1)), ("v0.28.10", (0, 28, 10)), ("0.7.0", (0, 7, 0)), ("1.0.0", (1, 0, 0))]
)
def test_reads_versions(text: str, version: tuple[int, int, int]) -> None:
    """Three numbers, with or without the v of the tag."""
    assert parse_version(text) == Version(*version)


@pytest.mark.parametrize(
    "text",
    ["", "0.28", "0.28.x", "0.28.10-rc1", "0.028.10", "latest", " 0.28.10", "0.28.10\n", "0.28.1\u0660", "0.6.2"],
)
def test_refuses_what_is_no_version_it_knows(text: str) -> None:
    """Anything else is refused, and so are releases before the tables begin."""
    with pytest.raises(Malformed, match="expected"):
        parse_version(text)


def test_versions_order_as_releases() -> None:
    """0.9 is older than 0.10, and the store changes with 0.18."""
    assert parse_version("0.9.1") < parse_version("0.10.0")
    assert [parse_version(text).api for text in ("0.17.0", "0.18.0")] == [Api.V2, Api.V3]


def test_public_ranges_can_be_wanted() -> None:
    """The switch takes the error away, and no other: nobody can want loopback."""
    assert not read_config(_PUBLIC, _NEWEST).valid
    assert read_config(_PUBLIC, _NEWEST, allow_public=True).valid
    assert not read_config('{"Network":"127.0.0.0/8"}', _NEWEST, allow_public=True).valid


def test_extension_can_be_wanted() -> None:
    """The switch takes the error away; flannel runs with it either way."""
    refused, wanted = read_config(_EXTENSION, _NEWEST), read_config(_EXTENSION, _NEWEST, allow_extension=True)

    assert (refused.valid, refused.accepted) == (False, True)
    assert "--allow-flannel-extension" in refused.problems[0].message
    assert (wanted.valid, wanted.problems) == (True, ())


def test_values_are_typed() -> None:
    """The families are networks and addresses, and an odd bound is kept as flannel keeps it."""
    text = '{"Network":"172.30.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48","Backend":{"Type":"vxlan"}}'
    config = read_config(text, _NEWEST).config

    assert config is not None
    assert isinstance(config.ipv4, Family4)
    assert isinstance(config.ipv6, Family6)
    assert (str(config.ipv4.network), str(config.ipv6.subnet_max)) == ("172.30.0.0/16", "fc00:0:0:ffff::")
    assert config.backend.options == (
        ("DirectRouting", False),
        ("GBP", False),
        ("Learning", False),
        ("Port", 0),
        ("VNI", 1),
    )


def test_options_of_later_releases_are_not_filled_in() -> None:
    """At 0.7.1 vxlan has three options."""
    config = read_config('{"Network":"172.30.0.0/16","Backend":{"Type":"vxlan"}}', parse_version("0.7.1")).config

    assert config is not None
    assert [name for name, _ in config.backend.options] == ["GBP", "Port", "VNI"]


def test_errors_come_before_warnings() -> None:
    """Whatever stands first in the text."""
    reading = read_config('{"Comment":1,"Network":"8.0.0.0/8"}', _NEWEST)

    assert [problem.severity for problem in reading.problems] == [Severity.ERROR, Severity.WARNING]


def test_every_problem_is_told_at_once() -> None:
    """Flannel stops at its first; we say all that can be seen."""
    text = '{"Network":"8.0.0.0/8","SubnetLen":31,"EnableNFTables":1,"Backend":{"Type":"vxlan","VNI":0,"Port":-1}}'

    fields = [problem.field for problem in read_config(text, _NEWEST).problems]

    assert fields == ["EnableNFTables", "Network", "SubnetLen", "Backend.VNI", "Backend.Port"]


@pytest.mark.parametrize("kind", ["wireguard", "ipsec", "tencent-vpc"])
def test_secrets_are_never_shown(kind: str) -> None:
    """Neither in messages nor in the effective values, whether they are right, wrong, or of the wrong type."""
    secret = '"AccessKeyID":"{0}","AccessKeySecret":"{0}"' if kind == "tencent-vpc" else '"PSK":"{0}"'
    for value in (_SECRET, "s3cret-"):
        text = f'{{"Network":"172.30.0.0/16","Backend":{{"Type":"{kind}",{secret.format(value)}}}}}'
        reading = read_config(text, _NEWEST)

        assert "s3cret" not in str(reading.problems) + str(reading.refusal)
        assert "s3cret" not in str(reading.config and effective(reading.config))
    number = read_config('{"Network":"172.30.0.0/16","Backend":{"Type":"ipsec","PSK":83254}}', _NEWEST)
    assert "83254" not in str(number)


def test_a_fingerprint_is_no_key() -> None:
    """Our own status holds fingerprints in the place of keys, and flannel would refuse one."""
    text = '{"Network":"172.30.0.0/16","Backend":{"Type":"wireguard","PSK":"redacted:00"}}'

    assert not read_config(text, _NEWEST).accepted


def test_a_cloud_backend_takes_a_list() -> None:
    """From 0.8 on aws-vpc takes several route tables; before, a list is a fault."""
    text = '{"Network":"172.30.0.0/16","Backend":{"Type":"aws-vpc","RouteTableID":["rtb-1","rtb-2"]}}'
    config = read_config(text, parse_version("0.8.0")).config

    assert config is not None
    assert config.backend.options == (("RouteTableID", "rtb-1,rtb-2"),)
    assert not read_config(text, parse_version("0.7.1")).accepted
    assert not read_config(text.replace('"rtb-2"', "2"), parse_version("0.8.0")).accepted


def test_messages_are_one_calm_line() -> None:
    """What somebody wrote into etcd is shown without control characters, and cut."""
    text = '{"Network":"172.30.0.0/16","Backend":{"Type":"\\u001b[31m\\n' + "x" * 5000 + '"},"\\u202e":1}'
    reading = read_config(text, _NEWEST)

    for shown in (str(reading.refusal), *(part for each in reading.problems for part in (each.field, each.message))):
        assert shown.isprintable()
        assert len(shown) < 400


def test_texts_have_a_bound() -> None:
    """A text of the largest size is judged, one byte more is not."""
    text = '{"Network":"172.30.0.0/16"}'.ljust(LIMIT_BYTES)

    assert read_config(text, _NEWEST).valid
    assert read_config(text.encode() + b" ", _NEWEST).refusal == f"not judged: {LIMIT_BYTES + 1} bytes"
    assert not read_config("\u20ac" * (LIMIT_BYTES // 3 + 1), _NEWEST).valid


def test_problems_have_a_bound() -> None:
    """A thousand odd keys are not a thousand lines, and an error among them is not lost."""
    text = "{" + ",".join(f'"k{number}":1' for number in range(1000)) + ',"Network":"8.0.0.0/8"}'

    reading = read_config(text, _NEWEST)

    assert not reading.valid
    assert len(reading.problems) == LIMIT + 1

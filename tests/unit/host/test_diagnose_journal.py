"""Journals: JSON from journald, text as people save it, both mixed."""

import json

from nodegate_host.rules.engine import diagnose
from nodegate_host.rules.journal import command, from_journald, read


def test_reads_journald_json() -> None:
    """Message, unit, time and priority come from their fields; bytes are decoded."""
    entry = {
        "MESSAGE": "unknown flag: --x", "_SYSTEMD_UNIT": "kubelet.service", "PRIORITY": "3",
        "__REALTIME_TIMESTAMP": "1764021600000000",
    }  # fmt: skip
    broken = {"MESSAGE": [101, 194, 128, 255], "SYSLOG_IDENTIFIER": "kubelet"}

    first, second = read([json.dumps(entry), json.dumps(broken)])

    assert (first.message, first.unit, first.time, first.priority, first.number) == (
        "unknown flag: --x",
        "kubelet",
        1764021600.0,
        3,
        1,
    )
    assert second.message.startswith("e")
    assert second.unit == "kubelet"


def test_takes_the_unit_that_systemd_speaks_of() -> None:
    """Lines of PID 1 about a unit belong to that unit, not to init.scope."""
    entry = {"MESSAGE": "failed", "_SYSTEMD_UNIT": "init.scope", "UNIT": "kubelet.service"}

    assert read([json.dumps(entry)])[0].unit == "kubelet"


def test_reads_text_of_several_formats() -> None:
    """Short and ISO stamps, with and without a host name, and bare program lines."""
    lines = read(
        [
            "Apr 03 16:09:53 hz-n02 kubelet[22825]: E0403 fs.go:418] Stat fs failed.",
            "2026-11-24T22:00:00+0000 node-a flanneld[7]: started",
            "2026-11-24T22:00:00.123456+00:00 node-a systemd[1]: kubelet.service: Failed",
            "kubelet[23848]: -v,--v Level",
            "E1124 22:00:00.000000       7 server.go:1] bare: it is",
            "",
        ]
    )

    assert [each.unit for each in lines] == ["kubelet", "flanneld", "kubelet", "kubelet", ""]
    assert [each.message for each in lines][3:] == [
        "-v,--v Level",
        "E1124 22:00:00.000000       7 server.go:1] bare: it is",
    ]
    assert lines[1].time == 1795557600.0
    assert lines[2].time == 1795557600.0


def test_splits_a_message_of_several_lines() -> None:
    """A usage dump in one message is searched line by line."""
    assert [each.message for each in read([json.dumps({"MESSAGE": "a\nb"})])] == ["a", "b"]


def test_reads_a_broken_json_line_as_text() -> None:
    """A cut line loses nothing."""
    assert read(['{"MESSAGE": "cut'])[0].message == '{"MESSAGE": "cut'


def test_asks_journald_for_our_units_of_this_boot() -> None:
    """Without flags it is this boot; with --since it is that time; a unit needs no suffix."""
    assert "-b" in command([], None)
    assert "--unit=flanneld.service" in command([], None)
    assert command(["kubelet"], "1 hour ago")[-2:] == ["--since=1 hour ago", "--unit=kubelet.service"]
    assert "--root=/mnt" in command([], None, root="/mnt")


def test_says_what_to_do_without_journalctl() -> None:
    """A host without journald can still be diagnosed from a file."""
    lines, problem = from_journald(["/nonexistent/journalctl"])

    assert lines == ()
    assert "--journal-file" in problem


def test_takes_the_service_from_systemd_own_lines() -> None:
    """A line of PID 1 about a service is that service's, so the remedy can name it."""
    lines = read(["Apr 03 16:09:53 n systemd[1]: kubelet.service: Start request repeated too quickly."])

    assert lines[0].unit == "kubelet"
    assert "systemctl reset-failed kubelet && systemctl start kubelet" in diagnose(lines).causes[0].remedy

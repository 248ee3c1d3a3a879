"""``nodegate-host init``: write a node.yaml to start from. An existing file is never overwritten."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nodegate_host.errors import Refused, Usage
from nodegate_host.exits import Exit
from nodegate_host.guide import importing
from nodegate_host.starting import Answers, minimal
from nodegate_host.surroundings import Surroundings

_RESOLVED = "/run/systemd/resolve/resolv.conf"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument("--minimal", action="store_true", help="what must be said, and nothing else (the default)")
    importing.add_flags(parser)
    parser.add_argument("--stdout", action="store_true", help="print the file in place of writing it")
    known = parser.add_argument_group("what is known already")
    known.add_argument("--name", default="", help="the Node's name (default: this host's)")
    known.add_argument("--ip", default="", help="the node's address")
    known.add_argument("--api-server", default="", metavar="URL", help="https://HOST:6443")
    known.add_argument("--service-cidr", default="", metavar="CIDR", help="the range of Services")
    known.add_argument("--pod-cidr", default="", metavar="CIDR", help="flannel's Network")
    known.add_argument("--cluster-dns", default="", metavar="IP", help="the DNS Service's address")
    known.add_argument("--kubernetes", default="", metavar="VERSION", help="the version of kubelet and kube-proxy")
    known.add_argument("--etcd", action="append", default=[], metavar="URL", help="an endpoint for flannel; repeatable")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Write the file, or print it."""
    if args.from_guide:
        return importing.run(args, surroundings, write_new)
    text = minimal(_answers(args, surroundings))
    if args.stdout:
        surroundings.output.write(text)
        return Exit.OK
    write_new(surroundings.config, text)
    path = str(surroundings.config)
    surroundings.output.result(
        f"wrote {path}; fill it in, then: nodegate-host validate -c {path}", "InitializedConfig", {"path": path}
    )
    return Exit.OK


def _answers(args: argparse.Namespace, surroundings: Surroundings) -> Answers:
    return Answers(
        name=args.name or (os.uname().nodename.lower() if surroundings.is_live else ""),
        ip=args.ip,
        api_server=args.api_server,
        service_cidr=args.service_cidr,
        pod_cidr=args.pod_cidr,
        cluster_dns=args.cluster_dns,
        version=args.kubernetes,
        etcd=tuple(args.etcd),
        env_dir="/etc/sysconfig" if surroundings.host("/etc/sysconfig").is_dir() else "/etc/default",
        resolv_conf=_RESOLVED if surroundings.host(_RESOLVED).is_file() else None,
    )


def write_new(path: Path, text: str) -> None:
    """Write `text` to a file that does not exist yet, readable by its owner only.

    Raises:
        Refused: The file exists.
        Usage: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused(f"expected no file at {path}, found one; move it away, or name another with -c") from None
    except OSError as error:
        raise Usage(f"expected to write {path}, found: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)

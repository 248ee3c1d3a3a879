"""Finds out whether a port speaks TLS or plain HTTP, once the other one has failed.

A URL comes in, yes or no leaves. Rules: nothing secret is sent and nothing that is received is trusted. TLS is
recognized by a handshake that verifies against an empty set of authorities: it must fail, and how tells.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

_HTTP: Final = b"HTTP/"


async def speaks_other_scheme(url: str, timeout_s: float) -> bool:
    """Tell whether an https endpoint answers plain HTTP, or an http endpoint speaks TLS.

    Args:
        url: The endpoint.
        timeout_s: Seconds for all of it; no answer means no.
    """
    parts = urlsplit(url)
    ask = _answers_http if parts.scheme == "https" else _speaks_tls
    try:
        async with asyncio.timeout(timeout_s):
            return await ask(parts.hostname or "", parts.port or 0)
    except (OSError, TimeoutError):
        return False


async def _answers_http(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /version HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return await reader.read(len(_HTTP)) == _HTTP
    finally:
        await _closed(writer)


async def _speaks_tls(host: str, port: int) -> bool:
    trusts_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=trusts_nobody, server_hostname=host)
    except ssl.SSLCertVerificationError:
        return True
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason)
    await _closed(writer)  # Not reached while nobody is trusted; closed all the same.
    return True


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

"""What a port speaks, for those who were told the wrong one.

A Redis that is sent TLS on its plain port waits for the rest of what it takes for a command. One
that is sent a plain command on its TLS port hangs up. Neither says why, so we ask in the other way.
In protected mode it does say why, but it hangs up at once, which may be all that is noticed.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from nowserving.stores._remote.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Callable

_WITHIN = 0.5
"""Seconds for the answer; who takes longer is not recognised."""

_TLS_RECORDS = (b"\x16\x03", b"\x15\x03")  # a handshake or an alert, of any version since SSL 3
_REDIS_REPLIES = (b"+", b"-")
_DENIED = b"-DENIED"


async def speaks_tls(host: str, port: int) -> bool:
    """Return whether a port answers a TLS greeting."""
    return await _answers(host, port, _greeting(host), lambda got: got[:2] in _TLS_RECORDS)


async def speaks_redis(host: str, port: int) -> bool:
    """Return whether a port answers a plain command as a Redis does."""
    return await _answers(host, port, b"PING\r\n", lambda got: got[:1] in _REDIS_REPLIES)


async def is_protected(host: str, port: int) -> bool:
    """Return whether a port refuses whoever comes from another host."""
    return await _answers(host, port, b"PING\r\n", lambda got: got == _DENIED)


async def _answers(host: str, port: int, words: bytes, known: Callable[[bytes], bool]) -> bool:
    try:
        return known(await patiently(_ask(host, port, words), _WITHIN, lambda _: None))
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return False


async def _ask(host: str, port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(words)
        return await reader.readexactly(len(_DENIED))
    finally:
        writer.transport.abort()


def _greeting(host: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is entrusted to it
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):  # of course: nothing was answered yet
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=host).do_handshake()
    return sent.read()

"""The app on a port of its own, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LAST_WORDS = 2
"""Seconds that answers under way get at the end."""

_BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The name or address to listen at.
        port: The port; 0 for a free one.

    Raises:
        OSError: If the host is unknown or the port is taken.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


def is_loopback(listening: socket.socket) -> bool:
    """Return whether only this machine reaches it."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def address(listening: socket.socket) -> str:
    """Return where a browser finds it: ``http://host:port/``."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """A server whose signals are its starter's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Ending:
    """An app whose streams end when the server does: to them everybody has hung up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_or_end() -> Message:
            heard = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(self.over.wait())
            try:
                await asyncio.wait({heard, over}, return_when=asyncio.FIRST_COMPLETED)
                return heard.result() if heard.done() else {"type": "http.disconnect"}
            finally:
                heard.cancel()
                over.cancel()

        await self._app(scope, receive_or_end, send)


async def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until the task is cancelled."""
    ending = _Ending(app)
    config = uvicorn.Config(
        ending,
        access_log=False,
        http="h11",
        lifespan="off",
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_WORDS,
        ws="none",
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        ending.over.set()
        server.should_exit = True
        await serving
        raise

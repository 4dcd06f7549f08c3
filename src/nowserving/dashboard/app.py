"""The dashboard as an ASGI app."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nowserving.dashboard.gate import SHORTEST_TOKEN, Gate, Hardened
from nowserving.dashboard.source import Source
from nowserving.dashboard.streams import EventStream, Streams
from nowserving.errors import LockError, RasaException
from nowserving.stores.base import LockStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp


log = logging.getLogger("nowserving.dashboard")

_FOLDER = Path(__file__).with_name("static")
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE = "index.html"
_LONGEST_QUESTION = 262_144  # bytes


def create_app(  # noqa: PLR0913 - each of them by name only
    store: LockStore,
    *,
    allow_release: bool = False,
    token: str | None = None,
    token_to_read: bool = False,
    allowed_hosts: Sequence[str] = (),
    title: str = "",
) -> ASGIApp:
    """Make an ASGI app that shows a store's lines live, to be served or mounted.

    The app reads the store about once a second while somebody looks, once for all who do. It sees
    what the store sees: an in-memory store knows only its own process. Whoever reaches the app
    reads ids, labels and message ids, unless ``token_to_read`` is set: protect it.

    Args:
        store: The store; it stays yours to close.
        allow_release: Whether whoever has the token may release tickets.
        token: What the page has to be opened with (``#token=...`` behind its address), or is asked
            for; at least 16 characters. Releasing needs it.
        token_to_read: Whether it is needed for reading as well.
        allowed_hosts: Names by which browsers reach the app, without ports; ``"*"`` for all, which
            opens it to DNS rebinding. ``localhost`` and IP addresses always may.
        title: What the page calls the store.

    Returns:
        The app. It has no lifespan, and sets its own headers; nothing of it may be cached.

    Raises:
        TypeError: If ``store`` is no lock store.
        ValueError: If the token is too short, or missing although something needs it; or a host
            has a port.
    """
    if not isinstance(store, LockStore):
        raise TypeError(f"store={store!r} is a {type(store).__name__}; give a LockStore")
    _check(token, needed=allow_release or token_to_read)
    _check_hosts(allowed_hosts)
    gate = Gate(token, to_read=token_to_read, to_release=allow_release)
    pages = _Pages(Source(store), gate, title)
    routes = [
        Route("/", pages.page),
        Route("/static/{name}", pages.file),
        Route("/api/live", pages.live),
        Route("/api/release", pages.release, methods=["POST"]),
    ]
    return Hardened(Starlette(routes=routes), allowed_hosts)


def _check(token: str | None, *, needed: bool) -> None:
    if token is None:
        if needed:
            raise ValueError(
                "allow_release and token_to_read need a token: give token=, "
                "secrets.token_urlsafe(32) makes one"
            )
    elif len(token) < SHORTEST_TOKEN or not token.isascii():
        raise ValueError(
            f"token must be ASCII text of at least {SHORTEST_TOKEN} characters; "
            "secrets.token_urlsafe(32) makes one"
        )


def _check_hosts(hosts: Sequence[str]) -> None:
    if isinstance(hosts, str):
        raise TypeError(f"allowed_hosts={hosts!r} is a str; give a list of names")
    for host in hosts:
        if not host or ":" in host or "/" in host:
            raise ValueError(
                f"allowed_hosts: {host!r} is no name of a host; give it without scheme and port"
            )


class _Pages:
    """What the app answers."""

    def __init__(self, source: Source, gate: Gate, title: str) -> None:
        self._source = source
        self._gate = gate
        self._title = title
        self._streams = Streams(source)
        self._files = {
            path.name: (path.read_bytes(), _KINDS[path.suffix])
            for path in _FOLDER.iterdir()
            if path.suffix in _KINDS
        }

    async def page(self, _request: Request) -> Response:
        return self._answer(_PAGE)

    async def file(self, request: Request) -> Response:
        return self._answer(request.path_params["name"])

    def _answer(self, name: str) -> Response:
        found = self._files.get(name)
        if found is None:
            raise HTTPException(404)
        content, kind = found
        return Response(content, media_type=kind)

    async def live(self, request: Request) -> EventStream:
        self._gate.let_read(request)
        if self._streams.full:
            raise HTTPException(503, "Too many look at once.")
        asked = request.query_params.get("conversation")
        hello = {"title": self._title, "can_release": self._gate.to_release}
        conversation_id = None if asked is None else _name(_json(asked.encode()))
        return EventStream(self._streams.events(hello, conversation_id))

    async def release(self, request: Request) -> Response:
        self._gate.let_release(request)
        asked = _json(await _body(request))
        if not isinstance(asked, dict):
            raise HTTPException(400, "A JSON object is wanted.")
        conversation_id, number = _name(asked.get("id")), asked.get("number")
        reason = asked.get("reason") or ""
        if type(number) is not int or number < 0 or not isinstance(reason, str):
            raise HTTPException(400, "A number, and a reason that is text, are wanted.")
        try:
            released = await self._source.release(conversation_id, number, reason)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        except (LockError, RasaException) as error:
            raise HTTPException(503, str(error)) from error
        log.warning(
            "Ticket %d of %r was %s from the dashboard, asked by %s: %r",
            number,
            conversation_id,
            "released" if released else "to be released, and not in line any more,",
            request.client.host if request.client else "an unknown address",
            reason,
        )
        return JSONResponse({"released": released})


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "JSON is wanted.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_QUESTION:
            raise HTTPException(413)
    return body


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise HTTPException(400, "That is no JSON.") from error


def _name(conversation_id: object) -> str:
    if not isinstance(conversation_id, str) or not conversation_id:
        raise HTTPException(400, "A conversation's id is a text that is not empty.")
    return conversation_id

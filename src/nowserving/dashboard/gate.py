"""Who is let in: hosts, origins, the token; and what the browser is told never to do.

Four attacks are closed here. *DNS rebinding*: a page under a name of its attacker that leads to
our address; its requests carry that name as ``Host``. *CSRF*: a page elsewhere that has the
browser send us a request; the browser says so (``Sec-Fetch-Site``, ``Origin``), and a header of
our own can't be sent across origins, since no answer of ours ever allows it. *Clickjacking*: our
page in somebody's frame. *Scripts in ids*: the policy forbids every script but our files, and
every way of making markup out of text.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "X-Nowserving-Token"  # noqa: S105 - the name of a header
ANY_HOST = "*"
SHORTEST_TOKEN = 16  # characters

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(:[0-9]*)?", re.IGNORECASE)
_OUR_SITES = {"same-origin", "none"}
"""What a browser calls requests of our own page, and those that a person has typed."""


@dataclass(frozen=True)
class Gate:
    """Decides who may read and who may release.

    Attributes:
        token: What has to be in the header ``X-Nowserving-Token``; None if nothing opens it.
        to_read: Whether it is needed for reading as well.
        to_release: Whether anybody may release at all.
    """

    token: str | None
    to_read: bool
    to_release: bool

    def let_read(self, request: Request) -> None:
        """Raise unless the request may see what is in the store.

        Raises:
            HTTPException: 403 if it comes from another site; 401 without the token that it needs.
        """
        _refuse_strangers(request)
        if self.to_read:
            self._want_token(request)

    def let_release(self, request: Request) -> None:
        """Raise unless the request may release a ticket.

        Raises:
            HTTPException: 403 if nobody may, or it comes from another site; 401 without the token.
        """
        _refuse_strangers(request)
        if not self.to_release:
            raise HTTPException(403, "Releasing is switched off; start with --allow-release.")
        self._want_token(request)

    def _want_token(self, request: Request) -> None:
        given = request.headers.get(TOKEN_HEADER, "")
        # As bytes: `compare_digest` takes no other text than ASCII.
        right = (self.token or "").encode()
        if not right or not hmac.compare_digest(given.encode("utf-8", "replace"), right):
            raise HTTPException(401, "The token is missing or wrong.")


def _refuse_strangers(request: Request) -> None:
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:  # the browser's own word, which no page can change
        is_ours = site in _OUR_SITES
    else:  # not sent to an address without TLS that is not this machine's
        is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_ours:
        raise HTTPException(403, "This request comes from another site.")


class Hardened:
    """An ASGI app with the headers that protect it, for hosts that it is meant to be reached by.

    Args:
        app: What is protected.
        allowed_hosts: Names by which it may be reached; ``"*"`` for all. An IP address and
            ``localhost`` always may: no attacker can make a browser call his page that.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = {host.lower().rstrip(".") for host in allowed_hosts} | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        host = Headers(scope=scope).get("host", "")
        answer: ASGIApp = self._app
        if not self._is_allowed(host):
            answer = PlainTextResponse(
                f"The host {host!r} is not allowed; start with --allowed-host, or give "
                "allowed_hosts= to create_app().",
                status_code=421,
            )
        await answer(scope, receive, send_hardened)

    def _is_allowed(self, host: str) -> bool:
        if ANY_HOST in self._hosts:
            return True
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().rstrip(".")
        return name in self._hosts or _is_address(name.strip("[]"))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

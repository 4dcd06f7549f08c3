"""``nowserving dashboard``: a page that shows the lines live."""

import os
import secrets
import socket
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from nowserving.cli import signals
from nowserving.cli.target import Endpoints, StoreUrl, chosen, opened
from nowserving.cli.terminal import safe

if TYPE_CHECKING:
    from pathlib import Path

PORT = 8642
TOKEN_VARIABLE = "NOWSERVING_DASHBOARD_TOKEN"  # noqa: S105 - the name of a variable
HIGHEST_PORT = 65535

_TOKEN_BYTES = 32


def dashboard(  # noqa: PLR0913 - one parameter an option
    *,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    host: Annotated[
        str,
        typer.Option(
            help="Where to listen. Any but this machine's own addresses makes the token necessary "
            "for reading as well."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=HIGHEST_PORT, help="The port; 0 takes a free one.")
    ] = PORT,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which browsers reach the page, where it is not localhost or an IP "
            "address; may be said several times.",
        ),
    ] = None,
    allow_release: Annotated[
        bool,
        typer.Option("--allow-release", help="Whoever has the token may release tickets."),
    ] = False,
) -> None:
    """Show who holds and who waits on a web page, live.

    Prints the page's address, and serves it until Ctrl-C. The store is read about once a second
    while somebody looks, once for all who do. Where a token is needed it stands behind the address,
    unless NOWSERVING_DASHBOARD_TOKEN gives one (at least 16 characters).

    Exit status: 2 if it could not be tried, 128 + N after signal N.
    """
    try:
        signals.run(
            _serve(store, endpoints, host, port, allowed_host or [], allow_release=allow_release)
        )
    except signals.Stopped as stopped:
        raise typer.Exit(stopped.status) from None


async def _serve(  # noqa: PLR0913 - what the command was told
    store: str | None,
    endpoints: "Path | None",
    host: str,
    port: int,
    names: list[str],
    *,
    allow_release: bool,
) -> None:
    app_of, serving = _parts()
    name = chosen(store, endpoints).name
    async with opened(store, endpoints) as lock_store:
        with _listen(serving, host, port) as listening:
            public = not serving.is_loopback(listening)
            token, given = _token() if allow_release or public else (None, False)
            try:
                app = app_of(
                    lock_store,
                    allow_release=allow_release,
                    token=token,
                    token_to_read=public,
                    allowed_hosts=[*names, *([socket.gethostname()] if public else [])],
                    title=name,
                )
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint=_blamed(names, token)) from None
            behind = f"#token={quote(token)}" if token and not given else ""
            typer.echo(f"Showing {safe(name)} at {serving.address(listening)}{behind}")
            note = _note(token, given=given, public=public, allow_release=allow_release)
            typer.echo(note, err=True)
            await serving.serve(app, listening)


def _parts() -> tuple[Any, Any]:
    try:
        from nowserving.dashboard import create_app, serving  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn"}:
            raise
        raise typer.BadParameter(
            f"it needs {error.name}, which is not installed: pip install 'nowserving[dashboard]'",
            param_hint="dashboard",
        ) from None
    return create_app, serving


def _listen(serving: Any, host: str, port: int) -> socket.socket:  # noqa: ANN401 - a module
    try:
        listening: socket.socket = serving.listen(host, port)
    except OSError as error:
        raise typer.BadParameter(
            f"cannot listen at {host}:{port}: {error.strerror or error}; give another one, or "
            "--port 0 for a free one.",
            param_hint="--port",
        ) from None
    return listening


def _token() -> tuple[str, bool]:
    """Return the token, and whether it was given: then it is not printed."""
    given = os.environ.get(TOKEN_VARIABLE)
    return (given, True) if given is not None else (secrets.token_urlsafe(_TOKEN_BYTES), False)


def _blamed(names: list[str], token: str | None) -> str:
    return " or ".join(["--allowed-host"] * bool(names) + [TOKEN_VARIABLE] * (token is not None))


def _note(token: str | None, *, given: bool, public: bool, allow_release: bool) -> str:
    if token is None:
        return "Read only; --allow-release lets tickets be released. Ctrl-C ends it."
    where = f"is that of {TOKEN_VARIABLE}" if given else "stands behind the address"
    use = " and ".join(["reading"] * public + ["releasing"] * allow_release)
    return f"The token for {use} {where}. Ctrl-C ends it."

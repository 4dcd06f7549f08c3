"""What an error of connecting means: will it pass, is anybody there, how to say it."""

from __future__ import annotations

import asyncio
import socket
import ssl

from redis import exceptions

_HOPELESS = (
    exceptions.AuthenticationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.NoPermissionError,
    ssl.SSLError,
)
_PASSING = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The server hung up in the middle of a handshake: it may be about to restart."""

_NOBODY_THERE = (ConnectionRefusedError, FileNotFoundError, socket.gaierror)


def is_hopeless(error: BaseException) -> bool:
    """Return whether another attempt to connect would end just so.

    True for credentials that are refused, certificates that are not trusted, and whatever else
    than a broken connection a credential provider raises.
    """
    if not isinstance(error, (OSError, exceptions.RedisError, asyncio.TimeoutError)):
        return True
    causes = _causes(error)
    return any(isinstance(cause, _HOPELESS) for cause in causes) and not any(
        isinstance(cause, _PASSING) for cause in causes
    )


def is_nobody_there(error: BaseException) -> bool:
    """Return whether nobody listens at the address, as against not answering in time."""
    return any(isinstance(cause, _NOBODY_THERE) for cause in _causes(error))


def _causes(error: BaseException) -> list[BaseException]:
    # redis-py wraps what the socket said.
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def told(error: BaseException) -> str:
    """Return an error as a sentence; some have no text of their own."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):  # redis-py 4 leaves out what it says
            return str(cause)
    return str(error) or type(error).__name__


def without_secrets(text: str, password: str | None) -> str:
    """Return what a server said without the password that it may have quoted.

    Args:
        text: What it said.
        password: The one that it was told.
    """
    # A server that has AUTH renamed quotes the arguments of what it does not know.
    text = text.partition(", with args beginning with")[0]
    return text.replace(password, "***") if password else text

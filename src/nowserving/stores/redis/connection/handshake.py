"""What a fresh connection says first: who it is, and which database it wants.

All of it is said at once, which costs one round trip. The first refusal counts: what comes behind
it is refused as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import hiredis

from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.redis.connection.diagnosis import NOT_REDIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores.redis.connection.credentials import Login
    from nowserving.stores.redis.connection.resp import RespProtocol

_Command = tuple[Any, ...]

_PING = ("PING",)


async def introduce(protocol: RespProtocol, login: Login) -> None:
    """Say what a connection begins with, and hear that it is granted.

    Args:
        protocol: The connection.
        login: Who it is.

    Raises:
        hiredis.ReplyError: If it is refused.
        Exception: As :func:`ask`, or from the credential provider.
    """
    commands = await login.commands() or [_PING]  # else nobody would know what listens there
    for command, reply in zip(commands, await ask(protocol, *commands), strict=False):
        if isinstance(reply, hiredis.ReplyError):
            if command is _PING and str(reply).startswith("NOPERM"):
                return  # it answers
            raise reply
        if reply != ("PONG" if command is _PING else "OK"):
            raise Unreachable(NOT_REDIS, hopeless=True)


async def ask_once(protocol: RespProtocol, *command: Any) -> Any:  # noqa: ANN401
    """Ask one question over a connection that was made for it, and hang up.

    Raises:
        hiredis.ReplyError: If it is refused.
        Exception: As :func:`ask`.
    """
    try:
        (reply,) = await ask(protocol, command)
    finally:
        protocol.close()
    if isinstance(reply, hiredis.ReplyError):
        raise reply
    return reply


async def ask(
    protocol: RespProtocol, *commands: _Command, to_the_end: bool = False
) -> Sequence[Any]:
    """Send commands over a connection that nobody else has, and wait for the replies.

    Args:
        protocol: The connection; taken over.
        *commands: The commands, which are written at once.
        to_the_end: Wait for all replies, whatever they are.

    Returns:
        The reply to each command, in order, up to the first that is an error.

    Raises:
        Unreachable: If the other end hangs up, or has said something unasked.
        OSError: If the connection breaks in another way.
        hiredis.ProtocolError: If what comes is not Redis's protocol.
    """
    replies: list[Any] = []
    # Its result may be an error: of an *exception* that nobody fetches, asyncio complains.
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def end(error: Exception | None) -> None:
        if not ended.done():
            ended.set_result(error)

    def on_reply(reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        if ended.done():
            protocol.abort()  # nobody has asked for that
            return
        replies.append(reply)
        failed = isinstance(reply, hiredis.ReplyError) and not to_the_end
        if len(replies) == len(commands) or failed:
            end(None)

    def on_lost(error: Exception | None) -> None:
        end(error or Unreachable("connection closed by the server", unexplained=True))

    try:
        protocol.take_over(on_reply, on_lost)
    except Exception as error:  # noqa: BLE001 - whatever has ended it, maybe behind a refusal
        end(error)
    protocol.send(commands)
    failure = await ended
    if failure is not None:
        raise failure
    return replies

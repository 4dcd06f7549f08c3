"""One server, asked over a connection of its own, a command at a time.

Whatever a server says may quote what it was sent. So of an error only its kind is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import hiredis

from nowserving.stores._remote.patience import patiently
from nowserving.stores.redis.connection.handshake import ask

if TYPE_CHECKING:
    from nowserving.stores.redis.connection.dial import RedisServer
    from nowserving.stores.redis.connection.resp import RespProtocol

_CODE = re.compile(r"[A-Z]{2,20}(?= |$)")
_DENIED_IN_SCRIPT = ("can't run this command", "can't access at least one", "ACL failure in script")


class Refused(NamedTuple):
    """What a server has against a command.

    Attributes:
        code: The first word of its answer: ``NOPERM``, ``OOM``, ``ERR``.
        denied: What an ACL denies: ``"command"``, ``"keys"``, ``"channels"``; empty if it is
            something else.
        unknown: Whether it knows no such command, or does not offer it.
    """

    code: str
    denied: str = ""
    unknown: bool = False

    @property
    def words(self) -> str:
        """What that is called in a sentence."""
        if self.unknown:
            return "unknown to this server"
        if self.denied in {"keys", "channels"}:
            return f"denied on these {self.denied}"
        return "denied" if self.denied else f"answered by {self.code}"


def refused(text: str) -> Refused:
    """Read an error, of a command or of one within a script."""
    found = _CODE.match(text)
    code = found.group() if found else "ERR"
    if "nknown command" in text or "nknown Redis command" in text or "nknown subcommand" in text:
        return Refused(code, unknown=True)
    if code == "NOPERM" or any(words in text for words in _DENIED_IN_SCRIPT):
        kinds = [kind for kind in ("keys", "channels") if kind in text or f"{kind[:-1]} " in text]
        return Refused(code, denied=kinds[0] if kinds else "command")
    return Refused(code)


class Interview:
    """A connection to one server.

    Args:
        where: The server's address, for findings.
        protocol: The connection; taken over.
        limit: Seconds for each answer.

    Attributes:
        where: The same address.
        limit: The same seconds.
        protocol: The same connection.
    """

    def __init__(self, where: str, protocol: RespProtocol, limit: float) -> None:
        self.where = where
        self.limit = limit
        self.protocol = protocol

    @classmethod
    async def with_server(cls, server: RedisServer, where: str | None = None) -> Interview:
        """Connect to a server.

        Args:
            server: The server.
            where: Its address for findings, if that says more than the server's own.

        Raises:
            Exception: Whatever an attempt to connect raises; ``server.diagnose`` reads it.
        """
        protocol = await patiently(server.connect(), server.timeout, lambda late: late.abort())
        return cls(where or server.where, protocol, server.timeout)

    async def ask(self, *command: Any) -> Any:  # noqa: ANN401 - whatever Redis says
        """Return the reply to a command; what the server has against it as :class:`Refused`.

        Raises:
            Exception: If the connection ends, or no answer comes in time.
        """
        (reply,) = await self.ask_at_once(command)
        return reply

    async def ask_at_once(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Write several commands at once: if one of them arrives, so do the others.

        Returns:
            The reply to each, as of :meth:`ask`.

        Raises:
            Exception: As of :meth:`ask`.
        """
        asking = ask(self.protocol, *commands, to_the_end=True)
        replies = await patiently(asking, self.limit, lambda _: None)
        return [
            refused(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply
            for reply in replies
        ]

    def say(self, *commands: tuple[Any, ...]) -> None:
        """Write commands to whose replies nobody listens: the last words before :meth:`close`."""
        self.protocol.send(commands)

    async def config(self, name: str) -> str | None:
        """Return a setting of the server; None where it does not say."""
        reply = await self.ask("CONFIG", "GET", name)
        if isinstance(reply, Refused) or not reply:
            return None
        return str(reply[1])

    async def info(self) -> dict[str, str] | Refused:
        """Return what ``INFO`` tells, or what the server has against that."""
        reply = await self.ask("INFO")
        if isinstance(reply, Refused):
            return reply
        lines = (line.partition(":") for line in str(reply).splitlines())
        return {name: value for name, colon, value in lines if colon}

    async def hello(self) -> dict[str, str]:
        """Return what ``HELLO`` tells, which no ACL denies; nothing where it is not known."""
        reply = await self.ask("HELLO")
        if isinstance(reply, Refused) or not isinstance(reply, list):
            return {}
        return {str(name): str(value) for name, value in zip(reply[::2], reply[1::2], strict=False)}

    def close(self) -> None:
        """Hang up."""
        self.protocol.close()

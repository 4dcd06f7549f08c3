"""What the socket toy's client and server say to each other: lines of JSON.

A batch of verbs is one line, ``[[verb, *arguments], …]``, and so are its answers. A notice is an
object, ``{owner: status}``, and comes in between.
"""

from __future__ import annotations

import json
from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from nowserving.held import Absorbed
from nowserving.protocol.status import (
    Absorption,
    Admission,
    Departure,
    IssuedTicket,
    LinePicture,
    LineUpdate,
    PicturedTicket,
    State,
    TicketStatus,
)
from nowserving.stores._remote.protocol import RemoteProtocol
from tests.toys.verbs import Shown

if TYPE_CHECKING:
    from collections.abc import Callable

Batch = list[tuple[Any, ...]]


class JsonLines(RemoteProtocol):
    """The client's side of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self._unread = b""

    def send(self, said: object) -> None:
        if self._transport is not None:
            self._transport.write(pack(said))

    def data_received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._on_reply(json.loads(line))


def pack(said: object) -> bytes:
    return json.dumps(said, default=_plain).encode() + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    assert isinstance(value, Admission)
    redeem = value.redeem
    asked = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    return {**asked, "redeem": None if redeem is None else (int(redeem), redeem.secret)}


def read_verb(verb: str, *args: Any) -> tuple[Any, ...]:
    """Return a verb with its arguments, as the server carries it out."""
    read = list(args)
    if verb == "take":
        redeem = args[2]["redeem"]
        read[2] = Admission(**{**args[2], "redeem": redeem and IssuedTicket(*redeem)})
    elif verb in {"leave", "renew", "finish", "release", "superseded", "absorb"}:
        read[1] = Shown(*args[1])
    elif verb == "park":
        read[2] = Shown(*args[2])
    elif verb == "poll":
        read[1] = [Shown(*ticket) for ticket in args[1]]
    return (verb, *read)


def read_status(answer: Any) -> TicketStatus:
    return TicketStatus(State(answer[0]), *answer[1:])


def read_answer(verb: str, answer: Any) -> Any:
    """Return an answer, as whoever has asked wants it."""
    return _READERS.get(verb, _as_it_is)(answer)


def _as_it_is(answer: Any) -> Any:
    return answer


def _read_line(answer: Any) -> LinePicture | None:
    return answer and LinePicture(answer[0], tuple(PicturedTicket(*ticket) for ticket in answer[1]))


def _read_absorption(answer: Any) -> Absorption:
    holder, count, more, tickets, repeated = answer
    absorbed = tuple(Absorbed(*ticket) for ticket in tickets)
    return Absorption(read_status(holder), count, more, absorbed, repeated)


def _read_update(answer: Any) -> LineUpdate:
    serving, blocked_for, news = answer
    return LineUpdate(serving, blocked_for, {o: read_status(status) for o, status in news.items()})


_READERS: dict[str, Callable[[Any], Any]] = {
    "take": read_status,
    "park": read_status,
    "renew": read_status,
    "absorb": _read_absorption,
    "leave": lambda answer: Departure(*answer),
    "poll": _read_update,
    "line": _read_line,
    "holder": lambda answer: answer and PicturedTicket(*answer),
}

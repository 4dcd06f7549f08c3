"""One conversation as the Lua verbs decide it, on a clock of our own: replies and state, read."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowserving.protocol.status import (
    NOT_ISSUED,
    Absorption,
    Departure,
    LinePicture,
    LineUpdate,
    PicturedTicket,
    TicketStatus,
    absorbed_by,
)
from nowserving.stores._lines import Tombstone
from nowserving.stores.redis.extras import (
    decode_extras,
    decode_why,
    encode_extras,
    encode_why,
    known_text,
)
from nowserving.stores.redis.queue import policy_of
from nowserving.stores.redis.replies import (
    MICROSECONDS,
    NOTHING_MORE,
    parse_absorption,
    parse_answer,
    parse_departure,
    parse_line,
    parse_poll,
    parse_status,
    parse_superseded,
)
from tests.support import scripts
from tests.toys.rows import RowTicket

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import redis

    from nowserving.protocol.status import Admission, IssuedTicket, Outcome
    from nowserving.stores._lines.storage import Handle
    from nowserving.stores.redis.script import Script

Mail = list[tuple[str, TicketStatus]]

_INBOX = "in:"
_WHY = {"-": "", "X": "superseded", "G released": "released"}
_BEYOND = 2**53 - 1


@dataclass
class LineState:
    """All that is decided about a line and kept of it.

    Attributes:
        messages: For each message that is known the number of its live ticket, or until when it is
            remembered.
        tombstones: Those whose time is not over.
        absorbing: How many the holder has absorbed, and up to which number; None if it never asked.
    """

    next: int = 0
    serving: int = 0
    token: int = 0
    predecessor: str = "none"
    superseded_below: int = 0
    settles_until: float = 0.0
    burst_since: float = 0.0
    opened: bool = False
    tickets: dict[int, RowTicket] = field(default_factory=dict)
    messages: dict[str, int | float] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    absorbing: tuple[int, int] | None = None


class LuaLine:
    """A line in Redis.

    Args:
        client: Where it is.
        script: Who decides, on our clock.
        late: For how many seconds an attempt of a take can be late.
    """

    key = "lock:{decided}"

    def __init__(self, client: redis.Redis, script: Script, late: float) -> None:
        self._client = client
        self._script = client.register_script(script.source)
        self._late = _us(late)
        self._highest_token = 0
        self._inbox = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._inbox.psubscribe(f"{_INBOX}*")
        self._counter = itertools.count()
        self.forget()

    def close(self) -> None:
        self._inbox.close()

    def forget(self) -> None:
        """Let the record expire; what is remembered of messages has its own time."""
        self._client.delete(self.key)

    def forget_all(self) -> None:
        """Know nothing any more."""
        self._client.delete(self.key, *self._client.scan_iter(f"{self.key}:*"))

    def at(self, now: float, highest_token: int) -> None:
        """Set the clock, and the highest fencing token that the caller has seen."""
        scripts.set_clock(self._client, _us(now))
        self._highest_token = highest_token

    # The verbs

    def take(self, owner: str, admission: Admission, *, repeated: bool) -> TicketStatus:
        limit = -1 if admission.max_waiting is None else admission.max_waiting
        how = _flags(admission), policy_of(admission), limit, *_names(admission)
        reply = self._say("take", owner, _us(admission.lifetime), *how, int(repeated))
        return parse_status(reply)

    def redeem(self, issued: IssuedTicket, owner: str, admission: Admission) -> TicketStatus:
        how = _us(admission.lifetime), _flags(admission), *_names(admission)
        return parse_status(self._say("redeem", int(issued), issued.secret or "-", owner, *how))

    def park(self, handle: Handle, issued: IssuedTicket, lifetime: float) -> TicketStatus:
        args = int(issued), handle.owner, issued.secret or "-", _us(lifetime)
        return parse_status(self._say("park", *args))

    def absorb(self, handle: Handle, most: int) -> Absorption:
        page = parse_absorption(self._say("absorb", handle.number, handle.owner, most, -1))
        assert page.on == NOTHING_MORE
        return Absorption(page.holder, page.taken, page.more, tuple(page.tickets))

    def leave(
        self, handle: Handle, outcome: Outcome, known: Collection[int] | None = None
    ) -> Departure:
        if outcome == "done" and known is not None:
            asked = handle.number, handle.owner, known_text(known)
            return parse_departure(self._say("leave_knowing", *asked))
        return parse_departure(self._say("leave", handle.number, handle.owner, outcome))

    def renew(self, handle: Handle, lifetime: float) -> TicketStatus:
        return parse_status(self._say("renew", handle.number, handle.owner, _us(lifetime)))

    def poll(self, handles: Sequence[Handle]) -> LineUpdate:
        asked = [word for handle in handles for word in (handle.number, handle.owner)]
        seen = parse_poll(self._say("poll", *asked))
        news = {handles[which].owner: status for which, status in seen.news.items()}
        return LineUpdate(seen.serving, seen.blocked_for, news)

    def line(self) -> LinePicture | None:
        page = parse_line(self._say("line", -1))
        return None if page is None else LinePicture(page.next_number, tuple(page.tickets))

    def holder(self) -> PicturedTicket | None:
        page = parse_line(self._say("line", -1, 1))
        first = page.tickets[0] if page is not None and page.tickets else None
        return None if first is None or first.served_for is None else first

    def save(self, lefts: Mapping[int, float], seen_below: int) -> None:
        text = " ".join(f"{number} {_us(left)}" for number, left in sorted(lefts.items()))
        last = max((number for number, left in lefts.items() if left > 0), default=-1)
        whole = _BEYOND, 1, min(lefts, default=0), last, text
        reply = self._say("save", seen_below, 0, *whole)
        while reply != "ok":
            reply = self._say("save", seen_below, reply, *whole)

    def delete(self) -> None:
        assert self._say("delete") == "ok"

    def finish(self, issued: IssuedTicket, nonce: str, *, keep: bool) -> bool:
        args = int(issued), issued.secret or "-", int(keep), nonce
        return bool(self._say("finish", *args) == "1")

    def release(self, handle: Handle, reason: str) -> bool:
        return parse_answer(
            self._say("release", handle.number, handle.owner or "-", encode_why(reason))
        )

    def _say(self, verb: str, *args: object) -> Any:
        reply = self._once(verb, *args)
        while self._once("sweep") != "ok":
            pass
        self._client.persist(self.key)  # a slow test is no failure
        if isinstance(reply, list):
            return [reply[0].removeprefix("+"), *reply[1:]]
        return reply.removeprefix("+") if isinstance(reply, str) else reply

    def _once(self, verb: str, *args: object) -> Any:
        header: list[Any] = [self._highest_token, _INBOX, self._late, verb, len(args), *args]
        reply = self._script(keys=[self.key], args=header)[0]
        assert not str(reply).startswith(("!", "?")), reply
        return reply

    # What can be seen afterwards

    def mail(self) -> Mail:
        """Return what has been sent since this was asked last."""
        last = f"{next(self._counter)} last"
        self._client.publish(f"{_INBOX}last", last)
        mail: Mail = []
        for message in self._inbox.listen():
            if message["data"] == last:
                break
            _, owner, text = message["data"].split(" ", 2)
            mail.append((owner, parse_status(text)))
        return mail

    def kept_until(self) -> float:
        """Return until when the record is kept; 0 if there is none."""
        return int(self._client.hget(self.key, "kept_until") or 0) / MICROSECONDS

    def state(self, now: float) -> LineState | None:
        """Return the record, None if there is none."""
        fields: Any = self._client.hgetall(self.key)
        if not fields:
            return None
        settles_until, burst_since, _ = fields.get("held_back", "0 0 0").split(" ")
        state = LineState(
            next=int(fields["next"]),
            serving=int(fields["serving"]),
            token=int(fields["token"]),
            predecessor=fields.get("predecessor", "none"),
            superseded_below=int(fields.get("superseded_below", 0)),
            settles_until=int(settles_until) / MICROSECONDS,
            burst_since=int(burst_since) / MICROSECONDS,
            opened="opened" in fields,
        )
        for name, text in fields.items():
            kind, _, what = name.partition(":")
            if name.isdecimal():
                extras = fields.get(f"e:{name}", "- -")
                state.tickets[int(name)] = _read_ticket(int(name), text, extras)
                if "s" in text.split(" ")[3]:
                    state.tickets[int(name)].answers = parse_superseded(fields[f"a:{name}"])
                asks = re.search(r"n(\d+)\.(\d+)", text.split(" ")[3])
                if asks and int(name) == state.serving:
                    state.absorbing = int(asks[2]), int(asks[1])
            elif kind == "m":
                state.messages[what] = int(text)
            elif kind == "x":
                until, number, _, why = text.split(" ", 3)
                if int(until) > _us(now):
                    state.tombstones[what] = Tombstone(int(number), _WHY.get(why) or _reason(why))
        for key in self._client.scan_iter(f"{self.key}:done:*"):
            end: Any = self._client.hget(key, "until")
            state.messages.setdefault(key.rpartition(":")[2], int(end) / MICROSECONDS)
        return state


def _read_ticket(number: int, text: str, extras: str) -> RowTicket:
    expires, lifetime, since, flags, owner, *rest = text.split(" ")
    mark = re.search(r"a(\d+)", flags)
    message, _, remember_for = rest[0].partition("~") if rest else ("", "", "")
    label, message_id = decode_extras(extras)
    assert message == (message_id or "." if message_id or label else "")
    waits = since == "0" or since.startswith("-")
    joined = 0.0
    if since == "0":
        joined = in_hundredths((int(expires) - int(lifetime) * 1000) / MICROSECONDS)
    elif waits:
        joined = -int(since) / 100
    return RowTicket(
        number=number,
        owner="" if owner == "-" else owner,
        expires=int(expires) / MICROSECONDS,
        lifetime=int(lifetime) / 1000,
        claimed="c" in flags,
        renewed="r" in flags,
        served_at=None if waits else int(since) / 1000,
        joined=-int(since) / 100
        if since.startswith("-")
        else in_hundredths(joined)
        if waits
        else 0.0,
        interrupted="i" in flags,
        message_id=message_id,
        label=label,
        absorbed_by=int(mark[1]) if mark else NOT_ISSUED,
        remember_for=int(remember_for) / 1000 if remember_for else None,
    )


def in_hundredths(moment: float) -> float:
    """Return a moment as a ticket keeps it that did not join a lifetime before it expires."""
    return math.floor(moment * 100 + 1e-4) / 100


def _reason(why: str) -> str:
    if why.startswith("A "):
        return absorbed_by(int(why[2:]))
    return decode_why(why.removeprefix("G ")) if why.startswith("G") else ""


def _flags(admission: Admission) -> str:
    return ("c" if admission.claimed else "") + ("r" if admission.renewed else "") or "-"


def _names(admission: Admission) -> tuple[str, str]:
    message, remember_for = admission.message_id or "-", admission.remember_for
    if remember_for is not None:
        message = f"{message}~{round(remember_for * 1000)}"
    return message, encode_extras(admission.label, admission.message_id)


def _us(seconds: float) -> int:
    return round(seconds * MICROSECONDS)

"""What the Lua verbs answer, read: statuses, lines, departures and errors."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nowserving.errors import CorruptLock, IncompatibleRecord, LockError, StoreUnavailable
from nowserving.held import Absorbed
from nowserving.lock import Superseded
from nowserving.protocol import names
from nowserving.protocol.status import (
    ABSORBED,
    ANSWERS,
    INTERRUPTED,
    SERVED,
    Departure,
    PicturedTicket,
    State,
    TicketStatus,
    absorbed_by,
)
from nowserving.stores.redis.extras import decode_extras, decode_why

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MICROSECONDS = 1_000_000
_SERVED_FIELDS = 7
"""Words of the status of a served ticket that answers for nobody else."""
_STATES = {state.value: state for state in State}


_Reply = TypeVar("_Reply")
_Read = TypeVar("_Read")


def _making_sense(read: Callable[[_Reply], _Read]) -> Callable[[_Reply], _Read]:
    """Have a reader raise ``StoreUnavailable`` of a reply that its verb never gives."""

    @wraps(read)
    def read_or_raise(reply: _Reply) -> _Read:
        try:
            return read(reply)
        except (IndexError, KeyError, TypeError, ValueError):
            error = StoreUnavailable(
                "Redis's answer to a lock command makes no sense: is there something between us "
                "and Redis that changes what it says?"
            )
        raise error  # here, where nothing that quotes the reply is a context of it

    return read_or_raise


@_making_sense
def parse_status(text: str) -> TicketStatus:
    """Read a status as ``take.lua`` documents it."""
    fields = text.split(" ")
    state = _STATES[fields[0]]
    if state is SERVED or state is INTERRUPTED:
        left = int(fields[3]) / MICROSECONDS
        more = ANSWERS if len(fields) > _SERVED_FIELDS else ""
        return TicketStatus(state, int(fields[1]), 0, left, left, int(fields[5]), fields[6], more)
    if state is State.WAITING:
        left, blocked = int(fields[3]) / MICROSECONDS, int(fields[4]) / MICROSECONDS
        return TicketStatus(state, int(fields[1]), int(fields[2]), left, blocked)
    if state is State.BUSY:
        since = int(fields[2]) / MICROSECONDS
        return TicketStatus(state, ahead=int(fields[1]), detail=fields[3], since=since)
    if state is State.DUPLICATE:
        return TicketStatus(state, detail=fields[1])
    letter, number, *reason = text.split(" ", 2)
    return TicketStatus(state, int(number), detail=_why_gone(letter, *reason))


def _why_gone(letter: str, reason: str = "") -> str:
    """Return the ``detail`` of a ticket that is gone, from what its tombstone says."""
    if letter == State.SUPERSEDED.value:
        return "superseded"
    if letter == State.ABSORBED.value:
        return absorbed_by(int(reason)) if reason else ABSORBED
    return decode_why(reason)


class PollReply(NamedTuple):
    """What ``poll.lua`` says.

    Attributes:
        serving: The number that is served.
        blocked_for: Seconds until the line may move on without a push to the last one asked about.
        version: Changes whenever a ticket is taken out by another than its owner; empty if there is
            none.
        owner: Whose ticket is served; ``"-"`` for nobody's.
        served: Its status, None for nobody's.
        news: The status of each ticket asked about that does not merely wait, by its place
            among them.
    """

    serving: int
    blocked_for: float
    version: str
    owner: str
    served: TicketStatus | None
    news: dict[int, TicketStatus]


@_making_sense
def parse_poll(reply: Sequence[str]) -> PollReply:
    """Read what ``poll.lua`` says."""
    _check_list(reply)
    serving, blocked_for, version, owner, served, *news = reply
    told = (text.partition(" ") for text in news)
    return PollReply(
        serving=int(serving),
        blocked_for=int(blocked_for) / MICROSECONDS,
        version=_version(version),
        owner=owner,
        served=None if served == "-" else parse_status(served),
        news={int(which): parse_status(text) for which, _, text in told},
    )


def version_of(reply: str) -> str:
    """Return the version in the reply to a take or a stand; empty if the ticket does not wait."""
    return _version(reply.rpartition(" ")[2]) if reply[0] == State.WAITING.value else ""


def _version(text: str) -> str:
    return "" if text == "0" else text  # of an older record, or of one that is not there


_DEPARTURES = {
    f"{left:d} {waiting:d}": Departure(left=left, someone_waiting=waiting)
    for left in (False, True)
    for waiting in (False, True)
}
_ANSWERS = {"0": False, "1": True}


@_making_sense
def parse_departure(text: str) -> Departure:
    """Read what ``leave.lua`` says."""
    known = _DEPARTURES.get(text)
    if known is not None:
        return known
    answer, letter, reason = text[:3], text[4:5], text[6:]
    return _DEPARTURES[answer]._replace(why=_why_gone(_STATES[letter].value, reason))


@_making_sense
def parse_answer(text: str) -> bool:
    """Read what ``finish.lua`` says."""
    return _ANSWERS[text]


@_making_sense
def parse_superseded(text: str) -> Superseded:
    """Read what ``superseded.lua`` says."""
    count, *lines = text.split("\n")
    told = (line.partition(" ") for line in lines)
    return Superseded(
        [decode_extras(f"- {message}")[1] or int(number) for number, _, message in told],
        int(count),
    )


@_making_sense
def parse_progress(text: str) -> int | None:
    """Read what ``save.lua`` says: the number to go on from, None when all is done."""
    return None if text == "ok" else int(text)


class AbsorptionPage(NamedTuple):
    """What ``absorb.lua`` says; see ``Absorption``.

    Attributes:
        holder: The holder's status.
        taken: How many it has absorbed.
        more: Whether somebody waits whom it might absorb.
        on: The number from which to go on; ``NOTHING_MORE`` when that was all.
        tickets: Those absorbed up to there.
    """

    holder: TicketStatus
    taken: int
    more: bool
    on: int
    tickets: list[Absorbed]


@_making_sense
def parse_absorption(reply: Sequence[str]) -> AbsorptionPage:
    """Read what ``absorb.lua`` says."""
    _check_list(reply)
    holder = parse_status(reply[0])
    if len(reply) == 1:
        return AbsorptionPage(holder, 0, more=False, on=NOTHING_MORE, tickets=[])
    _, taken, more, on, *texts = reply
    tickets = []
    for text in texts:
        number, waited, extras = text.split(" ", 2)
        label, message_id = decode_extras(extras)
        waited_for = int(waited) / MICROSECONDS
        tickets.append(Absorbed(int(number), message_id, label, waited_for))
    return AbsorptionPage(holder, int(taken), _ANSWERS[more], int(on), tickets)


class LinePage(NamedTuple):
    """What ``line.lua`` says.

    Attributes:
        next_number: The number of the next ticket to be issued.
        on: The number from which to go on; ``NOTHING_MORE`` when that was all.
        tickets: The live tickets up to there.
    """

    next_number: int
    on: int
    tickets: list[PicturedTicket]


NOTHING_MORE = -1
"""Where there is no number to go on from."""


@_making_sense
def parse_line(reply: Sequence[str] | None) -> LinePage | None:
    """Read what ``line.lua`` says."""
    if reply is None:
        return None
    _check_list(reply)
    next_number, on, *texts = reply
    tickets = []
    for text in texts:
        number, expires_in, served_for, owner, waited, name, message, *state = text.split(" ")
        label, message_id = decode_extras(f"{name} {message}")
        tickets.append(
            PicturedTicket(
                number=int(number),
                expires_in=int(expires_in) / MICROSECONDS,
                owner="" if owner == "-" else owner,
                served_for=None if served_for == "-1" else int(served_for) / MICROSECONDS,
                waited=None if waited == "-1" else int(waited) / MICROSECONDS,
                label=label,
                message_id=message_id,
                claimed="unclaimed" not in state,
                absorbed="absorbed" in state,
                settling="settling" in state,
            )
        )
    return LinePage(int(next_number), int(on), tickets)


def _check_list(reply: object) -> None:
    if not isinstance(reply, list):  # a text can be unpacked as well
        raise TypeError


def parse_key(key: str, prefix: bytes) -> str:
    """Return the conversation of a key that ``SCAN`` found; empty if it can't be one of ours."""
    stored = key.encode("utf-8", "surrogateescape")  # the bytes that were read as this text
    try:
        return names.decode(stored[len(prefix) + 1 : -1])
    except UnicodeDecodeError:
        return ""


def error_of(text: str, key: str) -> LockError:
    """Make the error for a verb's ``!`` reply, which names what Redis said.

    Args:
        text: The reply without its ``!``.
        key: The record's key, for the message.
    """
    if "WRONGTYPE" in text:
        return _corrupt("it holds a value of another type", key)
    _, corrupt, what = text.partition("CORRUPT ")
    if corrupt:
        return _corrupt(what, key)
    _, incompatible, numbers = text.partition("INCOMPATIBLE ")
    if incompatible:
        return _incompatible(numbers, key)
    return StoreUnavailable(f"Redis refused a lock command on {key!r}: {text}")


def _corrupt(what: str, key: str) -> CorruptLock:
    error = CorruptLock(
        f"The Redis key {key!r} does not hold a nowserving lock: {what}. It was left untouched; "
        "rename or delete it, or give the lock store a key_prefix of its own."
    )
    error.key = key
    return error


def _incompatible(numbers: str, key: str) -> IncompatibleRecord:
    found, supported = (int(number) for number in numbers.split()[:2])
    error = IncompatibleRecord(
        f"The record at the Redis key {key!r} was written by a newer nowserving (protocol {found}; "
        f"this process knows up to {supported}). It was left untouched. Upgrade this process, or "
        "give the newer ones a key_prefix of their own until all are upgraded (docs/upgrading.md)."
    )
    error.key, error.found, error.supported = key, found, supported
    return error


@_making_sense
def parse_events(reply: str | list[str]) -> list[tuple[str, float, str]]:
    """Read events as ``history.lua`` documents them: id, Unix time and text of each."""
    if isinstance(reply, str):
        return []
    found = [text.split(" ", 2) for text in reply]
    return [(identity, int(at) / MICROSECONDS, text) for identity, at, text in found]


@_making_sense
def parse_kept(reply: str | list[str]) -> list[tuple[str, float, str]]:
    """Read the events of a conversation: nothing, Unix time and text of each."""
    if isinstance(reply, str):
        return []
    found = [text.split(" ", 1) for text in reply]
    return [("", int(at) / MICROSECONDS, text) for at, text in found]

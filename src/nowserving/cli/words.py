"""Figures and tickets in words, the same in every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving import LockBusy, LockSuperseded, LockTimeout
from nowserving.cli.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowserving import Holder, LineTicket, LockError

NOTHING = "\N{EN DASH}"
"""What stands where nothing is known."""

_WITH_HOLDER = (LockBusy, LockTimeout, LockSuperseded)

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_TENTHS_BELOW = 100.0  # seconds


def duration(seconds: float | None) -> str:
    """Return a duration in words: ``850 ms``, ``12.3 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def process(host: str | None, pid: int | None) -> str:
    """Return where a ticket's owner runs, safe to show."""
    if host is None or pid is None:
        return NOTHING
    return f"{safe(host)} (pid {pid})"


def whose(ticket: LineTicket, now: float) -> str:
    """Return in a sentence's end whose ticket it is, safe to show.

    Args:
        ticket: The ticket, as ``inspect`` shows it.
        now: Unix time when it was looked at.
    """
    said = [f"ticket {ticket.number}", *_what_is_known(ticket)]
    if ticket.since is not None:
        said.append(f"for {duration(now - ticket.since)}")
    return ", ".join(said)


def holder_of(error: LockError) -> str:
    """Return in a sentence who was in the way, safe to show; empty if the error does not know."""
    holder = error.holder if isinstance(error, _WITH_HOLDER) else None
    known = [] if holder is None else [*_what_is_known(holder)]
    return f"Its holder: {', '.join(known)}." if known else ""


def _what_is_known(of: LineTicket | Holder) -> Iterator[str]:
    if of.message_id is not None:
        yield f"message {safe(of.message_id)}"
    if of.label is not None:
        yield f"label {safe(of.label)}"
    if of.host is not None:
        yield f"on {process(of.host, of.pid)}"

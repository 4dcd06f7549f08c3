"""What each verb does: give the decisions a line, and answer. Several share a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nowserving._host.process import Process
from nowserving.lock import Superseded
from nowserving.protocol import names
from nowserving.protocol.status import (
    NOT_ISSUED,
    Absorption,
    Departure,
    LineUpdate,
    State,
    TicketStatus,
)
from nowserving.stores import _lines
from nowserving.stores.sqlite.events import EventRows
from nowserving.stores.sqlite.line import RowLine
from nowserving.stores.sqlite.ticket import RowTicket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nowserving.protocol.status import (
        Admission,
        IssuedTicket,
        LinePicture,
        Outcome,
        PicturedTicket,
    )
    from nowserving.stores._lines import Tokens
    from nowserving.stores.sqlite.database import Database
    from nowserving.stores.sqlite.handle import SQLiteHandle
    from nowserving.stores.sqlite.kept import KeptLines

_PAGE = 500

_NEAR = 4
"""Numbers for each ticket that is asked about, up to which all between them are read."""


class Shown(NamedTuple):
    """A ticket as somebody else than its owner names it."""

    number: int
    owner: str


class Verbs:
    """The verbs of one transaction.

    Args:
        database: The database, in a transaction.
        tokens: Where fencing tokens come from.
        kept: The lines that are known from the transactions before.
        now: The moment, on the machine's clock. It is read within the transaction, so it never
            falls from one to the next unless the clock was set back.
    """

    def __init__(self, database: Database, tokens: Tokens, kept: KeptLines, now: float) -> None:
        self._database = database
        self._tokens = tokens
        self._kept = kept
        self._now = now
        self._lines: dict[bytes, RowLine | None] = {}
        self._undo: list[Callable[[], None]] = []

    # The end of the transaction

    def write(self) -> list[tuple[str, TicketStatus]]:
        """Write what has changed.

        Returns:
            Who is to be told of what, once it is committed.
        """
        mail = []
        for line in self._lines.values():
            if line is not None:
                line.write()
                mail += [(ticket.owner, news) for ticket, news in line.mail if ticket.owner]
        return mail

    def keep(self) -> None:
        """Keep the lines for the next transaction, once this one is committed."""
        self._kept.keep(self._lines)

    def undo(self) -> None:
        """Have the handles forget what was not committed."""
        self._kept.clear()
        for undo in reversed(self._undo):
            undo()

    # What turns are made of

    def take(self, handle: SQLiteHandle, admission: Admission) -> TicketStatus:
        """Join the line, or claim an issued ticket; the handle learns its number."""
        ticket, issued = RowTicket(handle.owner), admission.redeem
        if issued is None:
            line = self._line_of(handle.conversation_id)
            status = _lines.take(line, ticket, admission, self._now)
        else:
            known = self._known_line_of(handle.conversation_id)
            if known is None:
                return TicketStatus(State.GONE, int(issued))
            status = _lines.redeem(known, issued, ticket, admission, self._now)
        self._undo.append(handle.forget)
        handle.number = status.number
        return status

    def leave(self, handle: SQLiteHandle, outcome: Outcome) -> Departure:
        """Give the ticket back and serve the next one."""
        if handle.number == NOT_ISSUED:  # its take was refused, or not carried out, and never is
            return Departure(left=False, someone_waiting=False)
        line = self._known_line_of(handle.conversation_id)
        if line is None:
            return Departure(left=handle.left, someone_waiting=False)
        departure = _lines.leave(line, handle, outcome, self._now, handle.known_absorbed)
        if departure.left:
            self._undo.append(handle.come_back)
            handle.left = True
        elif handle.left:  # said again: nobody had the answer
            return departure._replace(left=True, why="")
        return departure

    def park(self, handle: SQLiteHandle, issued: IssuedTicket, lifetime: float) -> TicketStatus:
        """Leave a redeemed ticket in line."""
        line = self._known_line_of(handle.conversation_id)
        if line is None:
            return TicketStatus(State.GONE, int(issued))
        shown, parked = Shown(int(issued), handle.owner), RowTicket(issued.secret)
        return _lines.park(line, shown, issued, parked, lifetime, self._now)

    def absorb(self, handle: SQLiteHandle, most: int) -> Absorption:
        """Take those who wait into the holder's turn."""
        line = self._known_line_of(handle.conversation_id)
        if line is None:
            return Absorption(TicketStatus(State.GONE, handle.number))
        return _lines.absorb(line, handle, most, self._now)

    def renew(self, handle: SQLiteHandle, lifetime: float) -> TicketStatus:
        """Give a ticket its lifetime anew, or tell its status."""
        line = self._known_line_of(handle.conversation_id)
        if line is None:
            return TicketStatus(State.GONE, handle.number)
        return _lines.renew(line, handle, lifetime, self._now)

    def poll(self, conversation_id: str, handles: Sequence[SQLiteHandle]) -> LineUpdate:
        """Tell what is new of many tickets of one line."""
        line = self._known_line_of(conversation_id)
        if line is None:
            news = {handle.owner: TicketStatus(State.GONE, handle.number) for handle in handles}
            return LineUpdate(serving=0, blocked_for=0.0, news=news)
        numbers = [handle.number for handle in handles]
        if numbers and max(numbers) - min(numbers) <= _NEAR * len(numbers):
            line.between(min(numbers), max(numbers))  # in one go: they are known from now on
        return _lines.poll(line, handles, self._now)

    def superseded(self, handle: SQLiteHandle) -> Superseded:
        """Return the messages that had to leave for a ticket."""
        line = self._known_line_of(handle.conversation_id)
        return Superseded() if line is None else _lines.superseded_by(line, handle)

    # For the reference's methods and for operators

    def line(self, conversation_id: str) -> LinePicture | None:
        """Return the line."""
        line = self._known_line_of(conversation_id)
        return None if line is None else _lines.picture(line, self._now)

    def holder(self, conversation_id: str) -> PicturedTicket | None:
        """Return the ticket that is served."""
        line = self._known_line_of(conversation_id)
        return None if line is None else _lines.holder(line, self._now)

    def save(self, conversation_id: str, lefts: Mapping[int, float], seen_below: int) -> None:
        """Merge a caller's picture of the line."""
        line = self._line_of(conversation_id)
        _lines.save(line, lefts, seen_below, RowTicket, self._now)

    def delete(self, conversation_id: str) -> None:
        """Remove every ticket."""
        line = self._known_line_of(conversation_id)
        if line is not None:
            _lines.delete(line, self._now)

    def finish(
        self, conversation_id: str, issued: IssuedTicket, own_prefix: str, *, keep: bool
    ) -> bool:
        """Remove an issued ticket by its number."""
        line = self._known_line_of(conversation_id)
        return line is not None and _lines.finish(line, issued, own_prefix, self._now, keep=keep)

    def release(self, conversation_id: str, shown: Shown, reason: str) -> bool:
        """Take a ticket out, whoever has it."""
        line = self._known_line_of(conversation_id)
        return line is not None and _lines.release(line, shown, reason, self._now)

    def conversations(self, behind: int) -> tuple[int, list[str]]:
        """Return a page of names, and behind what the next one begins; an empty one is the last."""
        rows = self._database.execute("list_lines", behind, _PAGE)
        return rows[-1][0] if rows else behind, [names.decode(name) for _, name in rows]

    # Processes

    def processes(self, found: Iterable[str]) -> dict[str, Process]:
        """Return what is known of processes, by name."""
        known = {}
        for name in found:
            for host, pid, started, _ in self._database.execute("find_process", name):
                known[name] = Process(host, pid, started)
        return known

    def add_process(self, name: str, process: Process, address: bytes) -> None:
        """Note a process."""
        self._database.write("add_process", name, *process, address)

    def address_of(self, name: str) -> bytes:
        """Return where a process is told of its tickets; empty where it can't be."""
        found = self._database.execute("find_process", name)
        return bytes(found[0][3]) if found else b""

    def bury_process(self, name: str) -> None:
        """Have the tickets of a process that is gone expire now, and the lines move on.

        To be said alone: what other verbs of the transaction know of these lines would be old.
        """
        self._kept.clear()
        owners = f"{name}.", f"{name}/"
        for (line_id,) in self._database.execute("find_lines_of_process", *owners):
            self._database.write("expire_tickets_of_process", self._now, *owners, line_id)
            rows = self._database.execute("find_line_by_id", line_id)
            if rows:
                line = RowLine(self._database, self._tokens, rows, self._now)
                self._lines[line.name] = line
                _lines.promote(line, self._now)
        self._database.write("drop_process", name)

    # What happened

    def events(self) -> EventRows:
        """Return the tables of events."""
        return EventRows(self._database, self._now)

    # Tidying up

    def sweep(self, most: int) -> bool:
        """Drop some of what nobody needs any more.

        Returns:
            Whether there may be more of it.
        """
        idle = self._database.execute("find_idle_lines", self._now, most)
        if idle:
            self._kept.clear()
        for statement in ("drop_tickets_of_line", "drop_tombstones_of_line", "drop_line"):
            self._database.execute_many(statement, idle)
        self._database.write("forget_messages", self._now, most)
        self._database.write("forget_tombstones", self._now, most)
        return len(idle) == most

    # Lines

    def _known_line_of(self, conversation_id: str) -> RowLine | None:
        name = names.encode(conversation_id)
        if name in self._lines:
            return self._lines[name]
        line = self._kept.take_up(name, self._now)
        if line is None:
            rows = self._database.execute("find_line", name)
            line = RowLine(self._database, self._tokens, rows, self._now) if rows else None
        self._lines[name] = line
        return line

    def _line_of(self, conversation_id: str) -> RowLine:
        line = self._known_line_of(conversation_id)
        if line is None:
            name = names.encode(conversation_id)
            self._database.write("add_line", name, self._now)
            rows = self._database.execute("find_line", name)
            line = self._lines[name] = RowLine(self._database, self._tokens, rows, self._now)
        return line

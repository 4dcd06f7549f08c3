"""One conversation's rows, as the verbs of a transaction see and change them."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

from nowserving.protocol import names
from nowserving.stores._lines import Absorbing
from nowserving.stores.sqlite.ticket import RowTicket, all_columns, changing_columns, read_ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.status import TicketStatus
    from nowserving.stores._lines import Tokens
    from nowserving.stores._lines.storage import Handle
    from nowserving.stores.sqlite.database import Database

_TOLD_FOR = 20.0
"""Seconds for which is noted why somebody else has taken a ticket out; the owner was told as well,
and asks every ``wait_time_in_seconds``."""

_COLUMNS = 13
"""How many the row of a line has."""

_FIRST_ONES = 2
"""How many tickets are read with it."""

_READ_AHEAD = 16
"""How many more tickets are read with one that is not known: they are served one after another."""

_ALL = sys.maxsize

_MOST_KEPT = 32
"""Tickets with which a line is kept for the next transaction; of a longer one, its first."""

_A_FEW = 8
"""Old notes that go with each new one."""


class RowLine:
    """A line in rows: a ``LineStorage``.

    Tickets are written when they change, the line's own row once, at the end (:meth:`write`). What
    was read of a ticket is kept until then, so each has one object; and longer, while nobody else
    writes (``kept.py``).

    Args:
        database: The database, in a transaction.
        tokens: Where fencing tokens come from.
        rows: Its row, beside its first tickets, as ``lines.sql`` selects them.
        now: The moment.
    """

    def __init__(
        self, database: Database, tokens: Tokens, rows: list[tuple[Any, ...]], now: float
    ) -> None:
        (
            self._id,
            self.name,
            self.next,
            self.serving,
            self.token,
            self.predecessor,
            self.superseded_below,
            self.settles_until,
            self.burst_since,
            opened,
            absorbing,
            self.kept_until,
            written,
        ) = rows[0][:_COLUMNS]
        self.tokens = tokens
        self.opened = bool(opened)
        self.absorbing = None if absorbing is None else Absorbing(*json.loads(absorbing))
        self.mail: list[tuple[RowTicket, TicketStatus]] = []
        self._database = database
        self._now = now
        self._known: dict[int, RowTicket | None] = {}
        self._written = self._fields()
        self._written_at = written
        if now < written:
            self._set_back(written - now)
            self._seen = -1, -2
            return
        for row in rows:
            if row[_COLUMNS] is not None:
                self._known[row[_COLUMNS]] = read_ticket(row[_COLUMNS:])
        # All tickets with numbers from the first to the last of these are known.
        self._seen = self.serving, _ALL if len(self._known) < _FIRST_ONES else max(self._known)

    def _fields(self) -> tuple[Any, ...]:
        return (
            self.next,
            self.serving,
            self.token,
            self.predecessor,
            self.superseded_below,
            self.settles_until,
            self.burst_since,
            self.opened,
            None if self.absorbing is None else json.dumps(self.absorbing),
            self.kept_until,
        )

    def take_up(self, now: float) -> bool:
        """Go on with it in another transaction, in which nobody else has written.

        Returns:
            Whether that can be done; else it has to be read again.
        """
        if now < self._written_at:
            return False
        if len(self._known) > _MOST_KEPT:
            self._keep_first_ones()
        self._now = now
        self.mail = []
        return True

    def _keep_first_ones(self) -> None:
        first = max(self._seen[0], self.serving)
        known = self._known_between(first, self._seen[1])[: _MOST_KEPT // 2]
        self._known = {ticket.number: ticket for ticket in known}
        self._seen = self._seen[0], known[-1].number if known else self._seen[0] - 1

    def _set_back(self, seconds: float) -> None:
        """Shift every moment: the clock was set back, and all durations are to stay what they were.

        What has passed since the line was written last is not known, and counts as nothing.
        """
        self._database.write("shift_tickets", seconds, seconds, seconds, self._id)
        self.kept_until -= seconds
        if self.settles_until:
            self.settles_until -= seconds
            self.burst_since -= seconds

    def write(self) -> None:
        """Write the line's own row, if anything in it has changed."""
        fields = self._fields()
        if fields != self._written:
            self._database.write("write_line", *fields, self._now, self._id)
            self._written, self._written_at = fields, self._now

    # Tickets

    def _read(self, statement: str, *values: Any) -> list[RowTicket]:  # noqa: ANN401 - as SQLite takes them
        known, found = self._known, []
        for row in self._database.execute(statement, self._id, *values):
            ticket = known.get(row[0])
            if ticket is None:
                ticket = known[row[0]] = read_ticket(row)
            found.append(ticket)
        return found

    def ticket(self, number: int) -> RowTicket | None:
        """Return the ticket with this number."""
        if number in self._known:
            return self._known[number]
        if self._has_seen(number, number):
            return None
        found = self._read("find_ticket", number)
        if not found:
            self._known[number] = None
            return None
        return found[0]

    def find(self, owner: str) -> RowTicket | None:  # noqa: ARG002
        """Return None: a take is carried out before whatever its owner asks for later."""
        return None

    def between(self, first: int, last: int) -> Sequence[RowTicket]:
        """Return the tickets with these numbers."""
        if first > last:
            return []
        if not self._has_seen(first, last):
            begins_here = self._seen[0] <= first <= self._seen[1] + 1
            if not begins_here or last - first > _READ_AHEAD:
                return self._read("find_tickets", first, last)
            self._look_ahead(self._seen[1] + 1)
        return self._known_between(first, last)

    def _has_seen(self, first: int, last: int) -> bool:
        return self._seen[0] <= first and last <= self._seen[1]

    def _known_between(self, first: int, last: int) -> list[RowTicket]:
        known = sorted(number for number in self._known if first <= number <= last)
        return [ticket for number in known if (ticket := self._known[number]) is not None]

    def next_live(self, now: float) -> RowTicket | None:
        """Return the first live ticket behind the number that is served."""
        first, last = self.serving + 1, self.next - 1
        if first > last:
            return None
        if not self._has_seen(first, first):
            self._look_ahead(first)
        known = self._known_between(first, min(last, self._seen[1]))
        if known and known[0].expires > now:
            return known[0]  # mostly; of those who have expired, some must be taken out
        found = self._read("find_live_ticket", self.serving, now)
        self._remove_between(first, found[0].number - 1 if found else last)
        return found[0] if found else None

    def _look_ahead(self, first: int) -> None:
        """Read some tickets at once, from one on that is not known."""
        last = first + _READ_AHEAD
        self._read("find_tickets", first, last)
        self._seen = (self._seen[0] if first == self._seen[1] + 1 else first), last

    def has_waiting(self, count: int, now: float) -> bool:
        """Return whether so many live tickets wait."""
        ((found,),) = self._database.execute("count_waiting", self._id, self.serving, now, count)
        return bool(found >= count)

    def put(self, ticket: RowTicket) -> None:
        """Write a ticket under its number."""
        if ticket.stored:
            values = (*changing_columns(ticket), self._id, ticket.number)
            self._database.write("write_ticket", *values)
        else:
            self._database.write("add_ticket", self._id, *all_columns(ticket))
            ticket.stored = True
        self._known[ticket.number] = ticket
        self.keep(ticket.expires + ticket.lifetime)

    def remove(self, ticket: RowTicket) -> None:
        """Take a ticket out."""
        self._database.write("remove_ticket", self._id, ticket.number)
        self._forget(ticket)

    def remove_from(self, number: int) -> Sequence[RowTicket]:
        """Take out all tickets from a number on."""
        removed = self.between(number, self.next - 1)
        self._remove_between(number, self.next - 1)
        return removed

    def _remove_between(self, first: int, last: int) -> None:
        if first > last:
            return
        self._database.write("remove_tickets", self._id, first, last)
        for number, ticket in list(self._known.items()):
            if first <= number <= last and ticket is not None:
                self._forget(ticket)

    def _forget(self, ticket: RowTicket) -> None:
        number, ticket.stored = ticket.number, False
        if self._has_seen(number, number):
            self._known.pop(number, None)
        else:
            self._known[number] = None

    # Why tickets are gone

    def why_removed(self, handle: Handle, now: float) -> str:
        """Return what was noted of an owner's ticket."""
        found = self._database.execute("find_tombstone", self._id, handle.owner, now)
        return str(found[0][0]) if found else ""

    def note_removed(self, tickets: Sequence[RowTicket], why: str, now: float) -> None:
        """Note for their owners why somebody else has taken tickets out."""
        until = now + _TOLD_FOR
        self._database.write("forget_tombstones", now, max(_A_FEW, 2 * len(tickets)))
        rows = [(self._id, ticket.owner, why, until) for ticket in tickets]
        self._database.execute_many("bury", rows)
        self.keep(until)

    # Messages

    def of_message(self, message_id: str, now: float) -> RowTicket | None:
        """Return the live ticket whose message this is."""
        found = self._read("find_ticket_of_message", names.encode(message_id), now)
        return found[0] if found else None

    def remember(self, message_id: str, until: float) -> None:
        """Remember that a message is done."""
        self._database.write("forget_messages", self._now, _A_FEW)
        self._database.write("remember", self._digest(message_id), until)

    def remembers(self, message_id: str, now: float) -> bool:
        """Return whether a message is remembered as done."""
        return bool(self._database.execute("remembers", self._digest(message_id), now))

    def _digest(self, message_id: str) -> bytes:
        of_line = b"%d:%b" % (len(self.name), self.name)
        return hashlib.blake2b(of_line + names.encode(message_id), digest_size=16).digest()

    # The record

    def keep(self, until: float) -> None:
        """Keep the record until then at least, and up to twice as long: so it is seldom written."""
        if until > self.kept_until:
            self.kept_until = until + (until - self._now)

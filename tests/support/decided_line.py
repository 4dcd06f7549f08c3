"""One conversation as ``_lines`` decides it, over rows: the twin of ``lua_line.py``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from nowserving.protocol import names
from nowserving.stores import _lines
from tests.support.lua_line import LineState, Mail, in_hundredths
from tests.toys.rows import Rows
from tests.toys.verbs import Shown, Verbs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nowserving.protocol.status import (
        Absorption,
        Admission,
        Departure,
        IssuedTicket,
        LinePicture,
        LineUpdate,
        Outcome,
        PicturedTicket,
        TicketStatus,
    )
    from nowserving.stores._lines.storage import Handle

_NAME = "decided"


class DecidedLine:
    """A line in rows.

    Args:
        late: For how many seconds an attempt of a take can be late.
    """

    def __init__(self, late: float) -> None:
        self.now = 0.0
        self._tokens = _lines.Tokens(lambda: round(self.now * 1_000_000) * 1000)
        self._rows = Rows(self._tokens, late)
        self._mail: Mail = []
        self._late_until: dict[str, float] = {}

    def close(self) -> None:
        self._rows.close()

    @property
    def highest_token(self) -> int:
        return self._tokens.highest

    def forget(self) -> None:
        """Let the record expire; what is remembered of messages has its own time."""
        self._rows.forget_lines()

    # The verbs

    def take(self, owner: str, admission: Admission, *, repeated: bool) -> TicketStatus:
        return cast("TicketStatus", self._carry_out("take", owner, admission, repeated))

    def redeem(self, issued: IssuedTicket, owner: str, admission: Admission) -> TicketStatus:
        asked = replace(admission, redeem=issued)
        return cast("TicketStatus", self._carry_out("take", owner, asked))

    def park(self, handle: Handle, issued: IssuedTicket, lifetime: float) -> TicketStatus:
        shown = Shown(int(issued), issued.secret)
        return cast("TicketStatus", self._carry_out("park", handle.owner, shown, lifetime))

    def absorb(self, handle: Handle, most: int) -> Absorption:
        return cast("Absorption", self._carry_out("absorb", handle, most))

    def leave(
        self, handle: Handle, outcome: Outcome, known: Collection[int] | None = None
    ) -> Departure:
        return cast("Departure", self._carry_out("leave", handle, outcome, known))

    def renew(self, handle: Handle, lifetime: float) -> TicketStatus:
        return cast("TicketStatus", self._carry_out("renew", handle, lifetime))

    def poll(self, handles: Sequence[Handle]) -> LineUpdate:
        return cast("LineUpdate", self._carry_out("poll", handles))

    def line(self) -> LinePicture | None:
        return cast("LinePicture | None", self._carry_out("line"))

    def holder(self) -> PicturedTicket | None:
        return cast("PicturedTicket | None", self._carry_out("holder"))

    def save(self, lefts: Mapping[int, float], seen_below: int) -> None:
        self._carry_out("save", lefts.items(), seen_below)

    def delete(self) -> None:
        self._carry_out("delete")

    def finish(self, issued: IssuedTicket, nonce: str, *, keep: bool) -> bool:
        shown = Shown(int(issued), issued.secret)
        return bool(self._carry_out("finish", shown, f"{nonce}~", keep))

    def release(self, handle: Handle, reason: str) -> bool:
        return bool(self._carry_out("release", handle, reason))

    def _carry_out(self, verb: str, *args: object) -> object:
        verbs = Verbs(self._rows, self.now)
        answer: object = verbs.carry_out(verb, _NAME, *args)
        # Tickets that are to be redeemed have no inbox; the owner of any other has.
        self._mail += [(owner, status) for owner, status in verbs.mail if "." in owner]
        return answer

    # What can be seen afterwards

    def mail(self) -> Mail:
        """Return what has been sent since this was asked last."""
        mail, self._mail = self._mail, []
        return mail

    def state(self) -> LineState | None:
        """Return the record, None if there is none."""
        with self._rows.step(_NAME) as line:
            if line is None:
                return None
            tickets = {ticket.number: ticket for ticket in line.between(0, line.next)}
            for ticket in tickets.values():
                is_served = ticket.served_at is not None  # then it says nothing any more
                ticket.joined = 0.0 if is_served else in_hundredths(ticket.joined)
            state = LineState(
                line.next,
                line.serving,
                line.token,
                line.predecessor,
                line.superseded_below,
                line.settles_until,
                line.burst_since if line.settles_until else 0.0,
                line.opened,
                tickets,
            )
            known = line.absorbing
            if known is not None and known.by == line.serving and line.serving in tickets:
                state.absorbing = known.taken, known.upto
            for message_id, until in self._rows.execute("SELECT message_id, until FROM done"):
                state.messages[names.decode(message_id)] = until
            for ticket in tickets.values():
                if ticket.message_id is not None and ticket.expires > self.now:
                    state.messages[ticket.message_id] = ticket.number
            for row in self._rows.execute("SELECT * FROM tombstones"):
                _, owner, number, why, until = row
                self._late_until[owner] = until
                if until > self.now:
                    state.tombstones[owner] = _lines.Tombstone(number, why)
            return state

    def is_past(self, owner: str) -> bool:
        """Return whether an attempt of this owner can't come any more: it would be too late."""
        return self._late_until.get(owner, self.now + 1) <= self.now

"""A queue over rows (``line_rows.py``): each verb one transaction, decided by ``_lines``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nowserving._host.clock import monotonic
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import Departure, IssuedTicket, LineUpdate, State, TicketStatus
from nowserving.stores import _lines
from tests.support.line_rows import Rows, RowTicket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.status import Admission, Line, Outcome


class RowQueue:
    """As much of a ``TicketQueue`` as can be said without waiting."""

    def __init__(self) -> None:
        self._rows = Rows(_lines.Tokens())
        self._counter = itertools.count()

    def handle(self, conversation_id: str, owner: str | None = None) -> TicketHandle:
        return TicketHandle(conversation_id, owner or f"ours.{next(self._counter)}")

    async def take(self, handle: TicketHandle, admission: Admission) -> TicketStatus:
        ticket = RowTicket(owner=handle.owner)
        with self._rows.step(handle.conversation_id, create=True) as line:
            assert line is not None
            if admission.redeem is not None:
                status = _lines.redeem(line, admission.redeem, ticket, admission, monotonic())
            else:
                status = _lines.take(line, ticket, admission, monotonic())
        handle.number = status.number
        return status

    async def poll(self, conversation_id: str, handles: Sequence[TicketHandle]) -> LineUpdate:
        with self._rows.step(conversation_id) as line:
            if line is None:
                return LineUpdate(0, 0.0, {h.owner: _gone(h) for h in handles})
            return _lines.poll(line, handles, monotonic())

    async def renew(
        self,
        renewals: Sequence[tuple[TicketHandle, float]],
        within: float | None = None,  # noqa: ARG002
    ) -> list[TicketStatus]:
        answers = []
        for handle, lifetime in renewals:
            with self._rows.step(handle.conversation_id) as line:
                if line is None:
                    answers.append(_gone(handle))
                else:
                    answers.append(_lines.renew(line, handle, lifetime, monotonic()))
        return answers

    async def leave(self, handle: TicketHandle, outcome: Outcome) -> Departure:
        with self._rows.step(handle.conversation_id) as line:
            if line is None:
                return Departure(left=False, someone_waiting=False)
            return _lines.leave(line, handle, outcome, monotonic())

    async def park(
        self, handle: TicketHandle, issued: IssuedTicket, lifetime: float
    ) -> TicketStatus:
        ticket = RowTicket(owner=issued.secret)
        with self._rows.step(handle.conversation_id) as line:
            if line is None:
                return _gone(handle)
            return _lines.park(line, handle, issued, ticket, lifetime, monotonic())

    async def line(self, conversation_id: str) -> Line | None:
        with self._rows.step(conversation_id) as line:
            return None if line is None else _lines.picture(line, monotonic())

    async def delete(self, conversation_id: str) -> None:
        with self._rows.step(conversation_id) as line:
            if line is not None:
                _lines.delete(line, monotonic())

    async def finish(self, conversation_id: str, number: int, secret: str, *, keep: bool) -> bool:
        with self._rows.step(conversation_id) as line:
            if line is None:
                return False
            issued = IssuedTicket(number, secret)
            return _lines.finish(line, issued, "ours.", monotonic(), keep=keep)

    async def close(self) -> None:
        self._rows.close()


def _gone(handle: TicketHandle) -> TicketStatus:
    return TicketStatus(State.GONE, handle.number)

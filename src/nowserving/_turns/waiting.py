"""The wait for a turn: what the rules decide is done here, until the ticket is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving._host.clock import monotonic
from nowserving._life import rules
from nowserving.errors import LockTimeout
from nowserving.protocol.queue import status_of
from nowserving.protocol.refusals import refusal
from nowserving.protocol.status import NOT_ISSUED, State

if TYPE_CHECKING:
    from nowserving._runtime.runtime import Runtime
    from nowserving._runtime.ticket import LiveTicket
    from nowserving.errors import LockError
    from nowserving.protocol.status import TicketStatus

_LAST_ANSWER = 0.05
"""Seconds for which the last answer before a wait is given up is waited for."""


async def wait_in_line(
    runtime: Runtime, ticket: LiveTicket, status: TicketStatus, asked: float
) -> TicketStatus:
    """Wait until the ticket is served, and learn for whom it answers; else raise why not.

    Args:
        runtime: What the store runs on.
        ticket: The ticket.
        status: What the take said.
        asked: When the take was sent, monotonic.

    Raises:
        LockError: If it does not get its turn; which child says why.
    """
    queue, timeout, started = runtime.queue, ticket.options.timeout, asked
    shared = queue.guarantees.shares_polls
    deadline = rules.NEVER if timeout is None else started + timeout
    poll_at = _plan_poll(runtime, ticket, status, asked)
    learned = False
    while True:
        now = monotonic()
        decision = rules.decide(
            status, now, lease_end=ticket.ends_at, deadline=deadline, poll_at=poll_at
        )
        if isinstance(decision, rules.Enter):
            if learned or not status.detail:
                return status
            # Others had to leave for it. A turn that can't learn for which messages it answers does
            # not begin; and its lease may end while that is asked.
            ticket.superseded, learned = await queue.superseded(ticket.handle), True
            runtime.check_open()
            continue
        if isinstance(decision, rules.GiveUp):
            if status.state is State.GONE:
                runtime.check_open()  # whoever closes the store gives back what waits
            raise _refused(ticket, decision, status, now - started)
        if isinstance(decision, rules.Sleep):
            news = await queue.wait(ticket.handle, decision.seconds)
            runtime.check_open()
            heard = monotonic()
            if news is not None and shared and ticket.trust_push(news, heard):
                if news.state is State.WAITING:
                    ticket.hear_waiting(news, heard)
                    runtime.watch(ticket, heard)
                status = news
                continue
            if news is None and now + decision.seconds <= monotonic() < deadline:
                continue  # time has passed, nothing else: decide what that means
        # Rung without news, or with news that leaves too short a lease, or by a queue so near that
        # asking is cheaper than trusting; it is time to ask; or the last question before the wait
        # is given up.
        asked = monotonic()
        left = None if timeout is None else max(deadline - asked, _LAST_ANSWER)
        status = await status_of(queue, ticket.handle, left)
        poll_at = _plan_poll(runtime, ticket, status, asked)


def _plan_poll(runtime: Runtime, ticket: LiveTicket, status: TicketStatus, asked: float) -> float:
    """Note an answer and return when this turn has to ask again by itself.

    Where polls are shared, the watch asks for all waiters of the loop, and this one never has to.
    """
    guarantees, now = runtime.queue.guarantees, monotonic()
    ticket.wait_on(asked, status)
    if status.state is not State.WAITING:
        return rules.NEVER
    if guarantees.shares_polls:
        runtime.watch(ticket, now)
        ticket.tell_wait(status.ahead, ticket.poll_at - now)
        return rules.NEVER
    poll_at = ticket.blocked_until
    if not guarantees.pushes:
        poll_at = min(poll_at, rules.next_poll(now, ticket.request.wait_time))
    ticket.tell_wait(status.ahead, poll_at - now)
    return poll_at


def _refused(
    ticket: LiveTicket, decision: rules.GiveUp, status: TicketStatus, waited: float
) -> LockError:
    return refusal(
        decision.error,
        ticket.conversation_id,
        status,
        message_id=ticket.options.message_id,
        waited=waited,
        lifetime=None if ticket.renewed else ticket.lifetime,
    )


def unanswered(ticket: LiveTicket) -> LockTimeout:
    """Return the error of a wait whose store has not answered within ``timeout``."""
    name, number = ticket.conversation_id, ticket.handle.number
    return LockTimeout(
        f"Could not acquire lock for conversation_id '{name}': the store has not answered "
        f"within timeout={ticket.options.timeout:g} s.",
        conversation_id=name,
        number=None if number == NOT_ISSUED else number,
        waited=monotonic() - ticket.asked,
    )

"""A ticket that is taken now and redeemed later: its way from the store to whoever asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving._config import checks
from nowserving._config.options import check_it_can_settle
from nowserving._host import identity
from nowserving._host.clock import monotonic
from nowserving._runtime.turn_events import tell_not_issued
from nowserving._turns.holders import tell_holder
from nowserving.errors import LockError
from nowserving.protocol.refusals import REFUSALS, refusal
from nowserving.protocol.status import Admission, IssuedTicket

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving._config.options import Options
    from nowserving._runtime.runtime import Runtime
    from nowserving.protocol.handle import TicketHandle


class Issuing:
    """Takes one ticket, and gives it back if it can't reach its caller any more.

    Args:
        runtime: What the store runs on.
        defaults: The options of the store's turns.
        conversation_id: The conversation.
        lock_lifetime: Seconds within which it must be redeemed.
        check: Checks the name of a conversation, and returns it.
    """

    _handle: TicketHandle | None = None

    def __init__(
        self,
        runtime: Runtime,
        defaults: Options,
        conversation_id: str,
        lock_lifetime: float,
        check: Callable[[object], str],
    ) -> None:
        self._runtime = runtime
        self._defaults = defaults
        self._conversation_id = conversation_id
        self._lifetime = lock_lifetime
        self._check = check

    async def take(
        self,
        *,
        message_id: str | None = None,
        **given: Any,  # noqa: ANN401 - checked as options
    ) -> IssuedTicket:
        """Take the ticket; for the arguments and the errors see ``LockStore.take_ticket``."""
        runtime = self._runtime
        runtime.check_open()
        given["message_id"] = message_id
        chosen = self._defaults.but(**{k: v for k, v in given.items() if v is not None})
        name = self._check(self._conversation_id)
        lifetime = checks.seconds("lock_lifetime", self._lifetime)
        check_it_can_settle(chosen, lifetime)
        admission = Admission(
            lifetime=lifetime,
            claimed=False,
            when_busy=chosen.when_busy,
            max_waiting=chosen.max_waiting,
            when_full=chosen.when_full,
            settle=chosen.settle,
            settle_max=chosen.settle_max,
            message_id=message_id,
            remember_for=chosen.remember_for,
            label=chosen.label,
        )
        handle = self._handle = runtime.queue.handle(name, identity.nonce())
        asked = monotonic()
        try:
            status = await runtime.queue.take(handle, admission)
        except BaseException as error:
            # Cancelled, or the reply was lost: nobody will redeem what was maybe issued.
            self._give_back(handle)
            if isinstance(error, LockError):
                self._tell_refused(chosen, asked, error)
            raise
        if status.state in REFUSALS:
            kind = REFUSALS[status.state]
            refused = refusal(kind, name, status, message_id=message_id)
            self._tell_refused(chosen, asked, refused)
            await tell_holder(runtime.queue, refused)
            raise refused
        return IssuedTicket(status.number, handle.owner)

    def _tell_refused(self, chosen: Options, asked: float, error: LockError) -> None:
        observers = self._runtime.audience.of_turns
        if observers is not None and self._handle is not None:
            tell_not_issued(observers, self._handle, chosen, asked, error)

    def undo(self, error: BaseException) -> None:
        """Give the ticket back when the thread that asked for it was interrupted, by Ctrl-C say.

        Args:
            error: What ended the call. After a ``LockError``, which is our own, nothing is left.
        """
        if self._handle is not None and not isinstance(error, LockError):
            self._give_back(self._handle)

    def _give_back(self, handle: TicketHandle) -> None:
        lease_end = monotonic() + self._lifetime
        self._runtime.leaving.at_once(handle, "abandoned", lease_end)

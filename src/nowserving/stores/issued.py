"""What whoever has a ticket does with it besides redeeming it: give it back, make it last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving._config import checks
from nowserving._host.libraries import refuse_other_libraries
from nowserving.errors import LockError
from nowserving.protocol.status import ALIVE, IssuedTicket
from nowserving.stores.blocking import Blocking
from nowserving.stores.reference import ReferenceMethods
from nowserving.stores.surveying import SurveyingMethods

if TYPE_CHECKING:
    from nowserving.protocol.handle import TicketHandle


class IssuedTickets(ReferenceMethods, SurveyingMethods):
    """Tickets that were issued and are not redeemed, or whose place was kept.

    Whoever has a ticket is known by its secret, as an owner is. So nothing here touches a ticket
    that somebody has redeemed: that one is its redeemer's.
    """

    @property
    def blocking(self) -> Blocking:
        """The same for a caller without an event loop: ``store.blocking.give_back(...)``."""
        return Blocking(self, self._runtime.run)

    async def give_back(self, conversation_id: str, ticket: IssuedTicket | int | str) -> bool:
        """Leave the line with a ticket that nobody will redeem any more.

        Nobody behind it waits for it from then on. Its message may come again.

        Args:
            conversation_id: The conversation.
            ticket: What ``take_ticket`` or ``issue_ticket`` returned, or its ``str()``.

        Returns:
            Whether it was in line, and not redeemed; repeated after a lost reply, True as well
            where it is not known which attempt has done it.

        Raises:
            ValueError: If it is a bare number, which may be anybody's by now.
            LockError: If the store can't know whose ticket it is; a custom one never can.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
        """
        handle = self._of_ticket("give_back", conversation_id, ticket)
        departure = await self._runtime.queue.leave(handle, "abandoned")
        return departure.left

    async def renew_ticket(
        self, conversation_id: str, ticket: IssuedTicket | int | str, lifetime: float
    ) -> bool:
        """Give a ticket more time to be redeemed in.

        Args:
            conversation_id: The conversation.
            ticket: What ``take_ticket`` or ``issue_ticket`` returned, or its ``str()``.
            lifetime: Seconds that it lives from now on, more than 0, at most ten years.

        Returns:
            Whether it is in line, and not redeemed. One that has expired is not brought back.

        Raises:
            TypeError: If ``lifetime`` is no number.
            ValueError: If it is out of range, or the ticket a bare number, which may be anybody's
                by now.
            LockError: If the store can't know whose ticket it is; a custom one never can.
            StoreClosed: If the store is closed.
            StoreUnavailable: If the store does not answer in time.
        """
        seconds = checks.seconds("lifetime", lifetime)
        handle = self._of_ticket("renew_ticket", conversation_id, ticket)
        (answer,) = await self._runtime.queue.renew([(handle, seconds)])
        if isinstance(answer, LockError):
            raise answer
        return answer.state in ALIVE

    def _of_ticket(self, method: str, conversation_id: str, ticket: int | str) -> TicketHandle:
        """Return a handle for whoever has this ticket."""
        refuse_other_libraries()
        issued = IssuedTicket.parse(ticket)
        name = self._name(conversation_id)
        if not issued.secret:
            msg = (
                f"{method}() was given the bare number {int(issued)}, which proves nothing: "
                "numbers begin anew, and by now it may be somebody else's. Give what take_ticket() "
                "returned, or its str(); or finish_serving() the number"
            )
            raise ValueError(msg)
        runtime = self._runtime
        runtime.check_open()
        if not runtime.queue.guarantees.policies:
            raise LockError(
                f"{method}() needs a store that knows whose ticket it is; {type(self).__name__} "
                "defines only get_lock, save_lock and delete_lock.",
                conversation_id=name,
            )
        handle: TicketHandle = runtime.queue.handle(name, issued.secret)
        handle.number = int(issued)
        return handle

"""A ticket in a remote store as its owner holds it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from nowserving.errors import StoreClosed
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import WAITING

if TYPE_CHECKING:
    from nowserving.protocol.status import TicketStatus
    from nowserving.stores._remote.call import Call


class RemoteHandle(TicketHandle):
    """A handle that remembers its take, so that a leave knows whether anything was ever sent.

    Attributes:
        take: The take, once it is made.
        polled: The last question for its status.
        overdue: It waits: the push that it is served is still to come.
    """

    # Most turns never wait, so these are written only where they do.
    polled: Call | None = None
    overdue = False

    def __init__(self, conversation_id: str, owner: str) -> None:
        super().__init__(conversation_id, owner)
        self.take: Call | None = None

    def may_be_in_line(self) -> bool:
        """Return whether its take may have arrived, answered or not."""
        take = self.take
        return take is not None and (take.sent or not take.future.done())

    def push(self, status: TicketStatus) -> None:
        """Wake its owner with what was pushed."""
        self.overdue = status.state is WAITING
        self.ring(status)

    def turn_out(self) -> None:
        """Wake its owner, also one that the server does not answer."""
        super().turn_out()
        for call in (self.take, self.polled):
            if call is not None and not call.future.done():
                told = StoreClosed("The lock store was closed before an answer came.")
                with suppress(RuntimeError):  # a closed loop: nobody waits any more
                    call.future.get_loop().call_soon_threadsafe(call.fail, told)

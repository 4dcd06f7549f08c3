"""A ticket in Redis as its owner holds it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from nowserving.errors import StoreClosed
from nowserving.protocol.handle import TicketHandle

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call


class RedisHandle(TicketHandle):
    """A handle that remembers its take, so that a leave knows whether anything was ever sent.

    Attributes:
        take: The take, once it is made.
        polled: The last question for its status.
        overdue: A push that it is served is still to come: it waits.
    """

    # Class attributes until they say something: most turns never wait.
    take: Call | None = None
    polled: Call | None = None
    overdue = False

    def turn_out(self) -> None:
        """Wake its owner, also one that Redis does not answer."""
        super().turn_out()
        for call in (self.take, self.polled):
            if call is not None and not call.future.done():
                told = StoreClosed("The lock store was closed before Redis had answered.")
                with suppress(RuntimeError):  # a closed loop: nobody waits any more
                    call.future.get_loop().call_soon_threadsafe(call.fail, told)

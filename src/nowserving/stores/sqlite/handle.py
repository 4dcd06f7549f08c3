"""A ticket in a database as its owner holds it."""

from __future__ import annotations

from typing import Protocol

from nowserving.errors import StoreClosed
from nowserving.protocol.handle import TicketHandle
from nowserving.protocol.status import NOT_ISSUED


class Asked(Protocol):
    """A question on its way (``job.py``)."""

    def end(self, result: BaseException) -> None:
        """Have its caller told so; from any thread."""
        ...


class SQLiteHandle(TicketHandle):
    """A handle. The worker writes its number, before anything that is asked for later is begun.

    Attributes:
        asked: What it waits for, for whoever turns it out.
        left: It was given back, and nobody had the answer; to say so again is no loss.
    """

    # Most turns need neither, so they are written only where they do.
    asked: Asked | None = None
    left = False

    def forget(self) -> None:
        """Its take was not committed."""
        self.number = NOT_ISSUED

    def come_back(self) -> None:
        """Its leave was not committed."""
        self.left = False

    def turn_out(self) -> None:
        """Wake its owner, also one that gets no answer."""
        super().turn_out()
        asked = self.asked
        if asked is not None:
            asked.end(StoreClosed("The lock store was closed before an answer came."))

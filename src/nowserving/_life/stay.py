"""Where a ticket is, from its take to its leave.

=========  ==========================================================================
state      what it means
=========  ==========================================================================
asked      the take was sent or is about to be; nobody knows yet whether it was issued
waiting    it is in line
holding    it is served, and the body runs
leaving    how the stay ended is settled; it is being given back, as often as it takes.
           One whose place is kept (``Life.kept_place``) is parked instead
gone       it means nothing to this process any more
=========  ==========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from nowserving.protocol.status import Outcome

StayState = Literal["asked", "waiting", "holding", "leaving", "gone"]

StayEvent = Literal["waits", "served", "refused", "ended", "given up", "left", "forked"]
"""``ended``: the body did, and the turn leaves. ``given up``: the wait is over without a turn, or
nobody is left who could leave. ``forked``: this process is a child, and the ticket the parent's."""

STAY: Final[dict[StayState, dict[StayEvent, StayState]]] = {
    "asked": {
        "waits": "waiting",
        "served": "holding",
        "refused": "gone",
        "given up": "leaving",
        "forked": "gone",
    },
    "waiting": {"served": "holding", "given up": "leaving", "forked": "gone"},
    "holding": {"ended": "leaving", "given up": "leaving", "forked": "gone"},
    "leaving": {"left": "gone", "forked": "gone"},
    "gone": {},
}


class Stay:
    """The machine.

    Attributes:
        stay: Its state.
        outcome: How the stay ended; None until that is settled, and settled once.
    """

    stay: StayState
    outcome: Outcome | None

    def move(self, event: StayEvent) -> bool:
        """Follow the table; return whether there was an entry."""
        after = STAY[self.stay].get(event)
        if after is None:
            return False
        self.stay = after
        return True

    def is_in_line(self) -> bool:
        """Return whether it is on its way into the line, waits, or holds."""
        return self.stay in {"asked", "waiting", "holding"}

    def is_holding(self) -> bool:
        """Return whether it is served, and its body has not ended."""
        return self.stay == "holding"

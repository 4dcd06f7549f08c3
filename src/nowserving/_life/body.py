"""Whether the work under a ticket may still be cancelled: once, and not after its end.

=========  =============================================================================
state      what it means
=========  =============================================================================
not begun  the ticket is not served yet
running    the body runs; news of its ticket can change that
stopping   it was asked to stop, and no second time
ended      news comes too late to cancel anything, above all the leave itself
=========  =============================================================================
"""

from __future__ import annotations

from typing import Final, Literal

BodyState = Literal["not begun", "running", "stopping", "ended"]

BodyEvent = Literal["begin", "stop", "end"]

BODY: Final[dict[BodyState, dict[BodyEvent, BodyState]]] = {
    "not begun": {"begin": "running", "end": "ended"},
    "running": {"stop": "stopping", "end": "ended"},
    "stopping": {"end": "ended"},
    "ended": {},
}


class Body:
    """The machine.

    Attributes:
        body: Its state.
    """

    body: BodyState

    def move_body(self, event: BodyEvent) -> bool:
        """Follow the table; return whether there was an entry."""
        after = BODY[self.body].get(event)
        if after is None:
            return False
        self.body = after
        return True

    def is_listening(self) -> bool:
        """Return whether news of the ticket can still change anything for the body."""
        return self.body in {"running", "stopping"}

"""Whether a question about a ticket is under way, and when the next one is due.

=========  ================================================================================
state      what it means
=========  ================================================================================
unwatched  nobody watches the ticket yet
resting    the next question is due at ``poll_at``
asking     one is under way; another does not begin, so that a slow store is asked more rarely
off        an answer could change nothing any more
=========  ================================================================================
"""

from __future__ import annotations

from typing import Final, Literal

PollState = Literal["unwatched", "resting", "asking", "off"]

PollEvent = Literal["watch", "ask", "answered", "stop"]

POLL: Final[dict[PollState, dict[PollEvent, PollState]]] = {
    "unwatched": {"watch": "resting", "stop": "off"},
    "resting": {"ask": "asking", "stop": "off"},
    "asking": {"answered": "resting", "stop": "off"},
    "off": {},
}


class Poll:
    """The machine.

    Attributes:
        poll: Its state.
        poll_at: When somebody has to look after the ticket next, monotonic.
        blocked_until: While it waits: when the line may move on without a push to it.
    """

    poll: PollState
    poll_at: float
    blocked_until = 0.0

    def move_poll(self, event: PollEvent) -> bool:
        """Follow the table; return whether there was an entry."""
        after = POLL[self.poll].get(event)
        if after is None:
            return False
        self.poll = after
        return True

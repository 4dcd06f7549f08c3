"""What an observer of a store is told: what becomes of each turn, and of the store.

All of it is values. They are made only while somebody listens, and only for what he listens to.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

TurnEnd = Literal["left", "refused", "superseded", "absorbed", "released"]
"""What the last event of a turn may be."""

EventKind = Literal["asked", "waiting", "served", "lost", TurnEnd]
"""What may become of a turn. Each is the name of a method of :class:`Observer`."""


class TicketEvent(NamedTuple):
    """Something has become of a turn.

    Attributes:
        turn: Names the turn within this process: all its events have the same.
        conversation_id: The conversation.
        number: The number of its ticket; -1 as long as the store has not told it.
        at: When it happened, Unix time by this machine's clock.
        label: What its owner calls it, None for nothing.
        message_id: The message that it is for, None if that was not said.
        ahead: ``waiting``: how many places were in front of it, the holder's included; else 0.
        waited: Seconds since it was asked for; once it is served, those until it was.
        held: ``lost`` and ``left``: seconds for which it was held; None if it never was served.
        handoff: ``served``, after a wait: seconds since the body of the turn before it ended, None
            if that was no turn of this process.
        token: Its fencing token; 0 until it is served.
        predecessor: ``served``: how the turn before it ended; ``"none"`` if nobody knows.
        after: ``served``: the ``turn`` of the one before it, None if that was none of this process.
        outcome: ``left``: how it ended: ``"done"``, ``"failed"``, ``"interrupted"``, ``"expired"``,
            ``"released"`` or ``"abandoned"``; of one that was never served ``"timeout"``,
            ``"unavailable"`` (the store does not answer), ``"closed"``, ``"expired"`` or
            ``"abandoned"`` (cancelled, say). Else empty.
        reason: ``lost`` and ``released``: why, in words. ``refused``: ``"busy"``, ``"full"``,
            ``"duplicate"``, ``"corrupt"`` or ``"incompatible"``. Else empty.
    """

    turn: int
    conversation_id: str
    number: int
    at: float
    label: str | None = None
    message_id: str | None = None
    ahead: int = 0
    waited: float = 0.0
    held: float | None = None
    handoff: float | None = None
    token: int = 0
    predecessor: str = "none"
    after: int | None = None
    outcome: str = ""
    reason: str = ""


class StoreEvent(NamedTuple):
    """A server of the store, or its file, serves no more, or serves again, or is replaced.

    Attributes:
        at: When that was seen, Unix time.
        where: Its address; holds no secret.
        why: Why it does not serve, in words; empty when that is over.
        lasted: Seconds for which it did not; None when that begins.
    """

    at: float
    where: str
    why: str = ""
    lasted: float | None = None


class Observer:
    """Is told what becomes of turns. Override what you want to know; the rest costs nothing.

    A turn that is told ``asked`` is told exactly one end: ``left``, ``refused``, ``superseded``,
    ``absorbed`` or ``released``, the last four only if it never was served. Before that it may be
    told ``waiting``, then ``served``, then ``lost``, each at most once.

    Every method is called where it happens: on the thread and in the context of the turn, between
    two steps of it. So it has to return soon, and must not block. No lock is held meanwhile. What
    garbage collection or the end of an event loop ends is told a moment later, on another thread.
    An observer that raises is logged, and breaks nothing.
    """

    def asked(self, event: TicketEvent) -> None:
        """A turn is asked for; it has no ticket yet."""

    def waiting(self, event: TicketEvent) -> None:
        """It has a place in line, behind others, and waits."""

    def served(self, event: TicketEvent) -> None:
        """It is its turn: the body begins."""

    def lost(self, event: TicketEvent) -> None:
        """Its lock is lost, though its body may still run."""

    def left(self, event: TicketEvent) -> None:
        """It is over: its body has ended, or its wait, without a turn."""

    def refused(self, event: TicketEvent) -> None:
        """It got no ticket."""

    def superseded(self, event: TicketEvent) -> None:
        """A newer message has taken its place."""

    def absorbed(self, event: TicketEvent) -> None:
        """Whoever held the lock has taken its message into his turn, which has ended well."""

    def released(self, event: TicketEvent) -> None:
        """Somebody else has taken its ticket out of the line."""

    def store_down(self, event: StoreEvent) -> None:
        """The store, or one of its servers, serves no more."""

    def store_up(self, event: StoreEvent) -> None:
        """It serves again, or, in a cluster, others serve in its place."""


class AllEvents(Observer):
    """Is told every event of turns by one method: for whoever writes them down."""

    def told(self, kind: EventKind, event: TicketEvent) -> None:
        """Something has become of a turn.

        Args:
            kind: What: the name of the method that an :class:`Observer` has for it.
            event: The event.
        """

    def asked(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("asked", event)

    def waiting(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("waiting", event)

    def served(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("served", event)

    def lost(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("lost", event)

    def left(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("left", event)

    def refused(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("refused", event)

    def superseded(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("superseded", event)

    def absorbed(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("absorbed", event)

    def released(self, event: TicketEvent) -> None:
        """See :meth:`told`."""
        self.told("released", event)

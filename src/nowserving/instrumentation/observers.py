"""Those who observe a store: who they are, what each listens to, and how they are told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from nowserving.instrumentation.observer import Observer, StoreEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from nowserving.instrumentation.observer import TicketEvent
    from nowserving.protocol.outages import Outages

logger = logging.getLogger("nowserving.observers")

_Event = TypeVar("_Event", "TicketEvent", StoreEvent)

_OF_TURNS = (
    "asked",
    "waiting",
    "served",
    "lost",
    "left",
    "refused",
    "superseded",
    "absorbed",
    "released",
)
_OF_STORES = ("store_down", "store_up")

_MOST_ENDS = 4096


def told_to(methods: Sequence[Callable[[_Event], None]]) -> Callable[[_Event], None] | None:
    """Return what tells all of them, whatever one of them does about it; None if there is none."""
    if not methods:
        return None

    def tell(event: _Event) -> None:
        for method in methods:
            try:
                method(event)
            except Exception:  # noqa: PERF203 - each of them by itself
                logger.exception("The observer %r failed", getattr(method, "__self__", method))
            except BaseException:  # Ctrl-C: the others have to know of it all the same
                place = next(i for i, each in enumerate(methods) if each is method)
                tell_others = told_to(methods[place + 1 :])
                if tell_others is not None:
                    tell_others(event)
                raise

    return tell


TellsTurn = Callable[["TicketEvent"], None]
TellsStore = Callable[[StoreEvent], None]


class Observers:
    """Those who observe at one moment: what is to be called for which event. Never changed.

    Args:
        members: The observers.

    Attributes:
        ends: By conversation the number, the turn and the moment of the last body that has ended
            here, of the conversations used last: until somebody is served behind it.
    """

    __slots__ = (*_OF_TURNS, *_OF_STORES, "ends")

    # None where nobody listens.
    asked: TellsTurn | None
    waiting: TellsTurn | None
    served: TellsTurn | None
    lost: TellsTurn | None
    left: TellsTurn | None
    refused: TellsTurn | None
    superseded: TellsTurn | None
    absorbed: TellsTurn | None
    released: TellsTurn | None
    store_down: TellsStore | None
    store_up: TellsStore | None
    ends: dict[str, tuple[int, int, float]]

    def __init__(self, members: tuple[Observer, ...]) -> None:
        for name in (*_OF_TURNS, *_OF_STORES):
            setattr(self, name, told_to([getattr(m, name) for m in members if _listens(m, name)]))
        self.ends = {}

    def listen_to_turns(self) -> bool:
        """Return whether anybody wants to know of turns."""
        return any(getattr(self, name) is not None for name in _OF_TURNS)

    def note_end(self, conversation_id: str, end: tuple[int, int, float]) -> None:
        """Note when a body has ended, for whoever is served next in this process.

        Args:
            conversation_id: The conversation.
            end: The ticket's number, the turn, and the moment, monotonic.
        """
        ends = self.ends
        if len(ends) >= _MOST_ENDS:
            with suppress(RuntimeError, StopIteration):  # another thread changes it meanwhile
                ends.pop(next(iter(ends)), None)
        ends[conversation_id] = end


def _listens(observer: Observer, name: str) -> bool:
    return getattr(getattr(observer, name), "__func__", None) is not getattr(Observer, name)


class Audience:
    """A store's observers, as they come and go.

    Args:
        outages: Tells when the store serves no more.

    Attributes:
        of_turns: Those who observe now; None if nobody wants to know of turns.
    """

    def __init__(self, outages: Outages) -> None:
        self.of_turns: Observers | None = None
        self._outages = outages
        self._members: dict[object, Observer] = {}
        self._all = Observers(())
        outages.listener = self._hear

    def add(self, observer: Observer) -> Observation:
        """Tell an observer of all turns that begin from now on, and of an outage that lasts.

        Raises:
            TypeError: If it is none.
        """
        given: object = observer
        if not isinstance(given, Observer):
            msg = f"observe() takes an instance of a subclass of nowserving.Observer, not {given!r}"
            raise TypeError(msg)
        observation = Observation(self)
        self._members[observation] = observer
        self._count()
        self._tell_outages(Observers((observer,)))
        return observation

    def _tell_outages(self, late: Observers) -> None:
        for where, why in list(self._outages.now.items()):
            since = time.time()
            if late.store_down is not None:
                late.store_down(StoreEvent(since, where, why))
            if where not in self._outages.now and late.store_up is not None:
                # It has ended meanwhile, which may have been told before this.
                late.store_up(StoreEvent(time.time(), where, lasted=time.time() - since))

    def remove(self, observation: Observation) -> None:
        """Tell an observer of no more turns that begin. Idempotent."""
        self._members.pop(observation, None)
        self._count()

    def _count(self) -> None:
        # Without a lock. Whoever is overtaken by another thread may put in fewer than there are by
        # now, or more; so he looks once more, and the last one to put in has counted right.
        counted = None
        while counted != list(self._members):
            counted = list(self._members)
            found = [self._members.get(observation) for observation in counted]
            self._all = now = Observers(tuple(each for each in found if each is not None))
            self.of_turns = now if now.listen_to_turns() else None

    def _hear(self, where: str, why: str, lasted: float | None) -> None:
        tell = self._all.store_down if lasted is None else self._all.store_up
        if tell is not None:
            tell(StoreEvent(time.time(), where, why, lasted))

    def forked(self) -> None:
        """In a forked child: what has ended before it were the parent's turns."""
        self._count()


class Observation:
    """What ``store.observe()`` returns; a context manager as well.

    Args:
        audience: Whose it is.
    """

    def __init__(self, audience: Audience) -> None:
        self._audience = audience

    def stop(self) -> None:
        """Tell the observer of no more turns that begin. Idempotent.

        Those that have begun are told to their end, so that whoever counts what goes on comes
        down to nothing.
        """
        self._audience.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

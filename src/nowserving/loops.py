"""The event loop that runs here, and what each event loop has of something."""

from __future__ import annotations

import asyncio
import sys
import weakref
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from nowserving.background import detached, later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_A_DAY = 86_400.0


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, None where none does.

    Where gevent or eventlet have put greenlets in the place of threads, asyncio knows only of the
    one thread below them all: there, a loop runs "here" if it is this very greenlet that runs it.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if not _greenlets_are_threads() or _is_run_below(loop) else None


def _greenlets_are_threads() -> bool:
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return (gevent is not None and gevent.is_module_patched("threading")) or (
        eventlet is not None and eventlet.is_monkey_patched("thread")
    )


def _is_run_below(loop: asyncio.AbstractEventLoop) -> bool:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - how CPython names it in its manual
    while frame is not None:
        if frame.f_code.co_name == "run_forever" and frame.f_locals.get("self") is loop:
            return True
        frame = frame.f_back
    return False


class Local(Protocol):
    """What an event loop has one of.

    Attributes:
        loop: The event loop.
        anchor: What ties it to the loop.
    """

    loop: asyncio.AbstractEventLoop
    anchor: asyncio.TimerHandle | None

    def close(self) -> None:
        """End it; on its own loop."""
        ...

    def abandon(self) -> None:
        """Let go of what is left of it after its loop was closed."""
        ...


_T = TypeVar("_T", bound=Local)


class Home(Generic[_T]):
    """An event loop and what it has, known without keeping either alive.

    Attributes:
        loop: Returns the loop, None when it is gone.
        thing: Returns what it has, None when that is gone.
    """

    __slots__ = ("loop", "thing")

    def __init__(self, loop: asyncio.AbstractEventLoop, thing: _T) -> None:
        self.loop = weakref.ref(loop)
        self.thing = weakref.ref(thing)

    def is_closed(self) -> bool:
        """Return whether nothing can run on the loop any more."""
        loop = self.loop()
        return loop is None or loop.is_closed()


class PerLoop(Generic[_T]):
    """One thing for each event loop, made at first use and gone with the loop.

    It belongs to its loop, which alone keeps it alive, by a timer that is far off: whoever drops a
    loop without closing it drops this, too. So this register may be kept by a store that lives for
    ever, and whoever is in it may refer to its loop.

    Without a lock, which a finaliser could meet held by its own thread. Loops of several threads
    come and go at once, so each step here is one step under the GIL.
    """

    def __init__(self) -> None:
        self._homes: dict[int, Home[_T]] = {}

    def here(self, make: Callable[[asyncio.AbstractEventLoop], _T]) -> Home[_T]:
        """Return the running loop's.

        Args:
            make: Makes the thing, where there is none yet.
        """
        loop = asyncio.get_running_loop()
        home = self._homes.get(id(loop))
        # An id is given out again when a loop is gone.
        return home if home is not None and home.loop() is loop else self._add(loop, make)

    def _add(
        self, loop: asyncio.AbstractEventLoop, make: Callable[[asyncio.AbstractEventLoop], _T]
    ) -> Home[_T]:
        self.drop_closed()
        made = detached(make, loop)
        home = self._homes[id(loop)] = Home(loop, made)
        _tie(loop, made)
        return home

    def drop_closed(self) -> None:
        """Abandon what belongs to loops that are gone, or were closed without notice."""
        for key, home in list(self._homes.items()):
            if home.is_closed():
                self._forget(key, home)
                thing = home.thing()
                if thing is not None:
                    thing.abandon()

    def discard(self, thing: _T) -> None:
        """Take something out that has ended, and untie it from its loop; on that loop."""
        home = self._homes.get(id(thing.loop))
        if home is not None and home.thing() is thing:
            self._forget(id(thing.loop), home)
        if thing.anchor is not None:
            thing.anchor.cancel()

    def _forget(self, key: int, home: Home[_T]) -> None:
        popped = self._homes.pop(key, home)
        if popped is not home:  # a new loop has got the id of the old one just now
            self._homes.setdefault(key, popped)

    def __iter__(self) -> Iterator[_T]:
        for home in list(self._homes.values()):
            thing = home.thing()
            if thing is not None:
                yield thing

    def close(self) -> None:
        """End all of them, each on its own loop, which may run in another thread.

        Takes no lock and waits for nobody, so finalisers may call it.
        """
        here = running_loop()
        for thing in self:
            if thing.loop is here:
                self._close_here(thing)
                continue
            try:
                thing.loop.call_soon_threadsafe(self._close_here, thing)
            except RuntimeError:  # that loop is closed, maybe since a moment ago
                self.discard(thing)
                thing.abandon()

    def _close_here(self, thing: _T) -> None:
        self.discard(thing)
        thing.close()


def _tie(loop: asyncio.AbstractEventLoop, thing: Local) -> None:
    thing.anchor = later(loop, _A_DAY, _tie, loop, thing)

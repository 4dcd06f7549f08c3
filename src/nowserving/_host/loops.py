"""The event loop that runs here, and what each event loop has of something."""

from __future__ import annotations

import asyncio
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from nowserving._host.background import detached, later
from nowserving._host.forks import keep_inherited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_A_DAY = 86_400.0

_RESTING = 1
"""Event loops that don't run and keep their connections all the same, since they may go on."""


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
    """

    loop: asyncio.AbstractEventLoop

    def close(self) -> None:
        """End it; on its own loop."""
        ...

    def hang_up(self) -> None:
        """Have its connections ended by the other side; from any thread.

        Its loop does not run, and maybe never will again. If it does, they are made anew.
        """
        ...

    def abandon(self) -> None:
        """Let go of what is left of it: its loop is closed, or is being collected."""
        ...


_T = TypeVar("_T", bound=Local)


class _Anchor(Generic[_T]):
    """Ties a thing to a loop: a timer of the loop, far off, has this, and nobody else.

    So it goes when the loop is closed, at once, or when it is collected; and then the thing is let
    go of, before its transports could complain that nobody has closed them.
    """

    __slots__ = ("__weakref__", "_timer", "thing")

    def __init__(self, loop: asyncio.AbstractEventLoop, thing: _T) -> None:
        self.thing: _T | None = thing
        self._hold(loop)

    def _hold(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = weakref.ref(later(loop, _A_DAY, self._hold, loop))

    def weigh(self) -> None:
        """Untie it: the thing has ended by itself."""
        self.thing = None
        timer = self._timer()
        if timer is not None:
            timer.cancel()

    def __del__(self) -> None:
        if self.thing is not None:
            self.thing.abandon()


class Home(Generic[_T]):
    """An event loop and what it has, known without keeping either alive.

    Attributes:
        loop: Returns the loop, None when it is gone.
        thing: Returns what it has, None when that is gone.
    """

    __slots__ = ("_anchor", "loop", "thing")

    def __init__(self, loop: asyncio.AbstractEventLoop, thing: _T) -> None:
        self.loop = weakref.ref(loop)
        self.thing = weakref.ref(thing)
        self._anchor = weakref.ref(_Anchor(loop, thing))

    def is_closed(self) -> bool:
        """Return whether nothing can run on the loop any more."""
        loop = self.loop()
        return loop is None or loop.is_closed()

    def untie(self) -> None:
        """Take the thing from the loop; on that loop."""
        anchor = self._anchor()
        if anchor is not None:
            anchor.weigh()


class PerLoop(Generic[_T]):
    """One thing for each event loop, made at first use and gone with the loop.

    It belongs to its loop, which alone keeps it alive, by a timer that is far off: whoever drops a
    loop without closing it drops this, too. So this register may be kept by a store that lives for
    ever, and whoever is in it may refer to its loop.

    Without a lock, which a finaliser could meet held by its own thread. Loops of several threads
    come and go at once, so each step here is one step under the GIL.

    A subclass says how to make the thing. It must not refer to whatever is to be collected before
    the loops are.

    Attributes:
        last: The loop that was asked for last, with its thing: mostly the only one. Whoever is in
            a hurry compares its loop with the running one before calling :meth:`of`.
    """

    def __init__(self) -> None:
        self._homes: dict[int, Home[_T]] = {}
        self.last: Home[_T] | None = None

    def make(self, loop: asyncio.AbstractEventLoop) -> _T:
        """Make the thing of the running loop."""
        raise NotImplementedError

    def of(self, loop: asyncio.AbstractEventLoop) -> Home[_T]:
        """Return the running loop's, made at first use."""
        home = self.last
        if home is None or home.loop() is not loop:
            home = self._homes.get(id(loop))
            # An id is given out again when a loop is gone.
            if home is None or home.loop() is not loop:
                home = self._add(loop)
            self.last = home
        return home

    def _add(self, loop: asyncio.AbstractEventLoop) -> Home[_T]:
        self._forget_closed()
        # A loop a job, and none of them closed: the collector takes its time to find them.
        resting = [thing for thing in self if not thing.loop.is_running()]
        for thing in resting[:-_RESTING]:
            thing.hang_up()
        made = detached(self.make, loop)
        home = self._homes[id(loop)] = Home(loop, made)
        return home

    def _forget_closed(self) -> None:
        # Copied without making anything that is collected, or another thread could come between.
        for key in list(self._homes):
            home = self._homes.get(key)
            if home is not None and home.is_closed():
                self._forget(key, home)

    def _forget(self, key: int, home: Home[_T]) -> None:
        if self.last is home:
            self.last = None
        popped = self._homes.pop(key, home)
        if popped is not home:  # a new loop has got the id of the old one just now
            self._homes.setdefault(key, popped)

    def discard(self, thing: _T) -> None:
        """Take something out that has ended; on its own loop."""
        home = self._homes.get(id(thing.loop))
        if home is not None and home.thing() is thing:
            self._forget(id(thing.loop), home)
            home.untie()

    def forked(self) -> None:
        """Forget all of them, in a forked child: they are the parent's."""
        keep_inherited(*self)
        self._homes, self.last = {}, None

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
            if not thing.loop.is_running():  # maybe it never will again
                thing.hang_up()
            # A loop that is closed, maybe since a moment ago, has let go of it.
            with suppress(RuntimeError):
                thing.loop.call_soon_threadsafe(self._close_here, thing)

    def _close_here(self, thing: _T) -> None:
        self.discard(thing)
        thing.close()

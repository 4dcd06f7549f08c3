"""Does one thing again and again, with a garbage collection at another step of it each time.

``python collect.py URL WHAT WHERE GARBAGE STEPS``. Before each time, something becomes garbage
that only the collector finds. It runs its finalisers in whatever step it is called, in the thread
that makes that step: our own (``WHERE`` is "ours"), or one of the store's ("theirs"). The garbage
holds locks ("holders"), or takes one in its finaliser ("takers"). At most ``STEPS`` of the steps
are tried, evenly spread.

Ends with 0 when every ticket was given back and no finaliser of a holder complained. A time that
takes longer than some seconds ends it with the stacks of all threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from nowserving import LockStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import FrameType

PATIENCE = 6.0  # seconds for one time

complaints: list[str] = []


class Cycle:
    """Keeps something alive until the collector comes."""

    def __init__(self, kept: object) -> None:
        self.kept = kept
        self.me = self


def generator(store: LockStore, name: str) -> None:
    def stream() -> Iterator[None]:
        with store.lock(name):
            yield

    parts = stream()
    next(parts)
    Cycle(parts)


def session(store: LockStore, name: str) -> None:
    class Session(Cycle):
        def __del__(self) -> None:
            self.kept.close()  # type: ignore[attr-defined]

    stack = contextlib.ExitStack()
    stack.enter_context(store.lock(name))
    Session(stack)


def task(store: LockStore, name: str) -> None:
    """Of a loop that is closed while it is pending."""

    async def hold(entered: asyncio.Event) -> None:
        async with store.lock(name):
            entered.set()
            await asyncio.sleep(3600)

    async def begin() -> asyncio.Task[None]:
        entered = asyncio.Event()
        holder = asyncio.create_task(hold(entered))
        await entered.wait()
        return holder

    in_a_loop_that_is_dropped(begin)


def async_generator(store: LockStore, name: str) -> None:
    async def stream() -> AsyncIterator[None]:
        async with store.lock(name):
            yield

    async def begin() -> AsyncIterator[None]:
        parts = stream()
        await parts.__anext__()
        return parts

    in_a_loop_that_is_dropped(begin)


def taker(store: LockStore, name: str) -> None:
    """Takes a turn when it is collected. Where it can't, it has to be told so at once."""

    class Diary(Cycle):
        def __del__(self) -> None:
            with contextlib.suppress(Exception), store.lock(name, timeout=1.0):
                pass

    Diary(name)


GARBAGE = {"holders": (generator, session, task, async_generator), "takers": (taker,)}


def in_a_loop_that_is_dropped(begin: Callable[[], Any]) -> None:
    loop = asyncio.new_event_loop()
    Cycle(loop.run_until_complete(begin()))
    loop.close()


# What is done meanwhile


def plain(store: LockStore) -> None:
    with store.lock("mine"):
        pass


def tasks(store: LockStore) -> None:
    async def turn() -> None:
        async with store.lock("mine"):
            await asyncio.sleep(0)

    async def work() -> None:
        await asyncio.gather(*(turn() for _ in range(3)))

    the_loop.run_until_complete(work())


def reference(store: LockStore) -> None:
    number = store.issue_ticket("mine")
    store.save_lock(store.get_or_create_lock("mine"))
    store.finish_serving("mine", number)
    store.cleanup("mine", store.issue_ticket("mine"))
    store.delete_lock("mine")


def renewal(store: LockStore) -> None:
    with store.lock("mine", 0.06):
        time.sleep(0.05)


def close(store: LockStore) -> None:
    plain(store)
    store.close()


the_loop = asyncio.new_event_loop()
WHATS = {what.__name__: what for what in (plain, tasks, reference, renewal, close)}


class Steps:
    """Counts the lines that some threads run, and collects the garbage at one of them.

    Args:
        where: Whose threads: "ours" or "theirs".
        at: The number of the line; none of them if it is not reached.
    """

    def __init__(self, where: str, at: int) -> None:
        self.count = 0
        self._ours = where == "ours"
        self._at = at
        self._over = False

    def trace(self, frame: FrameType, event: str, _arg: object) -> Any:
        """See ``sys.settrace``."""
        if self._over or frame.f_globals is globals():
            return None
        ours = threading.current_thread() is threading.main_thread()
        if event == "line" and ours is self._ours:
            self.count += 1
            if self.count == self._at:
                gc.collect()
        return self.trace

    def stop(self) -> int:
        """Count no more, and return how many it were."""
        self._over = True
        return self.count


steps: Steps | None = None


def trace(frame: FrameType, event: str, arg: object) -> Any:
    """Pass each call in each thread on to the steps that are counted now."""
    now = steps
    return None if now is None else now.trace(frame, event, arg)


def once(what: Callable[[LockStore], None], store: LockStore, where: str, at: int) -> int:
    """Do it, and return how many steps that took."""
    global steps  # noqa: PLW0603 - threads that are there already have to see it
    counted = steps = Steps(where, at)
    sys.settrace(trace)
    try:
        what(store)
    finally:
        sys.settrace(None)
        steps = None
    return counted.stop()


def main(url: str, what_name: str, where: str, garbage: str, most: str) -> None:
    threading.settrace(trace)
    logging.disable()  # "Task was destroyed but it is pending!"
    sys.unraisablehook = lambda found: complaints.append(f"{found.exc_value!r} in {found.object!r}")
    what = WHATS[what_name]
    store = LockStore.create(url)
    plain(store)
    if what is not close:
        what(store)  # connected: what is done once is no step of each time
    total = once(what, store, where, 0)
    gc.disable()
    gc.collect()
    gc.freeze()  # what is there by now is never garbage: a collection takes no time
    names = []
    for at in range(1, total + 1, total // int(most) + 1):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        if what is close:
            store = LockStore.create(url)
            store.get_lock("mine")  # connected, and nothing else yet
        for make in GARBAGE[garbage]:
            names.append(f"{make.__name__} {at}")
            make(store, names[-1])
        once(what, store, where, at)
        gc.collect()
    assert not complaints, "\n".join(sorted(set(complaints)))
    faulthandler.dump_traceback_later(2 * PATIENCE, exit=True)
    with LockStore.create(url) if what is close else store as store:
        until_given_back(store, names)
    faulthandler.cancel_dump_traceback_later()


def until_given_back(store: LockStore, names: list[str]) -> None:
    over = time.monotonic() + PATIENCE / 2
    while left := [name for name in names if store.get_lock(name) is not None]:
        assert time.monotonic() < over, f"{len(left)} are held, such as {left[:4]}"
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])

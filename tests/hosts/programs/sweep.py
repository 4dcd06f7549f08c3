"""Does whatever can be asked of a store, in any order, while the interpreter does its worst.

``python sweep.py URL HOW TURNS``. ``HOW`` is "collector": garbage is collected at every allocation,
or after the next few, so that what a piece of work leaves behind is found within the next one, too.
Or it is "switches": threads, with and without loops, take turns as often as Python lets them.

Ends with 0 when all pieces of work came to their end and every ticket was given back. Who makes no
progress ends it, with the stacks of all threads.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import sys
import threading
import time
from random import Random
from typing import TYPE_CHECKING

from nowserving import LockStore
from tests.hosts.programs.entry_points import Pieces, TaskPieces, ThreadPieces, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0  # seconds
AT_ONCE = 5
JOBS_OF_A_LOOP = 20
ALLOCATIONS = [1, 1, 3, 10, 30, 100, 300]
"""After how many the collector comes."""

complaints: list[str] = []


class Worker:
    """Does pieces of work, one or some at once, until it has done its share.

    Args:
        store: The store.
        seed: What its choices come from.
        share: How many pieces it does.
        provoke: Called before some of them.

    Attributes:
        names: All conversations it had to do with.
        at: When it got on last.
    """

    def __init__(
        self,
        store: LockStore,
        seed: int,
        share: int,
        provoke: Callable[[Random], None] = lambda _: None,
    ) -> None:
        self._random = Random(seed)
        self._store = store
        self._left = share
        self._provoke = provoke
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs = 0
        self.names: set[str] = set()
        self.at = time.monotonic()

    def do_both(self) -> None:
        """Do pieces of threads and of tasks in turn."""
        while self._left > 0:
            self._do_some()
            self._do_some_at_once()
        self._end_loop()

    def do_threads(self) -> None:
        """Do pieces of threads."""
        while self._left > 0:
            self._do_some()

    def do_tasks(self) -> None:
        """Do pieces of tasks."""
        while self._left > 0:
            self._do_some_at_once()
        self._end_loop()

    def _do_some(self) -> None:
        work = ThreadPieces(self._store, self._random)
        for piece in self._random.choices(pieces_of(ThreadPieces), k=AT_ONCE):
            self._provoke(self._random)
            piece(work)
            self._done(work, 1)

    def _do_some_at_once(self) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        work = TaskPieces(self._store, self._random)
        chosen = self._random.choices(pieces_of(TaskPieces), k=AT_ONCE)

        async def do() -> None:
            await asyncio.gather(*(piece(work) for piece in chosen))

        self._provoke(self._random)
        self._loop.run_until_complete(do())
        self._done(work, AT_ONCE)
        self._jobs += 1
        if self._jobs % JOBS_OF_A_LOOP == 0:
            self._end_loop()

    def _done(self, work: Pieces, count: int) -> None:
        self._left -= count
        self.names |= work.names
        self.at = time.monotonic()

    def _end_loop(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None


def under_the_collector(store: LockStore, turns: int) -> list[Worker]:
    def provoke(random: Random) -> None:
        gc.set_threshold(random.choice(ALLOCATIONS), 1, 1)

    worker = Worker(store, 1, turns, provoke)
    gc.collect()
    gc.freeze()  # what is there by now is never garbage: a collection takes no time
    run([worker], [worker.do_both])
    return [worker]


def under_switches(store: LockStore, turns: int) -> list[Worker]:
    sys.setswitchinterval(1e-6)
    workers = [Worker(store, seed, turns // 6) for seed in range(6)]
    run(
        workers,
        [worker.do_threads for worker in workers[:4]] + [worker.do_tasks for worker in workers[4:]],
    )
    return workers


def run(workers: list[Worker], works: list[Callable[[], None]]) -> None:
    """Let each work in a thread of its own, and see that they all get on."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        for worker, thread in zip(workers, threads, strict=True):
            if thread.is_alive() and time.monotonic() > worker.at + PATIENCE:
                sys.stderr.write(f"{thread.name} makes no progress\n")
                faulthandler.dump_traceback()
                os._exit(3)


def main(url: str, how: str, turns: str) -> None:
    logging.disable()
    sys.unraisablehook = lambda found: complaints.append(f"{found.exc_value!r} in {found.object!r}")
    threading.excepthook = lambda found: complaints.append(f"{found.exc_value!r}")
    sweep = under_the_collector if how == "collector" else under_switches
    with LockStore.create(url) as store:
        workers = sweep(store, int(turns))
        gc.set_threshold(700, 10, 10)
        gc.collect()
        assert not complaints, "\n".join(sorted(set(complaints))[:20])
        names = {name for worker in workers for name in worker.names}
        over = time.monotonic() + 5.0
        while left := [name for name in names if store.is_someone_waiting(name)]:
            assert time.monotonic() < over, f"{len(left)} are held, such as {left[:4]}"
            time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The thread that writes what a process counts to its files, and what is written at its end."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nowserving._host.background import detached
from nowserving._host.forks import on_fork, pause_for_forks
from nowserving.integrations.prometheus import figures as told
from nowserving.integrations.prometheus.multiprocess import Page, folder, forget_the_dead
from nowserving.integrations.prometheus.tally import Tally

logger = logging.getLogger("nowserving.prometheus")

_EVERY = 0.1
"""Seconds between two writes, and how old what is scraped may be."""

_AFTER_FAILURE = 10.0
"""Seconds until it is tried again: a disk that is full stays so for a while."""

_SWEPT_EVERY = 50
"""Writes between two looks for processes that are gone: 5 seconds."""

_FORK_WAITS = 1.0
"""Seconds for which a fork waits for a write, which takes far less than a millisecond."""

_FINALISERS = ("multiprocessing.util", "billiard.util")
"""Where processes end without ``atexit``."""


class _Book:
    """One store: what is counted in this process, and how much of that is written."""

    def __init__(self, store: str, tally: Tally) -> None:
        self.tally = tally
        self.page: Page | None = None
        self._store = store
        self._written: told.Figures | None = None

    def write(self, *, is_last: bool) -> bool:
        """Write what has changed; return whether anything had."""
        now = self.tally.figures()
        if is_last:
            now = now.at_rest()
        if now == self._written or (self.page is None and now == told.NOTHING):
            return False
        if self.page is None:
            self.page = Page(self._store)
        before, self._written = self._written or told.NOTHING, now
        self.page.write(before, now)  # if it fails half way, nothing is counted twice
        return True

    def forked(self) -> None:
        """Know that nothing is written for this process yet, and nothing counted.

        Whatever order the hooks of a fork come in: once a thread writes here, the parent's figures
        must be gone, or they would seem to fall when they go.
        """
        self.tally.forked()
        self._written = None


class SharedFiles:
    """Writes the figures of all observed stores of this process to its files."""

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._folder = Path()
        self._is_over = False
        self._ends_in = -1  # the process whose end is known to come here
        self._begin()
        pause_for_forks(self)
        on_fork(self)
        atexit.register(self._end)  # now: what gives tickets back at the end may come later

    def _begin(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()

    def add(self, store: str) -> Tally:
        """Return something that counts; its figures are written under this name of the store.

        Raises:
            ValueError: There is no folder to write to.
        """
        self._folder = folder()
        tally = Tally(self)
        self._books[store] = _Book(store, tally)
        return tally

    def remove(self, store: str) -> None:
        """Write the figures of a store once more, as of a process that has ended, and no more."""
        with self._writing:
            book = self._books.pop(store, None)
            if book is not None:
                book.write(is_last=True)

    def wake(self) -> None:
        """Have written what is put down from now on; on the thread of a turn."""
        self._know_of_the_end()
        if self._is_over:
            self._write_last()
        else:
            self._start()

    def _know_of_the_end(self) -> None:
        # Not in a fork's own hook: a child of multiprocessing forgets right behind it what it has
        # inherited.
        if self._ends_in != os.getpid():
            self._ends_in = os.getpid()
            for name in _FINALISERS:
                util: Any = sys.modules.get(name)
                if util is not None:  # behind the tickets that are given back, whose is 0
                    util.Finalize(None, self._end, exitpriority=-1)

    def _start(self) -> None:
        if self._starting.acquire(blocking=False):
            # Whoever does not get it is no loss: what he has put down is written by the thread that
            # is started here, or by one that is about to end, which looks once more.
            try:
                if self._thread is None:
                    self._start_thread()
            finally:
                self._starting.release()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="nowserving-prometheus", daemon=True)
        try:
            detached(self._thread.start)
        except RuntimeError:  # none can be started: too many, or the interpreter is about to end
            self._thread = None
            self._write()

    def _run(self) -> None:
        for writes in itertools.count():
            time.sleep(_EVERY)
            try:
                is_busy = self._write()
                if writes % _SWEPT_EVERY == 0:
                    forget_the_dead(self._folder)
            except Exception:
                logger.exception("The figures for Prometheus could not be written")
                time.sleep(_AFTER_FAILURE)
                break
            if not is_busy:
                break
        # Whoever puts something down from here on either has it written below or finds that the
        # tally rests, and starts another thread.
        self._thread = None
        for book in list(self._books.values()):
            book.tally.rest()
        with contextlib.suppress(Exception):  # which was told above
            self._write()

    def write_in_passing(self) -> None:
        """Write, unless somebody does so already; on the thread of a turn."""
        if self._writing.acquire(blocking=False):
            try:
                with contextlib.suppress(Exception):  # the thread meets it too, and tells
                    self._write_all()
            finally:
                self._writing.release()

    def _write(self) -> bool:
        with self._writing:
            return self._write_all()

    def _write_all(self) -> bool:
        changed = [book.write(is_last=self._is_over) for book in list(self._books.values())]
        return any(changed)

    def _end(self) -> None:
        self._is_over = True
        self._write_last()

    def _write_last(self) -> None:
        for book in list(self._books.values()):
            book.tally.rest()  # each turn that ends even later comes here
        with contextlib.suppress(Exception):  # nobody reads it any more
            self._write()

    # Forks. A child inherits every lock as it is, and no thread that would release it: neither
    # ours nor the one of prometheus_client, which is held only within a write.

    def before_fork(self) -> bool:
        """Come to rest: no write is under way until :meth:`after_fork`."""
        return self._writing.acquire(timeout=_FORK_WAITS)

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._writing.release()

    def forked(self) -> None:
        """Begin anew in a child."""
        self._begin()
        for book in list(self._books.values()):
            book.forked()
            if book.page is not None:  # it would stand at zero as soon as the child counts anything
                self._start()


files = functools.cache(SharedFiles)
"""Return what writes for this process."""

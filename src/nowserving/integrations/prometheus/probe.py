"""Finds out that an outage is over, in a process that wants nothing of the store meanwhile.

A store tells that it serves again when it has answered somebody. At night nobody asks, and an alert
would go on until the next message comes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

from nowserving import StoreClosed
from nowserving._host.background import detached

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving import LockStore

logger = logging.getLogger("nowserving.prometheus")

_EVERY = 5.0
"""Seconds between two questions."""

_NAMES = tuple(f"nowserving-probe-{i}" for i in range(8))
"""Conversations that are looked at: in a cluster they lie on several nodes. Nothing is written."""


class Probe:
    """Asks a store that is down, now and then, until it serves again or is gone.

    Args:
        store: The store, which is not kept alive.
        is_down: Returns whether it still counts as down.
    """

    def __init__(self, store: LockStore, is_down: Callable[[], bool]) -> None:
        self._store = weakref.ref(store)
        self._is_down = is_down
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, unless that is under way; from any thread."""
        thread = self._thread
        if thread is None or not thread.is_alive():  # in a forked child none is
            thread = self._thread = threading.Thread(
                target=self._run, name="nowserving-prometheus-probe", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # none can be started: the process is ending
                detached(thread.start)

    def _run(self) -> None:
        if self._look():
            # Whoever begins from here on finds that nobody looks; whoever did before is seen here.
            self._thread = None
            if self._is_down():
                self.begin()

    def _look(self) -> bool:
        """Ask until it serves again; return False if the store is gone first."""
        while self._is_down():
            time.sleep(_EVERY)
            store = self._store()
            if store is None:
                return False
            try:
                for name in _NAMES if self._is_down() else ():
                    store.blocking.inspect(name)
            except StoreClosed:
                return False
            except Exception:
                logger.debug("The store does not serve yet", exc_info=True)
            del store
        return True

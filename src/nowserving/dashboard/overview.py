"""The whole store as the page gets it: the newest survey, the last minutes, and trouble."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from nowserving.errors import RasaException

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from nowserving.dashboard.source import Json

log = logging.getLogger("nowserving.dashboard")

PATIENCE = 5.0
"""Seconds after which a store that has not answered is shown as such; it is not asked again."""

_SAMPLES = 600


class Sample(NamedTuple):
    """One point of the plot; all but the moment is None where the store did not answer.

    Attributes:
        at: Unix seconds.
        waiting: Tickets that wait.
        held: Conversations that somebody holds.
        oldest_wait: Seconds of the longest wait.
    """

    at: float
    waiting: int | None
    held: int | None
    oldest_wait: float | None


class Asked:
    """Asks one thing of a store again and again, and puts what goes wrong into words.

    Args:
        ask: What asks.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Json]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[Json] | None = None
        self._since: float | None = None  # when the trouble began

    async def answer(self) -> tuple[Json | None, Json | None]:
        """Return what the store says, or else what the trouble is and for how long."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        asking = self._asking
        try:
            await asyncio.wait({asking}, timeout=PATIENCE)
        except asyncio.CancelledError:
            self._asking = None
            asking.cancel()
            raise
        if not asking.done():
            return None, self._trouble("The store has not answered yet.")
        self._asking = None
        try:
            said = await asking
        except (RasaException, OSError) as error:  # an error of ours holds no secret
            return None, self._trouble(str(error))
        except Exception:  # a page that stood still, and did not say so, would be worse
            log.exception("The dashboard could not read the store")
            return None, self._trouble("The dashboard has failed; its log says why.")
        self._since = None
        return said, None

    def _trouble(self, why: str) -> Json:
        now = time.time()
        self._since = self._since or now
        return {"why": why, "since": self._since}


class Overview:
    """Reads the store for the page's first view.

    Args:
        survey: What asks the store.
    """

    def __init__(self, survey: Callable[[], Coroutine[Any, Any, Json]]) -> None:
        self._asked = Asked(survey)
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)

    @property
    def recent(self) -> list[Sample]:
        """The last minutes, as far as somebody looked."""
        return list(self._samples)

    async def read(self) -> Json:
        """Return the newest survey, or what keeps the store from answering."""
        survey, trouble = await self._asked.answer()
        at = time.time()
        if survey is None:
            sample = Sample(at, None, None, None)
        else:
            sample = Sample(at, survey["waiting"], survey["held"], survey["oldest_wait"] or 0.0)
        self._samples.append(sample)
        return {"at": at, "survey": survey, "trouble": trouble, "sample": sample}


def watching(
    look: Callable[[], Coroutine[Any, Any, Json]], conversation_id: str
) -> Callable[[], Awaitable[Json]]:
    """Return what reads one conversation for the page's detailed view."""
    asked = Asked(look)

    async def read() -> Json:
        line, trouble = await asked.answer()
        return {"at": time.time(), "id": conversation_id, "line": line, "trouble": trouble}

    return read

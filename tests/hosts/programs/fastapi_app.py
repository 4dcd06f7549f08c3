"""An app whose synchronous dependency holds a lock: FastAPI runs each step of it in some thread.

``STORE_URL`` names the store. Each conversation counts who is inside.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse

from nowserving import LockStore
from nowserving.held import HeldLock  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LIFETIME = 0.6
CHUNKS = 4

app = FastAPI()
store = LockStore.create(os.environ["STORE_URL"])
inside: Counter[str] = Counter()
mutex = threading.Lock()


def conversation(name: str, *, reentrant: bool = False) -> Iterator[HeldLock]:
    """Hold the lock while the request is handled."""
    with store.lock(name, LIFETIME, auto_renew=True, reentrant=reentrant) as lock:
        yield lock


async def conversation_async(name: str) -> AsyncIterator[HeldLock]:
    """Do the same on the event loop."""
    async with store.lock(name, LIFETIME, auto_renew=True) as lock:
        yield lock


def enter(name: str) -> int:
    """Note that a handler begins, and return how many are inside."""
    with mutex:
        inside[name] += 1
        return inside[name]


def leave(name: str) -> None:
    """Note that one ends."""
    with mutex:
        inside[name] -= 1


Said = dict[str, Any]


@app.get("/inside/{name}")
async def count(name: str) -> int:
    """Return how many are inside."""
    return inside[name]


@app.get("/collect")
async def collect() -> int:
    """Run the garbage collector, as a busy server does all the time."""
    return gc.collect()


@app.get("/sync/{name}")
def handle(name: str, lock: Annotated[HeldLock, Depends(conversation)], hold: float = 0.0) -> Said:
    """Handle a message in a worker thread."""
    together = enter(name)
    time.sleep(hold)
    leave(name)
    return {"together": together, "lost": lock.lost, "ticket": lock.ticket}


@app.get("/mixed/{name}")
async def handle_on_the_loop(
    name: str, lock: Annotated[HeldLock, Depends(conversation)], hold: float = 0.0
) -> Said:
    """Handle one on the loop, its lock taken and left in worker threads."""
    together = enter(name)
    await asyncio.sleep(hold)
    leave(name)
    return {"together": together, "lost": lock.lost, "ticket": lock.ticket}


@app.get("/async/{name}")
async def handle_async(
    name: str, lock: Annotated[HeldLock, Depends(conversation_async)], hold: float = 0.0
) -> Said:
    """Handle one on the loop altogether."""
    together = enter(name)
    await asyncio.sleep(hold)
    leave(name)
    return {"together": together, "lost": lock.lost, "ticket": lock.ticket}


@app.get("/stream/{name}")
def stream(name: str, hold: float = 0.0) -> StreamingResponse:
    """Answer in parts; each of them is made in some worker thread."""

    def parts() -> Iterator[str]:
        with store.lock(name, LIFETIME, auto_renew=True) as lock:
            together = enter(name)
            try:
                for _ in range(CHUNKS):
                    yield f"{together} {lock.lost}\n"
                    time.sleep(hold / CHUNKS)
            finally:
                leave(name)

    return StreamingResponse(parts())

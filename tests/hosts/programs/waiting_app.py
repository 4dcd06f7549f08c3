"""A FastAPI app with a long line; ``CLOSES`` says whether it closes its store when it ends.

``STORE_URL`` names the store.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from tests.support.watched import create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

store = create(os.environ["STORE_URL"])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the store at the end, or don't."""
    yield
    if os.environ["CLOSES"] == "yes":
        await store.aclose()


app = FastAPI(lifespan=lifespan)


@app.get("/hold/{name}")
async def hold(name: str) -> None:
    """Wait for a turn, and take longer than any server has patience."""
    async with store.lock(name):
        await asyncio.sleep(3600)

"""A FastAPI app whose turns Prometheus is told of, by each of its workers.

``STORE_URL`` names the store. It is started with ``PROMETHEUS_MULTIPROC_DIR`` or without.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, make_asgi_app
from prometheus_client.multiprocess import MultiProcessCollector

from nowserving import LockBusy, LockStore
from nowserving.integrations import prometheus

store = LockStore.create(os.environ["STORE_URL"])
prometheus.observe(store, "bot")
app = FastAPI()

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    app.mount("/metrics", make_asgi_app(registry))
else:
    app.mount("/metrics", make_asgi_app())


@app.get("/turn/{name}")
async def turn(name: str, hold: float = 0.0) -> int:
    """Take a turn, and say in which process."""
    async with store.lock(name, auto_renew=True):
        await asyncio.sleep(hold)
    return os.getpid()


@app.get("/lose/{name}")
async def lose(name: str) -> None:
    """Take longer than the lock lives, and lose it."""
    async with store.lock(name, 0.1):
        await asyncio.sleep(0.3)


@app.get("/refuse/{name}")
async def refuse(name: str) -> None:
    """Be refused, since somebody else holds it."""
    with contextlib.suppress(LockBusy):
        async with store.lock(name, when_busy="reject"):
            pass


@app.get("/pid")
async def pid() -> int:
    """Say which process answers."""
    return os.getpid()

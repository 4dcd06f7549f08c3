"""A Sanic app with a long line: ``python sanic_app.py PORT STORE_URL START_METHOD WORKERS``."""

from __future__ import annotations

import asyncio
import sys

from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

from nowserving import LockStore

port, url, start_method, workers = sys.argv[1:]
app = Sanic("waiting")
app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 1.0
app.config.MOTD = False
store = LockStore.create(url)


@app.get("/hold/<name>")
async def hold(_: Request, name: str) -> HTTPResponse:
    """Wait for a turn, and take longer than the server has patience."""
    async with store.lock(name):
        await asyncio.sleep(3600)
    return empty()


if __name__ == "__main__":
    Sanic.start_method = "fork" if start_method == "fork" else "spawn"
    app.run("127.0.0.1", int(port), workers=int(workers), access_log=False)

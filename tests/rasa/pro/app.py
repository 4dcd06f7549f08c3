"""A Sanic app with worker processes that takes locks as Rasa Pro's server does.

The lock store is made in each worker by Rasa's factory (here that of the stand-in) from an
endpoint configuration, before the worker starts. ``python app.py PORT REDIS_PORT START_METHOD
STOPWATCH_FILE`` runs it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from rasa.core.lock_store import LockStore
from rasa.utils.endpoints import EndpointConfig
from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

WORKERS = 2

port, redis_port, start_method, stopwatch_file = sys.argv[1:]
app = Sanic("stand_in")
app.config.MOTD = False


@app.before_server_start
async def make_store(app: Any) -> None:
    """Make the worker's lock store."""
    app.ctx.stopwatch = os.open(stopwatch_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    path = "nowserving.integrations.rasa.RedisLockStore"
    section = EndpointConfig("127.0.0.1", path, port=int(redis_port), auto_renew=True)
    app.ctx.lock_store = LockStore.create(section)


@app.post("/<conversation_id>/<message:int>")
async def handle(_request: Request, conversation_id: str, message: int) -> HTTPResponse:
    """Handle a message under its conversation's lock, and write down when."""
    noted = {"conversation": conversation_id, "message": message, "server": os.getpid()}
    noted["asked"] = time.monotonic()
    async with app.ctx.lock_store.lock(conversation_id):
        noted["began"] = time.monotonic()
        await asyncio.sleep(0.02)
        noted["ended"] = time.monotonic()
    os.write(app.ctx.stopwatch, json.dumps(noted).encode() + b"\n")
    return empty()


if __name__ == "__main__":
    vars_of_sanic: Any = Sanic
    vars_of_sanic.start_method = start_method
    app.run("127.0.0.1", int(port), workers=WORKERS, access_log=False)

"""A worker whose turns absorb what waits, as a process of its own; says what becomes of messages.

It reads a job from its argument, as JSON: ``{"url", "seed", "messages"}``, and says lines of JSON:
``["worked", message, [absorbed, …]]`` when a body is about to end well, ``["left", message]`` when
its turn has ended so, and ``["told", message, name of the error]`` of any other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from typing import Any

from nowserving import LockError, LockStore

LIFETIME = 1.0


def _say(*words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def _handle(store: LockStore, rng: random.Random, message: str) -> None:
    await asyncio.sleep(rng.random() * 2.0)
    how: Any = {
        "auto_renew": True,
        "on_lost": "cancel",
        "message_id": message,
        "remember_for": 3600.0,
        "timeout": rng.choice([None, None, 0.5]),
        "when_busy": rng.choice(["queue", "queue", "queue", "latest", "interrupt"]),
    }
    try:
        async with store.lock("c", LIFETIME, 0.1, **how) as lock:
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(rng.random() * 0.05)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(lock.absorb(), rng.choice([5.0, 5.0, 0.0, 0.001]))
            if rng.random() < 0.2:
                _fail()
            _say("worked", message, [one.message_id for one in lock.absorbed])
        _say("left", message)
    except (LockError, LookupError) as error:
        _say("told", message, type(error).__name__, str(error))


def _fail() -> None:
    raise LookupError


async def main(url: str, seed: int, messages: list[str]) -> None:
    rng = random.Random(seed)
    async with LockStore.create(url) as store:
        await asyncio.gather(*(_handle(store, rng, message) for message in messages))


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))

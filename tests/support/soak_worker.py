"""A process that takes turns until it is killed, and writes each step behind the others'.

Run with a store's URL, a folder and a seed. In the folder is a file for each conversation, to which
all processes append: ``in <token> <at>`` and ``out <token> <at>``, with ``at`` from
``time.monotonic_ns()``.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from nowserving import LockError, LockStore

CONVERSATIONS, TASKS = 6, 6
LIFETIME = 60.0

_MANNERS: tuple[dict[str, Any], ...] = (
    *[{}] * 6,
    {"auto_renew": True},
    {"when_busy": "latest"},
    {"timeout": 0.01},
    {"max_waiting": 3},
    {"message_id": "again and again", "remember_for": 0.1},
)


async def work(store: LockStore, folder: Path, choose: random.Random) -> None:
    """Take turns for ever."""
    while True:
        name = f"c{choose.randrange(CONVERSATIONS)}"
        try:
            async with store.lock(name, LIFETIME, 0.5, **choose.choice(_MANNERS)) as lock:
                say(folder / name, "in", lock.fencing_token)
                if choose.random() < 0.3:
                    await asyncio.sleep(choose.random() * 0.003)
                say(folder / name, "out", lock.fencing_token)
        except LockError as error:
            if type(error) is LockError:  # it expired, in a tenth of its time
                say(folder / "errors", str(error), 0)


def say(path: Path, what: str, token: int) -> None:
    """Append a line in one piece."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{what} {token} {time.monotonic_ns()}\n".encode())
    finally:
        os.close(file)


async def main(url: str, folder: Path, seed: int) -> None:
    """Work in several tasks, until killed."""
    choose = random.Random(seed)
    async with LockStore.create(url) as store:
        await asyncio.gather(*(work(store, folder, choose) for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))

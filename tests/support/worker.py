"""A worker process for tests: does the turns of a job and tells each step as one JSON line.

Run with the job as its only argument (``tests/support/crew.py`` does). A step is
``{"step", "turn", "at", ...}`` with ``at`` from ``time.monotonic_ns()``, which all processes of a
machine share. SIGTERM closes the store and ends the process. It ends by itself when its standard
input does, so that no test leaves one behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from nowserving import LockError, LockStore


@dataclass(frozen=True)
class TurnJob:
    """One turn to do.

    Attributes:
        conversation: What to lock.
        hold: Seconds the body takes.
        block: Whether the body blocks its event loop meanwhile.
        after: Seconds to wait before asking for the lock.
        lifetime: The ticket's lifetime.
        wait: ``wait_time_in_seconds``.
        options: More arguments of ``lock()``.
        tracker: A SQLite file whose table ``tracker`` the body writes to when it ends.
    """

    conversation: str = "c"
    hold: float = 0.0
    block: bool = False
    after: float = 0.0
    lifetime: float = 60.0
    wait: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    tracker: str | None = None


@dataclass(frozen=True)
class Job:
    """What a worker has to do.

    Attributes:
        url: The store's URL.
        turns: All are asked for at once, in this order (unless they wait a while).
        on_go: Wait for the word ``go`` before asking.
    """

    url: str
    turns: list[TurnJob]
    on_go: bool = False

    def dumps(self) -> str:
        """Return the job as text."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Job:
        """Read back what :meth:`dumps` wrote."""
        given = json.loads(text)
        return cls(given["url"], [TurnJob(**turn) for turn in given["turns"]], given["on_go"])


def say(step: str, turn: int = -1, **more: object) -> None:
    """Tell a step, at once: what a killed worker did must be known."""
    line = {"step": step, "turn": turn, "at": time.monotonic_ns(), **more}
    os.write(1, json.dumps(line).encode() + b"\n")


def _write(tracker: str, conversation: str, token: int) -> bool:
    """Write as a tracker store does that checks fencing tokens; False when it refuses."""
    with contextlib.closing(sqlite3.connect(tracker)) as table, table:
        changed = table.execute(
            "UPDATE tracker SET token = :token, writer = :writer "
            "WHERE conversation = :conversation AND token <= :token",
            {"token": token, "writer": os.getpid(), "conversation": conversation},
        )
        return changed.rowcount == 1


async def _do(store: LockStore, index: int, turn: TurnJob) -> None:
    if turn.after:
        await asyncio.sleep(turn.after)
    options: Any = turn.options
    asked = time.monotonic_ns()
    try:
        async with store.lock(turn.conversation, turn.lifetime, turn.wait, **options) as lock:
            say("entered", index, number=lock.ticket, token=lock.fencing_token, asked=asked)
            try:
                if turn.block:
                    time.sleep(turn.hold)  # noqa: ASYNC251 - what is tested
                else:
                    await asyncio.sleep(turn.hold)
            finally:
                left = {"number": lock.ticket, "token": lock.fencing_token, "lost": lock.lost}
                if turn.tracker is not None:
                    left["written"] = _write(turn.tracker, turn.conversation, lock.fencing_token)
                say("left", index, **left)
    except LockError as error:
        say("refused", index, error=type(error).__name__, message=str(error))


async def _work(job: Job, go: asyncio.Event) -> None:
    store = LockStore.create(job.url)
    closing: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()

    def close() -> None:
        closing.append(loop.create_task(store.aclose()))

    loop.add_signal_handler(signal.SIGTERM, close)
    async with store.lock(f"warm-up {os.getpid()}", 5.0):
        pass  # connected; no turn shall pay for it
    say("ready")
    if job.on_go:
        await go.wait()
    await asyncio.gather(*(_do(store, index, turn) for index, turn in enumerate(job.turns)))
    await asyncio.gather(*closing)
    await store.aclose()
    say("done")


def _listen(loop: asyncio.AbstractEventLoop, go: asyncio.Event) -> None:
    while word := os.read(0, 64):
        if b"go" in word:
            loop.call_soon_threadsafe(go.set)
    os._exit(3)  # whoever started us is gone


async def _main(job: Job) -> None:
    go = asyncio.Event()
    listener = threading.Thread(target=_listen, args=(asyncio.get_running_loop(), go), daemon=True)
    listener.start()
    await _work(job, go)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(_main(Job.loads(sys.argv[1])))

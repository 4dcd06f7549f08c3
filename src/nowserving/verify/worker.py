"""One worker process of a replay: ``python -m nowserving.verify.worker``.

It reads its job from standard input, one line; says ``"ready"``; reads the common start, one
line; handles each message when it is due; and writes one line for each finished message (see
:class:`~nowserving.verify.turns.TurnRecord`), then ``"done"``. When its standard input ends,
whoever started it has gone or wants no more: it leaves every line it stands in and stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nowserving import LockStore, LockSuperseded
from nowserving.verify.turns import TurnRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving import HeldLock
    from nowserving.verify.plan import Delivery

READY = "ready"
DONE = "done"

_NANOSECONDS = 1_000_000_000
_LEAVE_WITHIN = 3.0  # seconds
_LONGEST_ERROR = 400  # characters


@dataclass(frozen=True)
class Job:
    """What a worker has to do.

    Attributes:
        worker: The worker's number, 0 and up.
        store: URL of the store; None to work without a lock.
        lifetime: Seconds that a ticket lives.
        prefix: Stands before every conversation id, so that one run's lines are its own.
        options: How turns are asked for beside that, as arguments of ``lock()``. If there are any,
            each message has its index for a ``message_id``, by which whoever answers knows it.
        deliveries: ``(index, conversation_id, due, hold)`` of each message, in due order; times
            in nanoseconds as in :class:`~nowserving.verify.plan.Delivery`.
    """

    worker: int
    store: str | None
    lifetime: float
    prefix: str
    options: dict[str, Any]
    deliveries: list[tuple[int, str, int, int]]

    @classmethod
    def of(  # noqa: PLR0913 - a job's facts, handed over once
        cls,
        worker: int,
        share: list[Delivery],
        *,
        store: str | None,
        lifetime: float,
        prefix: str,
        options: Mapping[str, Any] | None = None,
    ) -> Job:
        """Make the job of ``worker`` from its share of a plan."""
        deliveries = [(item.index, item.conversation_id, item.due, item.hold) for item in share]
        return cls(worker, store, lifetime, prefix, dict(options or {}), deliveries)

    def dumps(self) -> bytes:
        """Return the job as one line."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def loads(cls, line: bytes) -> Job:
        """Read back what :meth:`dumps` wrote."""
        return cls(**json.loads(line))


class Worker:
    """Carries out a job inside an event loop.

    Args:
        job: What to do.
        replies: File descriptor for the lines about it.
    """

    def __init__(self, job: Job, replies: int) -> None:
        self._job = job
        self._replies = replies
        self._store = None if job.store is None else LockStore.create(job.store)

    async def run(self) -> None:
        """Do the job from the common start to the last message."""
        loop = asyncio.get_running_loop()
        start: asyncio.Future[int] = loop.create_future()
        listener = (loop, start, asyncio.current_task())
        threading.Thread(target=_listen, args=listener, daemon=True).start()
        try:
            await self._warm_up()
            self._say(READY)
            await self._handle_all(await start)
        finally:
            if self._store is not None:
                await self._store.aclose()
        self._say(DONE)

    async def _warm_up(self) -> None:
        """Connect before the start: no message should pay for it."""
        async with self._line(f"warm-up {self._job.worker}"):
            pass

    async def _handle_all(self, start: int) -> None:
        handlers = []
        try:
            for index, conversation_id, due, hold in self._job.deliveries:
                await asyncio.sleep((start + due - time.monotonic_ns()) / _NANOSECONDS)
                handlers.append(asyncio.create_task(self._handle(index, conversation_id, hold)))
            await asyncio.gather(*handlers)
        finally:
            for handler in handlers:
                handler.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)

    async def _handle(self, index: int, conversation_id: str, hold: int) -> None:
        """Handle one message and report it; an error of the lock is part of the report."""
        number = token = entered = left = error = None
        superseded = False
        answers: tuple[int, ...] = ()
        fired = time.monotonic_ns()
        try:
            async with self._line(conversation_id, index) as lock:
                entered = time.monotonic_ns()
                if lock is not None:
                    number, token = lock.ticket, lock.fencing_token
                    answers = tuple(map(int, lock.superseded))
                try:
                    await asyncio.sleep(hold / _NANOSECONDS)
                finally:
                    left = time.monotonic_ns()
        except LockSuperseded:
            superseded = True
        except Exception as problem:  # noqa: BLE001 - whatever it was, the message is lost: say why
            error = f"{type(problem).__name__}: {problem}"[:_LONGEST_ERROR]
        record = TurnRecord(
            index=index,
            conversation_id=conversation_id,
            worker=self._job.worker,
            fired=fired,
            entered=entered,
            left=left,
            number=number,
            token=token,
            error=error,
            superseded=superseded,
            answers=answers,
        )
        self._write(record.dumps())

    def _line(
        self, conversation_id: str, index: int | None = None
    ) -> contextlib.AbstractAsyncContextManager[HeldLock | None]:
        if self._store is None:
            return contextlib.nullcontext()
        options = self._job.options
        if index is None:
            options = {}  # nothing that is to be answered for
        elif options:
            options = {**options, "message_id": str(index)}
        return self._store.lock(
            f"{self._job.prefix}{conversation_id}", self._job.lifetime, **options
        )

    def _say(self, word: str) -> None:
        self._write(json.dumps(word).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        # At once and unbuffered: what a killed worker had finished has been told.
        os.write(self._replies, line)


def _listen(
    loop: asyncio.AbstractEventLoop, start: asyncio.Future[int], work: asyncio.Task[None]
) -> None:
    """Hand on the common start, then wait for the end of standard input to stop the work.

    On the descriptor itself: a daemon thread that sleeps inside ``sys.stdin`` holds a lock that
    the interpreter wants when it exits. Nothing is buffered there, since the start is sent only
    after ``"ready"``.
    """
    received = b""
    while chunk := os.read(0, 64):
        received += chunk
        if received.endswith(b"\n"):
            loop.call_soon_threadsafe(start.set_result, int(received))
            received = b""
    loop.call_soon_threadsafe(work.cancel)
    time.sleep(_LEAVE_WITHIN)
    os._exit(1)  # a store that does not let go must not keep an orphan alive


def _claim_stdout() -> int:
    """Return a descriptor of standard output for us alone; what others print goes to stderr."""
    replies = os.dup(1)
    os.dup2(2, 1)
    return replies


def main() -> int:
    """Run the worker.

    Returns:
        The exit status: 0 when the job was done, 1 when it was called off.
    """
    replies = _claim_stdout()
    job = Job.loads(sys.stdin.buffer.readline())
    try:
        asyncio.run(Worker(job, replies).run())
    except (asyncio.CancelledError, BrokenPipeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

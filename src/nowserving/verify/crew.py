"""A worker process as the command sees it: start it, hear it, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowserving.verify.turns import TurnRecord
from nowserving.verify.worker import DONE, READY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from nowserving.verify.plan import Delivery
    from nowserving.verify.worker import Job

_STOP_WITHIN = 5.0  # seconds
_LAST_WORDS = 2_000  # characters


@dataclass(frozen=True)
class Death:
    """A worker that ended before its job was done.

    Attributes:
        worker: The worker's number.
        status: Its exit status; negative for the signal that ended it.
        last_words: The last line it wrote to its standard error, or an empty string.
    """

    worker: int
    status: int
    last_words: str


class WorkerProcess:
    """One worker process, from its start to its end: an async context manager.

    Args:
        job: What it has to do.
        deliveries: Every delivery of the plan by its index.
    """

    def __init__(self, job: Job, deliveries: Mapping[int, Delivery]) -> None:
        self.worker = job.worker
        self.done = False
        self._job = job
        self._deliveries = deliveries
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __aexit__
        self._process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """The process id, once it was entered."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nowserving.verify.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for us; the end of its stdin stops a worker
            env=_environment(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the process; gently first."""
        self.dismiss()
        try:
            # Read what it still says: it must not hang in a full pipe while it leaves.
            await asyncio.wait_for(self._process.communicate(), _STOP_WITHIN)
        except asyncio.TimeoutError:
            self.kill()
            await self._process.communicate()
        finally:
            self._errors.close()

    async def ready(self) -> bool:
        """Hand it its job and wait until it is ready for the start; False if it ended before."""
        await self._send(self._job.dumps())
        async for heard in self._lines():
            if heard == READY:
                return True
        return False

    async def go(self, start: int) -> None:
        """Tell it the common start, in nanoseconds of the monotonic clock."""
        await self._send(b"%d\n" % start)

    async def turns(self) -> AsyncIterator[TurnRecord]:
        """Yield what it records, until it is done or dead."""
        async for heard in self._lines():
            if heard == DONE:
                self.done = True
            else:
                yield TurnRecord.loads(heard, self._deliveries[heard[0]])

    async def death(self) -> Death | None:
        """Return how it died once it has stopped talking; None if its job was done."""
        if self.done:
            return None
        status = await self._process.wait()
        self._errors.seek(0, os.SEEK_SET)
        words = self._errors.read().decode(errors="replace")[-_LAST_WORDS:].strip()
        return Death(self.worker, status, words.rpartition("\n")[2])

    def dismiss(self) -> None:
        """Ask it to leave every line it stands in and to end."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _send(self, line: bytes) -> None:
        if self._process.stdin is None:
            return
        # A worker that is dead already shows itself where it is listened to.
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line)
            await self._process.stdin.drain()

    async def _lines(self) -> AsyncIterator[Any]:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            if line.endswith(b"\n"):  # a killed worker may leave half a line
                yield json.loads(line)


def _environment() -> dict[str, str]:
    """Let a worker import what this process imports, and not what lies about in its folder."""
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}

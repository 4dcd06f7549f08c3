"""Worker processes: every measurement runs in one or several of them, never in the one that asks.

They are started once and stay, so that no measurement pays for a start, and they are spawned, so
that nothing of the asking process is in them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from typing_extensions import Self

_T = TypeVar("_T")

_START_AHEAD = 0.05
"""Seconds between the word to start and the common start."""


class JobError(RuntimeError):
    """A measurement failed in its worker, or did not end in time."""


class Gate:
    """Where the workers of one job wait for each other.

    Args:
        pipe: To the process that asks.
        index: Which worker this is.
    """

    def __init__(self, pipe: Connection, index: int) -> None:
        self._pipe = pipe
        self.index = index

    def wait(self) -> float:
        """Wait until all workers are ready; return the moment of the common start (monotonic)."""
        self._pipe.send(_Ready())
        start: float = self._pipe.recv()
        time.sleep(max(0.0, start - time.monotonic()))
        return start


class _Ready(NamedTuple):
    """A worker stands at the gate."""


@dataclass(frozen=True)
class _Result(Generic[_T]):
    value: _T


class _Failure(NamedTuple):
    text: str


class Crew:
    """The workers.

    Args:
        size: How many there are.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._workers: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()

    def run(
        self, job: Callable[[Gate], Awaitable[_T]], *, workers: int = 1, limit: float = 300.0
    ) -> list[_T]:
        """Run a job in some workers at once and return what each of them found.

        Args:
            job: A function of a module (it is pickled), maybe with arguments bound to it.
            workers: In how many workers.
            limit: Seconds after which it is given up.

        Raises:
            JobError: If it fails or does not end; there are fresh workers afterwards.
        """
        pipes = [pipe for _, pipe in self._workers[:workers]]
        for pipe in pipes:
            pipe.send(job)
        try:
            answers: list[_Result[_T] | _Ready] = [_answer(pipe, limit) for pipe in pipes]
            if any(isinstance(answer, _Ready) for answer in answers):
                start = time.monotonic() + _START_AHEAD
                for pipe in pipes:
                    pipe.send(start)
                answers = [_answer(pipe, limit) for pipe in pipes]
        except JobError:
            self.renew()
            raise
        return [answer.value for answer in answers if isinstance(answer, _Result)]

    def renew(self) -> None:
        """Replace the workers by fresh ones."""
        self._stop()
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        for index in range(self._size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, index), daemon=True)
            process.start()
            theirs.close()
            self._workers.append((process, ours))

    def _stop(self) -> None:
        for process, pipe in self._workers:
            pipe.close()
            process.terminate()
            process.join()
        self._workers = []


def _answer(pipe: Connection, limit: float) -> _Result[_T] | _Ready:
    if not pipe.poll(limit):
        raise JobError(f"no answer within {limit:g} s")
    try:
        answer: _Result[_T] | _Ready | _Failure = pipe.recv()
    except EOFError as error:
        raise JobError("the worker ended") from error
    if isinstance(answer, _Failure):
        raise JobError(answer.text)
    return answer


def _work(pipe: Connection, index: int) -> None:
    while True:
        try:
            job = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer: object = _Result(asyncio.run(job(Gate(pipe, index))))
        except Exception:  # noqa: BLE001 - whatever it was is told to who asked
            answer = _Failure(traceback.format_exc())
        pipe.send(answer)

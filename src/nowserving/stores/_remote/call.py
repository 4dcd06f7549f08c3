"""One verb, or one plain command, on its way to a server and back."""

from __future__ import annotations

import asyncio
import math
from typing import Any

_NEVER = math.inf


class Call:
    """What is asked for, and the future that gets the answer.

    Moments are on the loop's clock.

    Attributes:
        key: The record's key; empty for a plain command.
        args: The verb and its arguments, as they are sent.
        again: The arguments to send when an earlier attempt may have arrived.
        future: Gets the reply or the error.
        asked: When it was made.
        deadline: When it fails.
        retry_at: When a connection that has not answered it by then is given up, once.
        until: How long its caller waits for it; infinite for as long as it takes.
        alone: Whether it shares no group with others.
        batch: The number of the batch that it is the first of, for replies that have to be told
            apart.
        sent: Whether it was ever written to a connection.
        repeated: Whether an earlier attempt may have arrived, its reply lost.
    """

    __slots__ = (
        "again",
        "alone",
        "args",
        "asked",
        "batch",
        "deadline",
        "future",
        "key",
        "repeated",
        "retry_at",
        "sent",
        "until",
    )

    def __init__(  # noqa: PLR0913 - a call's facts, handed over once
        self,
        key: bytes,
        args: tuple[Any, ...],
        again: tuple[Any, ...],
        future: asyncio.Future[Any],
        now: float,
        timeout: float,
        within: float | None = None,
    ) -> None:
        self.key = key
        self.args = args
        self.again = again
        self.future = future
        self.asked = now
        self.deadline = now + timeout
        self.retry_at = now + timeout / 2
        self.until = _NEVER if within is None else now + within
        self.alone = False
        self.batch = ""
        self.sent = False
        self.repeated = False

    def answer(self, reply: Any) -> None:  # noqa: ANN401 - whatever it says
        """End with a reply, unless the caller has gone already."""
        if not self.future.done():
            self.future.set_result(reply)

    def fail(self, error: BaseException) -> None:
        """End with an error, unless the caller has gone already."""
        if not self.future.done():
            self.future.set_exception(error)

    def give_up(self) -> None:
        """Its caller waits no longer. What was sent goes on, what was not is dropped in time."""
        if not self.future.done():
            self.future.set_exception(asyncio.TimeoutError())

    def drop(self) -> None:
        """End without having been sent: its caller has gone."""

    def lost(self) -> None:
        """Its reply was lost: nobody knows whether it arrived."""
        self.args, self.repeated = self.again, True

    def due(self, now: float) -> float:
        """Return when something has to be decided about it next."""
        due = self.retry_at if self.retry_at > now else self.deadline
        return min(due, self.until) if self.until > now else due

    def postpone(self, seconds: float) -> None:
        """Give it time back in which nothing could be done about it."""
        self.deadline += seconds
        self.retry_at += seconds

    def renew_retry_at(self, now: float) -> None:
        """Give a connection over which it goes out late as much time as any other."""
        self.retry_at = min(self.deadline, now + self.deadline - self.retry_at)

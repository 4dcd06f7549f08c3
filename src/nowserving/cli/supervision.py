"""A command under a lock: begins with its turn, is told what happens, and ends before it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from nowserving import (
    CorruptLock,
    IncompatibleRecord,
    LockError,
    Observer,
    StoreClosed,
    StoreUnavailable,
)
from nowserving.cli import forwarding
from nowserving.cli.terminal import safe
from nowserving.cli.words import holder_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving import HeldLock, LockStore, TicketEvent
    from nowserving.cli.command import Command

_STATUS_OF_SIGNAL = 128
_NOT_ANSWERED = (StoreUnavailable, StoreClosed, CorruptLock, IncompatibleRecord)


class OnLost(str, Enum):
    """What happens to a command whose turn is lost."""

    WARN = "warn"
    KILL = "kill"


class _Failed(Exception):  # noqa: N818 - it only tells the store how the turn went
    """The command did not end well, so its turn has not."""


class Run(Observer):
    """One run of a command.

    Args:
        command: The command, held back.
        conversation_id: Whose turn it needs.
        options: How the turn is asked for, as ``lock()`` takes it.
        on_lost: What happens to the command if the turn is lost.
        kill_after: Seconds between SIGTERM and SIGKILL, where it is ended.
        conflict: The exit status if the turn never comes.
    """

    def __init__(  # noqa: PLR0913 - what the command's options say
        self,
        command: Command,
        conversation_id: str,
        options: Mapping[str, Any],
        *,
        on_lost: OnLost,
        kill_after: float,
        conflict: int,
    ) -> None:
        self._command = command
        self._conversation_id = conversation_id
        self._options = options
        self._on_lost = on_lost
        self._kill_after = kill_after
        self._conflict = conflict
        self._task: asyncio.Task[Any] | None = None
        self._began = False
        self._status: int | None = None
        self._received: set[signal.Signals] = set()
        self._why_lost = ""

    @property
    def killed_by(self) -> int:
        """The signal that has ended the command, or the wait for its turn; 0 if none has."""
        if self._began or self._status is None:
            return self._command.killed_by
        return max(0, self._status - _STATUS_OF_SIGNAL)

    async def under(self, store: LockStore) -> int:
        """Wait for the turn, run the command, and give the turn back.

        Returns:
            The exit status.

        Raises:
            StoreUnavailable: If the store does not answer before the command has begun; and so on
                for what else says that the store can't be used.
            typer.BadParameter: If an option is out of range.
        """
        self._task = asyncio.current_task()
        store.observe(self)
        forwarding.listen(asyncio.get_running_loop(), self._on_signal)
        try:
            turn = store.lock(
                self._conversation_id, auto_renew=True, on_lost="warn", **self._options
            )
        except (TypeError, ValueError) as error:
            raise typer.BadParameter(str(error)) from None
        try:
            async with turn as lock:
                await self._hold(lock)
        except _Failed:
            pass
        except asyncio.CancelledError:
            if not self._received:
                raise
            if self._status is None:
                self._status = _STATUS_OF_SIGNAL + min(self._received)
        except LockError as error:
            if self._status is not None:  # it has run; what its turn came to, the store tells
                return self._status
            if isinstance(error, _NOT_ANSWERED):
                raise
            self._say(f"no turn: {error} {holder_of(error)}".rstrip())
            return self._conflict
        assert self._status is not None  # noqa: S101 - for the type checker
        return self._status

    def waiting(self, event: TicketEvent) -> None:
        """Tell a person why nothing happens."""
        if sys.stderr.isatty():
            self._say(f"waits for its turn, {event.ahead} ahead.")

    def lost(self, event: TicketEvent) -> None:
        """Note why the turn is lost."""
        self._why_lost = event.reason

    async def _hold(self, lock: HeldLock) -> None:
        """Let the command run, to its end, whatever happens meanwhile."""
        await asyncio.sleep(0)  # a signal that came together with the turn ends it here
        self._began = True
        self._command.start(
            {
                "NOWSERVING_CONVERSATION_ID": self._conversation_id,
                "NOWSERVING_TICKET": str(lock.ticket),
                "NOWSERVING_FENCING_TOKEN": str(lock.fencing_token),
            }
        )
        ended = asyncio.ensure_future(self._command.wait())
        lost = asyncio.ensure_future(lock.lost_event.wait())
        try:
            await asyncio.wait({ended, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._tell_lost()
                if self._on_lost is OnLost.KILL:
                    await self._end(ended)
                await asyncio.wait({ended})
        except asyncio.CancelledError:  # a newer message interrupts this one
            self._say("a newer message interrupts this turn. Ending the command.")
            await self._end(ended)
            raise
        finally:
            lost.cancel()
            self._status = ended.result()
        if self._status != 0:
            raise _Failed

    async def _end(self, ended: asyncio.Future[int]) -> None:
        """End the command: SIGTERM, and SIGKILL if that was not enough, or if it is hurried."""
        self._command.send(signal.SIGTERM)
        self._command.send(signal.SIGCONT)  # one that is stopped heeds nothing else
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({ended}, timeout=self._kill_after)
        while not ended.done():
            self._command.send(signal.SIGKILL)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({ended})

    def _on_signal(self, signum: signal.Signals, of_terminal: bool) -> None:  # noqa: FBT001
        if signum in forwarding.ENDING:
            self._received.add(signum)
            if not self._began:
                assert self._task is not None  # noqa: S101 - for the type checker
                self._task.cancel()
        # What a terminal sends, the command has got by itself unless it is in another group.
        if self._began and (self._command.own_group or not of_terminal):
            self._command.send(signum)
        if signum is signal.SIGTSTP:
            forwarding.stop()

    def _tell_lost(self) -> None:
        kills = self._on_lost is OnLost.KILL
        then = "Ending the command" if kills else "The command runs on, maybe beside the next one"
        self._say(f"the turn is lost: {self._why_lost}. {then}.")

    def _say(self, what: str) -> None:
        typer.echo(f"nowserving run: {safe(self._conversation_id)}: {safe(what)}", err=True)

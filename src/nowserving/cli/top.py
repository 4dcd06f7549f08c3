"""``nowserving top``: all lines, live, and a key to release whoever holds one for too long.

The survey runs in the background and lets keys go first; the screen is drawn after each survey and
each key, and when the terminal's size changes (``fullscreen.py``). What is shown, and what a key
does to it, is in ``board.py``.
"""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from nowserving import LockError, LockStore, StoreUnavailable
from nowserving.cli import signals
from nowserving.cli.board import AskAbout, Board, Quit, Refresh, Release
from nowserving.cli.fullscreen import Fullscreen, has_terminal
from nowserving.cli.status import ORDERS, Order, surveyed
from nowserving.cli.target import CANNOT, Endpoints, StoreUrl, chosen, opened
from nowserving.cli.terminal import safe
from nowserving.cli.words import whose

_LINES = 1000
"""How many can be scrolled through."""

_REASON = "by an operator (nowserving top)"
"""What is told to whoever is released."""


def top(
    *,
    every: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=3600.0,
            metavar="SECONDS",
            help="How long to wait between two looks; as long as a look takes, at the least.",
        ),
    ] = 1.0,
    order: Annotated[
        Order, typer.Option(help="Which lines come first, to begin with.")
    ] = Order.WAITING,
    store: StoreUrl = None,
    endpoints: Endpoints = None,
) -> None:
    """Watch all lines, live: who holds, for how long, how many wait.

    Keys: up and down pick a conversation, `r` releases whoever holds it after asking, `w`, `o` and
    `h` sort by who waits, by the oldest wait and by how long it is held, the space bar looks again,
    `q` ends it. Nobody is held up by looking, however much is in use.

    Exit status: 0; 2 if there is no terminal, or the store can't be asked at the beginning.
    """
    if not has_terminal():
        typer.echo(
            "nowserving top needs a terminal to draw on; nowserving status tells the same once, "
            "and with --json to programs.",
            err=True,
        )
        raise typer.Exit(CANNOT)
    board = Board(safe(chosen(store, endpoints).name))
    board.order = ORDERS[order]
    signals.run_to_exit(_watch(board, every, store, endpoints))


async def _watch(board: Board, every: float, store: str | None, endpoints: Path | None) -> None:
    async with opened(store, endpoints) as found:
        await _Top(found, board, every).run()


class _Top:
    """The command, while it runs.

    Args:
        store: The store.
        board: What is shown.
        every: Seconds between two surveys.
    """

    def __init__(self, store: LockStore, board: Board, every: float) -> None:
        self._store = store
        self._board = board
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._look_again = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._screen = Fullscreen(self._shown, self._press)

    async def run(self) -> None:
        """Go on until it is to end.

        Raises:
            StoreUnavailable: If the store does not answer the first question.
        """
        try:
            with self._screen:
                self._start(self._survey_on())
                await self._over
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _shown(self, width: int, height: int) -> Any:  # noqa: ANN401 - whatever rich draws
        return self._board.shown(width, height, time.time())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)

    async def _survey_on(self) -> None:
        has_seen = False
        while True:
            order, began = self._board.order, self._loop.time()
            self._look_again.clear()
            try:
                seen = await surveyed(self._store, _LINES, order)
            except StoreUnavailable as error:
                if not has_seen:
                    raise
                self._board.failed(str(error))
            else:
                has_seen = True
                self._board.saw(seen, order, time.time(), self._loop.time() - began)
            self._screen.draw()
            pause = max(self._every, self._loop.time() - began)
            # Not `wait_for`: up to Python 3.11 that may swallow the cancellation.
            timer = self._loop.call_later(pause, self._look_again.set)
            await self._look_again.wait()
            timer.cancel()

    def _press(self, key: str) -> None:
        deed = self._board.press(key)
        if isinstance(deed, Quit):
            if not self._over.done():
                self._over.set_result(None)
        elif isinstance(deed, Refresh):
            self._look_again.set()
        elif isinstance(deed, AskAbout):
            self._start(self._ask_about(deed.conversation_id))
        elif isinstance(deed, Release):
            self._start(self._release(deed))
            return  # drawn when it is done: that takes longer than the release
        self._screen.draw()

    async def _ask_about(self, conversation_id: str) -> None:
        try:
            # Who holds it now: the survey is older, and a question is to name whom it is about.
            line = await self._store.inspect(conversation_id)
        except LockError as error:
            self._board.say(str(error))
        else:
            self._board.ask(conversation_id, None if line is None else line.holder)
        self._screen.draw()

    async def _release(self, asked: Release) -> None:
        try:
            done = await self._store.release(asked.conversation_id, asked.ticket.number, _REASON)
        except LockError as error:
            self._board.say(str(error))
        else:
            said = "Released" if done else "Nothing to release, it has left meanwhile"
            self._board.say(f"{said}: {whose(asked.ticket, time.time())}.")
        self._look_again.set()
        self._screen.draw()

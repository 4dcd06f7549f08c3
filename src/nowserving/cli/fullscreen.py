"""A terminal that is drawn on as a whole, given back as it was whatever ends the command.

Ctrl-Z gives it back as well, until the command is continued.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from nowserving.cli.keyboard import Keyboard, has_modes
from nowserving.cli.terminal import console

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import RenderableType
    from typing_extensions import Self


def has_terminal() -> bool:
    """Return whether there is a terminal to draw on, and somebody to press keys."""
    if not (has_modes() and sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return not console().is_dumb_terminal


class Fullscreen:
    """The screen and the keys, while it is entered; on a running event loop.

    Args:
        shown: Returns what to show, for so many columns and rows.
        on_key: Called with each key.
    """

    def __init__(
        self, shown: Callable[[int, int], RenderableType], on_key: Callable[[str], None]
    ) -> None:
        self._shown = shown
        self._loop = asyncio.get_running_loop()
        self._console = console()
        self._keyboard = Keyboard(on_key)
        self._mute = logging.NullHandler()
        self._parts: contextlib.ExitStack | None = None
        self._live: Live | None = None
        self._is_due = False

    def __enter__(self) -> Self:
        self._take()
        for signum, callback in self._signals():
            self._loop.add_signal_handler(signum, callback)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, _ in self._signals():
            self._loop.remove_signal_handler(signum)
        self._give_back()

    def draw(self) -> None:
        """Draw, once for all that happens in this step of the loop."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._draw)

    def _draw(self) -> None:
        self._is_due = False
        if self._live is not None:
            width, height = self._console.size
            self._live.update(self._shown(width, height), refresh=True)

    def _signals(self) -> tuple[tuple[signal.Signals, Callable[[], None]], ...]:
        return (signal.SIGWINCH, self.draw), (signal.SIGTSTP, self._suspend)

    def _take(self) -> None:
        with contextlib.ExitStack() as parts:
            # What the log has to say would be written across the screen.
            logging.getLogger().addHandler(self._mute)
            parts.callback(logging.getLogger().removeHandler, self._mute)
            parts.enter_context(self._keyboard)
            live = Live(
                Text(""),
                console=self._console,
                screen=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live = parts.enter_context(live)
            self._loop.add_reader(sys.stdin.fileno(), self._keyboard.read)
            parts.callback(self._loop.remove_reader, sys.stdin.fileno())
            self._parts = parts.pop_all()
        self.draw()

    def _give_back(self) -> None:
        parts, self._parts, self._live = self._parts, None, None
        if parts is not None:
            parts.close()

    def _suspend(self) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        # Here it goes on, when it is continued.
        self._take()

"""Single keys from a terminal, as they are pressed; and the terminal as it was, in every case."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

try:
    import termios
    import tty
except ImportError:  # Windows
    _HAS_MODES = False
else:
    _HAS_MODES = True

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from typing_extensions import Self

UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = "up", "down", "page up", "page down", "home", "end"
ENTER, ESCAPE = "enter", "escape"
HUNG_UP = "hung up"
"""What is told when there is nobody at the terminal any more."""

_SEQUENCES = {
    "[A": UP,
    "OA": UP,
    "[B": DOWN,
    "OB": DOWN,
    "[5~": PAGE_UP,
    "[6~": PAGE_DOWN,
    "[H": HOME,
    "OH": HOME,
    "[1~": HOME,
    "[F": END,
    "OF": END,
    "[4~": END,
}
_ESC = "\x1b"
_FINAL = range(0x40, 0x7F)
"""With one of these ends what a key sends that begins with ``ESC [``."""


def has_modes() -> bool:
    """Return whether this system has terminals that can be told to send single keys."""
    return _HAS_MODES


def keys_of(text: str) -> Iterator[str]:
    """Return the names of the keys that sent this; what nobody knows is left out."""
    at = 0
    while at < len(text):
        if text[at] != _ESC:
            key = text[at]
            yield ENTER if key in "\r\n" else key
            at += 1
            continue
        end = _end_of_sequence(text, at + 1)
        sequence = text[at + 1 : end]
        if not sequence:
            yield ESCAPE
        elif sequence in _SEQUENCES:
            yield _SEQUENCES[sequence]
        at = end


def _end_of_sequence(text: str, at: int) -> int:
    """Return where what follows an ESC ends; there, if it was the key of that name."""
    if text[at : at + 1] == "O":
        return at + 2
    if text[at : at + 1] != "[":
        return at
    for end in range(at + 1, len(text)):
        if ord(text[end]) in _FINAL:
            return end + 1
    return len(text)


class Keyboard:
    """Has keys sent one by one, without an echo, while it is entered.

    Ctrl-C and Ctrl-Z stay what they are.

    Args:
        on_key: Called with each key, on the running event loop.
    """

    def __init__(self, on_key: Callable[[str], None]) -> None:
        self._on_key = on_key
        self._input = sys.stdin.fileno()
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input, termios.TCSADRAIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        before, self._before = self._before, None
        if before is not None:
            with contextlib.suppress(termios.error):  # it has hung up
                # What was typed ahead is not for the shell.
                termios.tcsetattr(self._input, termios.TCSAFLUSH, before)

    def read(self) -> None:
        """Read what was typed; to be called when there is something to read."""
        try:
            typed = os.read(self._input, 1024)
        except BlockingIOError:
            return
        except OSError:
            typed = b""
        if not typed:
            self._on_key(HUNG_UP)
            return
        for key in keys_of(typed.decode("utf-8", "replace")):
            self._on_key(key)

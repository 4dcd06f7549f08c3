"""What others have chosen, ids above all, as a terminal may show it.

A conversation's id comes from outside. Written to a terminal as it is, it could clear the screen,
turn the line round, forge a line of output, or be read as markup. So it is escaped, visibly; what
is shown can be typed again in bash as ``$'...'``. JSON escapes such things by itself, and exactly.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ELLIPSIS = "…"
_WIDE = 10_000  # columns


def safe(text: object, most: int | None = None) -> str:
    """Return a text with all that is not plainly seen replaced by an escape that is.

    That is what Unicode calls not printable: control characters (ESC, C1, line breaks), marks that
    change the direction of writing, what has no width, surrogates, blanks other than the usual one.
    It is to be printed by ``typer.echo`` or a :func:`console`, which read no markup.

    Args:
        text: What to show; anything with a ``str()``.
        most: Characters to show at most, at least 1; a longer text ends with an ellipsis. None for
            all.
    """
    shown = "".join(each if each.isprintable() else _escape(each) for each in str(text))
    if most is not None and len(shown) > most:
        return shown[: most - 1] + _ELLIPSIS
    return shown


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command to end as programs do that nobody reads any more."""
        raise BrokenPipeError


def console(*, stderr: bool = False, **settings: Any) -> Console:  # noqa: ANN401 - as Console takes
    """Return a console that takes a text for a text: no markup, no emoji codes, no highlighting.

    Where nobody looks, in a pipe or a file, lines are as long as they are.

    Args:
        stderr: Whether it writes to standard error.
        **settings: As ``rich.console.Console`` takes them.
    """
    made = _Console(stderr=stderr, markup=False, emoji=False, highlight=False, **settings)
    if not made.is_terminal and "width" not in settings and "COLUMNS" not in os.environ:
        made.width = _WIDE
    return made


def write_anything() -> None:
    """Let the standard streams escape what their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x80:  # noqa: PLR2004 - above it, bash means a byte by \x
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits

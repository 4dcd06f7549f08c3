"""The lines that were used last, as they stand while nobody else writes.

A transaction reads a line, and the next one mostly finds it as it was left: then it is not read
again, which is a third of what a turn costs. Whether somebody else has written in between, another
process or an operator, SQLite itself says (:meth:`~.database.Database.begin`). What was not
committed is not kept, and neither is a line that was changed past its object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving.stores.sqlite.line import RowLine

_MOST = 1000
"""Lines, of a few hundred bytes each."""


class KeptLines:
    """Lines by the names they have in the database; to be used by one thread."""

    def __init__(self) -> None:
        self._lines: dict[bytes, RowLine] = {}

    def take_up(self, name: bytes, now: float) -> RowLine | None:
        """Hand a line over to a transaction; None if it has to be read.

        Args:
            name: Its name.
            now: The moment of the transaction.
        """
        line = self._lines.pop(name, None)
        return line if line is not None and line.take_up(now) else None

    def keep(self, lines: Mapping[bytes, RowLine | None]) -> None:
        """Keep what a transaction has used, now that it is committed."""
        self._lines.update((name, line) for name, line in lines.items() if line is not None)
        while len(self._lines) > _MOST:
            del self._lines[next(iter(self._lines))]

    def clear(self) -> None:
        """Keep none: somebody else has written, or a transaction has failed."""
        self._lines.clear()

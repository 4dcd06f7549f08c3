"""The outages of a queue's servers, told to whoever looks after the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Outages:
    """What a queue's servers tell of themselves; one for all of them.

    Attributes:
        now: The addresses that do not serve, and why.
        listener: Called with the address, with why, and with the seconds that it lasted: None when
            it begins. On any thread. None while nobody listens.
    """

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.listener: Callable[[str, str, float | None], None] | None = None

    def begin(self, where: str, why: str) -> None:
        """A server serves no more.

        Args:
            where: Its address; holds no secret.
            why: Why not, in words that hold none.
        """
        self.now[where] = why
        self._tell(where, why, None)

    def end(self, where: str, lasted: float) -> None:
        """It serves again, or nothing is asked of it any more.

        Args:
            where: Its address.
            lasted: Seconds for which it did not.
        """
        self.now.pop(where, None)
        self._tell(where, "", lasted)

    def _tell(self, where: str, why: str, lasted: float | None) -> None:
        if self.listener is not None:
            self.listener(where, why, lasted)

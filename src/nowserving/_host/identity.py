"""Who we are: owner ids that no other process, and no forked child, can draw again."""

from __future__ import annotations

import itertools
import secrets

_NONCE_BYTES = 9


def nonce() -> str:
    """Return 12 random characters, safe in a channel name; no dot, tilde or blank among them."""
    return secrets.token_urlsafe(_NONCE_BYTES)


class Owners:
    """Draws owner ids ``<nonce>.<count>``: cheap to make, impossible to meet twice.

    A fork copies the counter, so a forked child needs a new one of these (see ``forks.py``).

    Args:
        name: What all of them begin with, and nobody else's do, ever; a new nonce by default.
    """

    __slots__ = ("_counter", "name")

    def __init__(self, name: str | None = None) -> None:
        self.name = nonce() if name is None else name
        self._counter = itertools.count()

    def draw(self) -> str:
        """Return the next owner id."""
        return f"{self.name}.{next(self._counter)}"

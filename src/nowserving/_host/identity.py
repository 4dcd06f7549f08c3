"""Who we are: owner ids that no other process, and no forked child, can draw again."""

from __future__ import annotations

import itertools
import os
import secrets
import weakref
from typing import Protocol

_NONCE_BYTES = 9


class Forkable(Protocol):
    """Something that must let go of its parent's things in a forked child."""

    def forked(self) -> None:
        """Drop what belongs to the parent, without closing it."""
        ...


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def nonce() -> str:
    """Return 12 random characters, safe in a channel name; no dot, tilde or blank among them."""
    return secrets.token_urlsafe(_NONCE_BYTES)


class Owners:
    """Draws owner ids ``<nonce>.<count>``: cheap to make, impossible to meet twice.

    A fork copies the counter, so a forked child needs a new one of these (see ``forked``).
    """

    __slots__ = ("_counter", "nonce")

    def __init__(self) -> None:
        self.nonce = nonce()
        self._counter = itertools.count()

    def draw(self) -> str:
        """Return the next owner id."""
        return f"{self.nonce}.{next(self._counter)}"


def on_fork(forkable: Forkable) -> None:
    """Call ``forkable.forked()`` in every forked child while it lives."""
    _forkables.add(forkable)


def _after_fork_in_child() -> None:
    # A list first: ``forked`` may make new forkables. Whatever order: none of them may rely on
    # a lock, since the thread that held it does not exist here.
    for forkable in list(_forkables):
        forkable.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

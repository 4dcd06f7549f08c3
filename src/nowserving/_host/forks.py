"""What happens in a forked child: whoever holds things of the parent lets go of them."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()

_inherited: list[object] = []


class Forkable(Protocol):
    """Something that must let go of its parent's things in a forked child."""

    def forked(self) -> None:
        """Drop what belongs to the parent, without closing it."""
        ...


def on_fork(forkable: Forkable) -> None:
    """Call ``forkable.forked()`` in every forked child while it lives."""
    _forkables.add(forkable)


def keep_inherited(*things: object) -> None:
    """Keep the parent's things in a forked child until it ends, since collecting would touch them.

    A thread can't be ended here. And closing a transport would take the parent's socket out of the
    parent's epoll set, which both share.
    """
    _inherited.extend(things)


def _after_fork_in_child() -> None:
    # A list first: ``forked`` may make new forkables. Whatever order: none of them may rely on
    # a lock, since the thread that held it does not exist here.
    for forkable in list(_forkables):
        forkable.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

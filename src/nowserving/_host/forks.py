"""What happens at a fork, before it and in the child.

Whoever must not be copied in the middle of a step comes to rest before. In the child, whoever holds
things of the parent lets go of them.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()

_pausables: weakref.WeakSet[Pausable] = weakref.WeakSet()


class _Resting(threading.local):
    """Those that rest in the fork that this thread makes."""

    def __init__(self) -> None:
        self.all: list[Pausable] = []


_resting = _Resting()

_inherited: list[object] = []


class Pausable(Protocol):
    """Something that may not be in the middle of a step while the process forks."""

    def before_fork(self) -> bool:
        """Come to rest, soon; on the thread that forks. Return whether it could be done."""
        ...

    def after_fork(self) -> None:
        """Go on in the parent, if it rests."""
        ...


class Forkable(Protocol):
    """Something that must let go of its parent's things in a forked child."""

    def forked(self) -> None:
        """Drop what belongs to the parent, without closing it."""
        ...


def on_fork(forkable: Forkable) -> None:
    """Call ``forkable.forked()`` in every forked child while it lives."""
    _forkables.add(forkable)


def pause_for_forks(pausable: Pausable) -> None:
    """Have ``pausable`` rest around every fork while it lives."""
    _pausables.add(pausable)


def keep_inherited(*things: object) -> None:
    """Keep the parent's things in a forked child until it ends, since collecting would touch them.

    A thread can't be ended here. And closing a transport would take the parent's socket out of the
    parent's epoll set, which both share.
    """
    _inherited.extend(things)


def _before_fork() -> None:
    for pausable in list(_pausables):
        if pausable.before_fork():
            _resting.all.append(pausable)


def _after_fork_in_parent() -> None:
    while _resting.all:
        _resting.all.pop().after_fork()


def _after_fork_in_child() -> None:
    _resting.all.clear()
    # A list first: ``forked`` may make new forkables. Whatever order: none of them may rely on
    # a lock, since the thread that held it does not exist here.
    for forkable in list(_forkables):
        forkable.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )

"""What a finaliser must know before it asks for the mutex of a queue: is its thread in a step?

Garbage collection runs finalisers in the middle of whatever its thread does, a queue's step under
its mutex included. One of them may leave a turn: a generator that is suspended inside a ``with``.
If it waited for the mutex, its thread would wait for itself; or, with two queues and two threads,
each for the other. So: *whoever is inside a step never waits for a mutex that was held when he
looked*. A leave is put off until the step is over, and nothing else can be asked for there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType

_steps: set[CodeType] = set()


def register(verbs: Iterable[Callable[..., object]]) -> None:
    """Note functions that make their step under a mutex; none of them calls another."""
    _steps.update(verb.__code__ for verb in verbs)


def is_inside_another() -> bool:
    """Return whether the verb that asks is called in the middle of another's step, by a finaliser.

    Only asked when a mutex is held: looking at the stack costs as much as a step.
    """
    verbs = 0
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - CPython documents it
    while frame is not None and verbs < 2:  # noqa: PLR2004 - itself, and another
        verbs += frame.f_code in _steps
        frame = frame.f_back
    return verbs > 1

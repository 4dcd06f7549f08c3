"""Does a turn that a thread has entered stand on that thread's stack until it is left?

A thread that asks for the lock of a conversation inside its own ``with store.lock(...)`` would wait
for itself, and is told so. But a turn may also be entered in one thread and left in another, as web
frameworks do with a dependency that yields: then the thread that has entered it serves strangers
meanwhile, who must wait like everybody. Two things are proof that what runs now runs inside:

* The turn was entered by a ``with`` statement in the frame of a plain function. That can't be left
  but by the end of its block. A generator's frame can: it is suspended at each ``yield``.
* Somebody further up on the stack has the turn, or its lock, in a local variable: whoever entered
  it by hand or by an ``ExitStack``, or was handed the lock to work under.
"""

from __future__ import annotations

import contextlib
import inspect
import opcode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from nowserving._runtime.ticket import LiveTicket

_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_WITH = frozenset(
    opcode.opmap[name] for name in ("SETUP_WITH", "BEFORE_WITH") if name in opcode.opmap
)
"""What a ``with`` statement is compiled to: up to Python 3.10, and from 3.11 on."""


@contextlib.contextmanager
def _example() -> Iterator[None]:
    yield


_ENTERS_GENERATOR = type(_example()).__enter__.__code__


Statement = tuple["CodeType", int]
"""From where ``__enter__`` was called: the function, and the instruction in it."""


def is_with(statement: Statement) -> bool:
    """Return whether ``__enter__`` was called by a ``with`` statement, as against directly."""
    code, at = statement
    return code.co_code[at] in _WITH


def find_statement(frame: FrameType | None) -> Statement | None:
    """Return from where a turn is being entered; None if it is a frame that may be suspended.

    A helper that ``contextlib.contextmanager`` has made counts as whoever enters *it*.

    Args:
        frame: Whoever calls ``__enter__``.
    """
    while frame is not None:
        code = frame.f_code
        if not code.co_flags & _SUSPENDED:
            return code, frame.f_lasti
        caller = frame.f_back
        if caller is None or caller.f_code is not _ENTERS_GENERATOR:
            return None
        frame = caller.f_back
    return None


def somebody_has(frame: FrameType | None, is_it: Callable[[object], bool]) -> bool:
    """Return whether something is in a local variable of a frame or of those that called it.

    Args:
        frame: Where to begin.
        is_it: Whether a value is what is looked for.
    """
    while frame is not None:
        if any(is_it(value) for value in frame.f_locals.values()):
            return True
        frame = frame.f_back
    return False


def is_inside(
    outer: LiveTicket, caller: FrameType | None, ticket_of: Callable[[object], object]
) -> bool:
    """Return whether whatever runs in this thread runs inside a turn that it has entered.

    Args:
        outer: That turn's ticket.
        caller: Whoever asks.
        ticket_of: Returns the ticket of a turn or a lock; None for any other value.
    """
    if not outer.is_in_line():
        return False
    if outer.statement is not None and is_with(outer.statement):
        return True
    return somebody_has(caller, lambda value: ticket_of(value) is outer)

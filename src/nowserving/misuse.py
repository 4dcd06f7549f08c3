"""What to say to somebody who uses a turn as if it were the lock."""

from __future__ import annotations

from nowserving.held import HeldLock


def no_attribute(turn: object, name: str) -> AttributeError:
    """Make the error for a name that what ``lock()`` returns does not have.

    Args:
        turn: What ``lock()`` returned.
        name: The name.
    """
    kind = type(turn).__name__
    if hasattr(HeldLock, name) or name in {"conversation_id", "tickets"}:
        return AttributeError(
            f"{kind!r} object has no attribute {name!r}: it has to be entered first. Use "
            f"`async with store.lock(...) as lock:` and then lock.{name}"
        )
    return AttributeError(f"{kind!r} object has no attribute {name!r}")


def no_awaitable() -> TypeError:
    """Make the error for ``await store.lock(...)``: nobody would give such a lock back."""
    return TypeError(
        "store.lock(...) is not awaited; use `async with store.lock(...) as lock:`, which gives "
        "the lock back at the end of its block"
    )

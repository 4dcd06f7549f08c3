"""What to say to somebody who uses a turn as if it were the lock."""

from __future__ import annotations

from nowserving.held import HeldLock


class _OfTheLock:
    """An attribute that only the lock has, on what is to be entered first.

    A descriptor a name, and no ``__getattr__``: that would make every other attribute slow.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, turn: object, owner: type) -> object:
        raise AttributeError(
            f"{owner.__name__!r} object has no attribute {self._name!r}: it has to be entered "
            f"first. Use `async with store.lock(...) as lock:` and then lock.{self._name}"
        )


def of_the_lock() -> dict[str, object]:
    """Return attributes for what ``lock()`` returns: they say where the real ones are."""
    names = {name for name in dir(HeldLock) if not name.startswith("_")}
    return {name: _OfTheLock() for name in names | {"conversation_id", "tickets"}}


def no_awaitable() -> TypeError:
    """Make the error for ``await store.lock(...)``: nobody would give such a lock back."""
    return TypeError(
        "store.lock(...) is not awaited; use `async with store.lock(...) as lock:`, which gives "
        "the lock back at the end of its block"
    )

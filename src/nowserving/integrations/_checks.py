"""What every ``observe()`` of an integration checks before anything is touched."""

from __future__ import annotations

from nowserving import LockStore


def check(store: object, name: object) -> None:
    """Check the arguments that all of them have.

    Args:
        store: What is to be observed.
        name: What it is called there.

    Raises:
        TypeError: That is no store, or the name is no string.
        ValueError: The name is empty.
    """
    if not isinstance(store, LockStore):
        # Not what was given: it may be a URL with a password in it.
        kind = type(store).__name__
        raise TypeError(f"observe() takes a lock store, such as RedisLockStore(), not a {kind}")
    if not isinstance(name, str):
        raise TypeError(f"name is a string, which tells stores apart, not {name!r}")
    if not name:
        raise ValueError("name is empty: give the store one, or leave it out for 'default'")

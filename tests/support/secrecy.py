"""Whether a secret stays one."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from nowserving import RedisLockStore


def everything_told(error: BaseException) -> list[str]:
    """Return all texts of an error, of whatever caused it, and of what it was raised beside."""
    seen = traceback.format_exception(error)
    known: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        at = left.pop()
        if at is not None and at not in known:
            known.append(at)
            seen += [str(at), repr(at)]
            left += [at.__cause__, at.__context__]
    return seen


def assert_untold(
    secrets: list[str],
    store: RedisLockStore,
    caplog: pytest.LogCaptureFixture,
    *errors: BaseException,
) -> None:
    """Check all that a user or a log may get to see of a store and its errors.

    Args:
        secrets: What must be in none of it.
        store: The store.
        caplog: What was logged; set its level to DEBUG before.
        *errors: What was raised, with whatever caused it.
    """
    seen = [caplog.text]
    seen += [repr(thing) for thing in (store, store._settings, store._runtime.queue)]
    for error in errors:
        seen += everything_told(error)
    for secret in secrets:
        assert not [text for text in seen if secret in text]

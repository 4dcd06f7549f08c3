"""Whether a secret stays one."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from nowserving import RedisLockStore


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
        at: BaseException | None = error
        while at is not None:
            seen += [str(at), repr(at)]
            at = at.__cause__ or at.__context__
        seen += traceback.format_exception(error)
    for secret in secrets:
        assert not [text for text in seen if secret in text]

"""Whether a secret stays one."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from nowserving import RedisLockStore

_CHANGES = re.compile(
    r"0x[0-9a-f]+|line \d+|\b\d+(?:\.\d+)?(?= s\b)|(?<=:)\d{4,5}\b|(?<=, )\d{4,5}\b|inbox:[\w-]+"
)
"""What is another one each time: addresses, durations, ports, names."""


def seen(
    store: RedisLockStore, caplog: pytest.LogCaptureFixture, *errors: BaseException
) -> list[str]:
    """Return all that a user or a log may get to see of a store and its errors.

    Args:
        store: The store.
        caplog: What was logged; set its level to DEBUG before.
        *errors: What was raised, with whatever caused it.
    """
    queue = store._runtime.queue
    texts = [repr(thing) for thing in (store, store._settings, queue)]
    for record in caplog.records:
        texts.append(caplog.handler.format(record))
        texts.append(repr(record.args))
    for error in errors:
        texts += everything_told(error)
    return texts


def everything_told(error: BaseException) -> list[str]:
    """Return all texts of an error and of whatever is chained to it."""
    texts = traceback.format_exception(error)
    for each in _all_of(error):
        texts += [str(each), repr(each), repr(each.args)]
    return texts


def assert_untold(
    secrets: list[str],
    store: RedisLockStore,
    caplog: pytest.LogCaptureFixture,
    *errors: BaseException,
) -> None:
    """Check that there is no secret in anything that may be seen; arguments as for `seen`.

    Args:
        secrets: What must be in none of it.
        store: The store.
        caplog: What was logged.
        *errors: What was raised.
    """
    texts = seen(store, caplog, *errors)
    for secret in secrets:
        assert not [text for text in texts if secret in text]


def sameness(texts: list[str]) -> set[str]:
    """Return what is seen as it is each time.

    Of a password of one letter nobody can say whether it is told: that letter is everywhere. But if
    nothing depends on the password, two of them have the same words.
    """
    return {_CHANGES.sub("…", text) for text in texts}


def _all_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that is chained to it, shown by a traceback or not."""
    if error is not None:
        yield error
        yield from _all_of(error.__cause__)
        if error.__context__ is not error.__cause__:
            yield from _all_of(error.__context__)

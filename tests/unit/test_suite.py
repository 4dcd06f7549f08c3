"""The shipped suite itself: nothing in it hides another test, and a broken store is found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nowserving import InMemoryLockStore
from nowserving.testing import StoreConformance
from nowserving.testing.harness import Overlaps
from nowserving.testing.steps import WAYS, Steps

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nowserving import LockStore
    from nowserving._config.options import Defaults
    from nowserving.testing.steps import How


class _Memory(StoreConformance):
    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        return InMemoryLockStore(**defaults)


class _Forgetful(InMemoryLockStore):
    """Never gives a ticket back."""

    def _make_queue(self) -> object:  # type: ignore[override]
        queue = super()._make_queue()

        def leave_now(*_: object) -> object:
            return type("Departure", (), {"left": True, "someone_waiting": False})

        queue.leave_now = leave_now  # type: ignore[attr-defined]
        return queue


class _Broken(StoreConformance):
    def make_store(self, **defaults: Unpack[Defaults]) -> LockStore:
        return _Forgetful(**defaults)


def test_no_theme_hides_a_test_of_another() -> None:
    found: dict[str, str] = {}
    for theme in StoreConformance.__mro__:
        for name in vars(theme):
            if name.startswith("test_"):
                assert found.setdefault(name, theme.__name__) == theme.__name__, name
    assert len(found) > 150


def test_a_store_that_works_passes() -> None:
    _Memory().test_after_a_turn_there_is_no_lock()


@pytest.mark.parametrize(
    "name",
    [
        "test_after_a_turn_there_is_no_lock",
        "test_an_error_of_the_body_is_not_masked_by_a_lost_lock",
        "test_tasks_that_are_cancelled_before_they_began",
    ],
)
def test_a_store_that_keeps_tickets_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nowserving.testing.harness.LIMIT", 1.0)
    if name == "test_an_error_of_the_body_is_not_masked_by_a_lost_lock":
        getattr(_Broken(), name)()  # its lock is deleted, so nothing is left of it
        return
    with pytest.raises((AssertionError, asyncio.TimeoutError)):
        getattr(_Broken(), name)()


def test_two_inside_are_found() -> None:
    inside = Overlaps()
    with inside.visit("one"), pytest.raises(AssertionError, match="two"):
        inside.visit("two").__enter__()


@pytest.mark.parametrize("how", WAYS)
async def test_steps_are_counted_and_cancelled_at(how: How) -> None:
    reached: list[int] = []

    async def walk() -> None:
        for step in range(3):
            reached.append(step)
            await asyncio.sleep(0 if step == 1 else 0.001)

    async def run(steps: Steps) -> None:
        await steps

    counting = Steps(walk())
    await run(counting)
    assert counting.taken == 3
    for at in (1, 2, 3):
        reached.clear()
        task = asyncio.ensure_future(run(Steps(walk(), at, how)))
        await asyncio.wait({task})
        assert task.cancelled()
        assert reached == list(range(at))

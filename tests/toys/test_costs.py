"""What waiting costs a store whose verbs travel."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from nowserving.testing.harness import until
from tests.toys.sqlite_store import SqliteLockStore, SqliteQueue

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WAITERS = 1_000
LONG = 600.0


def test_a_thousand_waiters_are_asked_about_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    ask = SqliteQueue.ask

    async def counted(self: SqliteQueue, verb: str, *args: Any, **how: Any) -> Any:
        asked[verb] += 1
        return await ask(self, verb, *args, **how)

    monkeypatch.setattr(SqliteQueue, "ask", counted)

    async def visit(store: SqliteLockStore) -> None:
        async with store.lock("busy", LONG, wait_time_in_seconds=1.0):
            pass

    async def play() -> None:
        store = SqliteLockStore(str(tmp_path / "locks.db"))
        async with store, store.lock("busy", LONG):
            waiters = [asyncio.create_task(visit(store)) for _ in range(WAITERS)]
            await until(lambda: asked["take"] > WAITERS)
            await asyncio.sleep(0.5)  # the last of them are answered
            asked.clear()
            await asyncio.sleep(2.0)
            # A poll a second for all of them, at whatever moments they began to wait.
            assert set(asked) == {"poll"}
            assert asked["poll"] <= 20
            for waiter in waiters:
                waiter.cancel()
            await asyncio.wait(waiters)

    asyncio.run(play())

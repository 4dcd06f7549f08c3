"""Mistakes that are easily made, and the sentence that each one is answered with."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest

import nowserving
from nowserving import InMemoryLockStore, LockStore, Options, RedisLockStore, TicketLock

if TYPE_CHECKING:
    from collections.abc import Callable

_IN_SECONDS = {"timeout", "max_hold", "remember_for", "settle", "settle_max"}

SOURCE = Path(nowserving.__file__).parents[1]

MISTAKES = """
import nowserving
from nowserving import HeldLock, InMemoryLockStore, LockStore, Options, Overrides, Turn


async def mistaken(store: LockStore) -> None:
    async with store.lock("c", 10, timeout=5) as lock:
        lock.lots
        lock.ticket
    turn = store.lock("c")
    turn.lost
    await store.lock("c")
    store.lock("c", lock_lifetme=5)
    InMemoryLockStore(lock_lifetime=5, auto_renew=True)
    InMemoryLockStore(lock_lifetme=5)
    nowserving.Nothing
"""
WRONG_LINES = [7, 10, 11, 12, 14, 15]


def test_a_type_checker_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.py"
    path.write_text(MISTAKES.lstrip())
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MYPYPATH": str(SOURCE), "MYPY_CACHE_DIR": str(tmp_path)},
        cwd=tmp_path,
    )
    lines = [int(line) for line in re.findall(r"mistakes\.py:(\d+): error", done.stdout)]
    assert lines == WRONG_LINES, done.stdout


def test_a_turn_that_is_awaited() -> None:
    async def main() -> None:
        async with InMemoryLockStore() as store:
            turn: Any = store.lock("c")
            with pytest.raises(TypeError, match="use `async with store"):
                await turn
            with pytest.raises(TypeError, match="use `async with store"):
                await asyncio.wait_for(turn, 1)

    asyncio.run(main())


@pytest.mark.parametrize("name", ["lost", "ticket", "fencing_token", "conversation_id", "tickets"])
def test_a_turn_that_is_taken_for_the_lock(name: str) -> None:
    turn = InMemoryLockStore().lock("c")
    with pytest.raises(AttributeError, match=f"'{name}'.*`async with .*lock.{name}"):
        getattr(turn, name)


def test_what_neither_has_is_no_riddle() -> None:
    with pytest.raises(AttributeError, match=r"^'Turn' object has no attribute 'lots'$"):
        InMemoryLockStore().lock("c").lots  # type: ignore[attr-defined]  # noqa: B018


def test_a_bare_base_store_says_what_to_do() -> None:
    class Half(LockStore):
        def get_lock(self, conversation_id: str) -> TicketLock | None:
            return TicketLock(conversation_id)

    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: LockStore().get_lock("c"), r"LockStore does not define get_lock\(\)"),
        (lambda: LockStore().delete_lock("c"), r"LockStore does not define delete_lock\(\)"),
        (lambda: Half().save_lock(TicketLock("c")), r"Half does not define save_lock\(\)"),
    ]
    for call, named in calls:
        with pytest.raises(NotImplementedError, match=rf"{named}.*LockStore\.create"):
            call()


@pytest.mark.parametrize(
    ("name", "advice"),
    [(42, r"an int; pass str\(42\)"), (b"c", r"a bytes; .*decode"), (None, "non-empty str")],
)
def test_a_name_of_the_wrong_type(name: Any, advice: str) -> None:
    store = InMemoryLockStore()
    for call in (store.lock, store.get_lock, store.delete_lock):
        with pytest.raises(TypeError, match=f"conversation_id={name!r}.*{advice}"):
            call(name)


UNDER_TRIO = """
import trio
from nowserving import InMemoryLockStore, LockStore

async def main():
    for store in (InMemoryLockStore(), LockStore.create("redis://127.0.0.1:1")):
        for call in (store.lock("c").__aenter__, store.aclose, lambda: store.take_ticket("c")):
            try:
                await call()
            except RuntimeError as error:
                print(error)
            else:
                raise AssertionError("it worked?")
    def in_a_thread():
        with InMemoryLockStore() as store, store.lock("c") as lock:
            return lock.ticket
    assert await trio.to_thread.run_sync(in_a_thread) == 0

trio.run(main)
"""


def test_another_library_than_asyncio_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_TRIO], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len(told) == 6
    for line in told:
        assert "runs under trio" in line
        assert "trio.to_thread.run_sync" in line


def test_without_any_event_loop_it_is_pythons_own_error() -> None:
    turn = InMemoryLockStore().lock("c")
    with pytest.raises(RuntimeError, match="no running event loop"):
        turn.__aenter__().send(None)


def test_fakeredis_is_told() -> None:
    clients: list[Any] = [fakeredis.FakeAsyncRedis(), fakeredis.FakeRedis()]
    for client in clients:
        with pytest.raises(ValueError, match=r"fakeredis.*InMemoryLockStore\(\).*redis-server"):
            RedisLockStore(client=client)


def test_help_lists_every_option_with_its_unit_and_default() -> None:
    paragraphs = " ".join((inspect.getdoc(LockStore.lock) or "").replace("\n\n", "¶").split())
    told = paragraphs.partition("Args:")[2].partition("Raises:")[0]
    for name, parameter in inspect.signature(Options).parameters.items():
        if name == "lock_lifetime":
            assert re.search(rf"{name}: Seconds [^¶]*\b{parameter.default:g}\b", told)
        elif name == "wait_time_in_seconds":
            assert re.search(rf"{name}: [^¶]* seconds\b[^¶]*\b{parameter.default:g}\b", told)
        else:
            default = str(parameter.default)
            found = re.search(rf"¶ *``{name}`` \((``\")?{default}[^¶]*", told)
            assert found, name
            assert ("seconds" in found[0]) is (name in _IN_SECONDS)

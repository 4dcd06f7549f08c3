"""What stands beside the file: it can't be there, it is taken away, or it is full."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import SQLiteLockStore
from nowserving.stores.sqlite import peers, post
from nowserving.testing.harness import until
from tests.support.sqlite_turns import LONG, assert_pushed, enter, line, waited

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    await assert_pushed(folder / "locks.db")


async def test_where_there_are_no_sockets_it_says_so_once_and_looks(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: str) -> object:
        raise OSError("no sockets here")

    monkeypatch.setattr(post, "bind", refuse)
    async with SQLiteLockStore(path) as store, SQLiteLockStore(path) as other:
        for name in "abc":
            await enter(other, name)
        async with store.lock("c", LONG):
            waiter = asyncio.create_task(looks(other))
            await until(lambda: len(line(store)) == 2)
        await asyncio.wait_for(waiter, 5.0)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2  # each store object is as a process here
    assert all("No socket can be made" in each for each in said)


async def test_where_no_file_can_be_locked_it_says_so_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(peers, "HAS_LOCKS", False)
    async with SQLiteLockStore(path) as store, SQLiteLockStore(path) as other:
        for _ in range(20):  # with no turnstile, SQLite's own lock is all there is
            await asyncio.gather(enter(store), enter(other), enter(store, "d"), enter(other, "d"))
        await assert_pushed(path)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4  # each store object is as a process here
    assert all("No file can be locked" in each for each in said)


async def looks(store: SQLiteLockStore) -> None:
    async with store.lock("c", LONG, wait_time_in_seconds=0.1):
        pass


@pytest.mark.parametrize("what", ["the sockets", "the folder"])
async def test_what_stands_beside_is_made_anew(path: Path, what: str) -> None:
    beside = path.with_name("locks.db-peers")
    async with SQLiteLockStore(path) as store, SQLiteLockStore(path) as other:
        async with store.lock("c", LONG) as lock:
            await enter(other, "d")
            if what == "the sockets":
                for each in beside.glob("*.sock"):
                    each.unlink()
            else:
                shutil.rmtree(beside)
            waiter = asyncio.create_task(waited(other))  # somebody looks whether all live
            deadline = asyncio.get_running_loop().time() + 10.0
            while len(list(beside.glob("*"))) < 4:
                assert asyncio.get_running_loop().time() < deadline
                await enter(other, "d")
                await enter(store, "e")
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
            assert not lock.lost
            assert not waiter.done()
        await asyncio.wait_for(waiter, 5.0)
        await assert_pushed(path)


async def test_a_full_receiver_holds_nobody_up(
    path: Path, store: SQLiteLockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose thread does not read: its queue is full, and whoever tells it goes on."""
    monkeypatch.setattr(post.Mailbox, "_read", lambda _: None)
    async with SQLiteLockStore(path) as deaf:
        monkeypatch.undo()
        for _ in range(50):
            async with store.lock("c", LONG):
                waiter = asyncio.create_task(looks(deaf))
                await until(lambda: len(line(store)) == 2)
            await asyncio.wait_for(waiter, 5.0)


def test_a_datagram_that_nobody_understands_has_everybody_look() -> None:
    bells = post.Bells()
    rung = []

    class Handle:
        owner = "a.0"

        def ring(self, news: Any = None) -> None:
            rung.append(news)

    handle: Any = Handle()
    bells.add(handle)
    mailbox: Any = post.Mailbox.__new__(post.Mailbox)
    mailbox._bells = bells
    for data in (b"\xff", b"[]", b'[2, ["a.0"]]', b'[1, ["a.0", "?"]]', b"7"):
        mailbox._deliver(data)
    assert rung == [None] * 5

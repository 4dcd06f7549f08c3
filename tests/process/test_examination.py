"""What an examination finds of a real Redis, and that it leaves nothing there."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from nowserving import Examination, Finding, LockStore
from nowserving.stores.redis.examining.permissions import needed
from nowserving.stores.redis.examining.place import Plan
from nowserving.stores.redis.examining.timing import judged_clock
from tests.support.crew import until
from tests.support.monitor import Monitor
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
USER = re.search(r"ACL SETUSER locker on >secret (.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
assert USER is not None
RULES = USER.group(1).split()
"""The user of docs/redis.md."""


async def examine(url: str) -> Examination:
    async with LockStore.create(url) as store:
        return await store.examine()


def of(examination: Examination, check: str) -> list[Finding]:
    return [each for each in examination.findings if each.check == check]


def only(examination: Examination, check: str) -> Finding:
    (found,) = of(examination, check)
    return found


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """A server with an AOF, of which nobody drops anything."""
    with RedisServer("--appendfsync", "everysec") as server:
        yield server


def as_user(server: RedisServer, *rules: str) -> str:
    server.cli("ACL", "SETUSER", "locker", "reset", "on", ">secret", *rules)
    return server.url().replace("redis://", "redis://locker:secret@")


async def test_a_good_server_is_fine_and_nothing_is_left_there(shared: RedisServer) -> None:
    keys = shared.cli("DBSIZE")
    examination = await examine(shared.url())
    assert f"127.0.0.1:{shared.port}" in examination.store
    assert examination.verdict == "note"  # nobody has a copy
    assert only(examination, "version").found == f"Redis {shared.cli('INFO')['redis_version']}"
    assert {each.check for each in examination.findings if each.verdict != "fine"} == {"replicas"}
    for check in ("clock", "latency", "push", "eviction", "persistence", "permissions"):
        assert only(examination, check).verdict == "fine"
    assert 0 < only(examination, "push").figures["median_seconds"] < 1
    assert shared.cli("DBSIZE") == keys
    assert [each async for each in LockStore.create(shared.url()).conversations()] == []


def test_the_commands_that_are_tried_are_those_of_the_page() -> None:
    page = PAGE.read_text("utf-8")
    plan = Plan(b"lock:", 10.0, 60.0, 1, "cluster", history=True)
    tried = {each.rule for each in needed(plan, b"key", "channel")} | {"select", "subscribe"}
    assert {rule[1:] for rule in RULES if rule.startswith("+")} <= tried
    assert all(f"+{rule}" in page for rule in tried)


@pytest.mark.parametrize("command", ["xadd", "xrange", "xrevrange"])
async def test_what_a_history_needs_is_tried_where_there_is_one(
    shared: RedisServer, command: str
) -> None:
    url = as_user(shared, "~lock:*", "&lock:inbox:*", "+@all", f"-{command}")
    assert only(await examine(url), "permissions").verdict == "fine"
    found = only(await examine(f"{url}?history=10"), "permissions")
    assert (found.verdict, found.found) == ("warning", f"{command.upper()} is denied")
    assert shared.cli("DBSIZE") == 0


async def test_the_user_of_the_page_may_do_all_and_what_he_can_not_tell_is_said(
    shared: RedisServer,
) -> None:
    examination = await examine(as_user(shared, *RULES))
    assert examination.verdict == "note"
    denied = {each.found for each in of(examination, "permissions")}
    assert denied == {"INFO is denied", "SCAN is denied"}
    for check in ("eviction", "persistence", "replicas"):
        assert only(examination, check).found.startswith("could not be told")
    assert only(examination, "version").verdict == "fine"
    assert only(examination, "push").verdict == "fine"


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        *((name, "broken") for name in ("eval", "evalsha", "time", "exists", "hget", "hmget")),
        *((name, "broken") for name in ("hset", "hsetnx", "hdel", "pexpire")),
        *((name, "warning") for name in ("publish", "subscribe", "ping")),
    ],
)
async def test_each_command_that_is_missing_is_named_with_what_it_costs(
    shared: RedisServer, command: str, verdict: str
) -> None:
    rules = ["~lock:*", "&lock:inbox:*", "+@all", f"-{command}"]
    examination = await examine(as_user(shared, *rules))
    found = only(examination, "permissions")
    assert found.found == f"{command.upper()} is denied"
    assert found.remedy == f"ACL SETUSER <user> +{command}"
    assert (found.verdict, examination.verdict) == (verdict, verdict)
    assert shared.cli("DBSIZE") == 0


async def test_keys_and_channels_that_are_denied(shared: RedisServer) -> None:
    examination = await examine(as_user(shared, "~other:*", "&*", "+@all"))
    found = only(examination, "permissions")
    assert found.verdict == "broken"
    assert found.remedy == "ACL SETUSER <user> ~lock:*"
    examination = await examine(as_user(shared, "~lock:*", "&other:*", "+@all"))
    assert {each.remedy for each in of(examination, "permissions")} == {
        "ACL SETUSER <user> &lock:inbox:*"
    }
    assert examination.verdict == "warning"


async def test_a_user_who_may_not_note_his_process(shared: RedisServer) -> None:
    found = of(await examine(as_user(shared, "~lock:{*", "&lock:inbox:*", "+@all")), "permissions")
    assert [each.verdict for each in found] == ["fine", "note"]
    assert found[1].remedy == "ACL SETUSER <user> ~lock:process:*"


async def test_a_server_that_is_busy_with_a_script() -> None:
    with RedisServer("--lua-time-limit", "50") as server:

        def keep_busy() -> None:
            with contextlib.suppress(redis.RedisError):  # it is killed
                server.cli("EVAL", "while true do end", 0)

        busy = asyncio.create_task(asyncio.to_thread(keep_busy))
        await asyncio.sleep(0.5)
        examination = await examine(server.url())
        await asyncio.to_thread(server.cli, "SCRIPT", "KILL", db=0)
        await busy
    assert examination.verdict == "broken"
    assert any("BUSY" in each.found for each in examination.findings)


async def test_nothing_is_written_that_could_not_be_taken_away(shared: RedisServer) -> None:
    rules = ["~lock:*", "&lock:inbox:*", "+@all", "-hdel", "-pexpire"]
    examination = await examine(as_user(shared, *rules))
    assert examination.verdict == "broken"
    assert shared.cli("DBSIZE") == 0


async def test_cancelled_at_any_moment_it_leaves_nothing_behind(shared: RedisServer) -> None:
    async with LockStore.create(shared.url(history=10)) as store:
        for step in range(20):
            task = asyncio.create_task(store.examine())
            await asyncio.sleep(step * 0.005)
            task.cancel()
            await asyncio.wait({task})
    await asyncio.to_thread(until, lambda: shared.cli("DBSIZE") == 0, 3)  # less than it has a TTL


async def test_whatever_it_writes_ends_by_itself(shared: RedisServer) -> None:
    """It may be killed right behind that."""
    with Monitor(shared) as monitor:
        await examine(shared.url(history=10))
        shared.cli("PING")
        arrivals = monitor.arrivals()
    written = [
        at
        for at, arrival in enumerate(arrivals)
        if arrival.words[0] in {"HSET", "HSETNX", "XADD"} and "doctor" in arrival.words
    ]
    assert len(written) == 3
    for at in written:
        name, key, time = arrivals[at + 1].words
        assert (name, key) == ("PEXPIRE", arrivals[at].words[1])
        assert int(time) <= 10_000
    assert all(":doctor:" in arrivals[at].words[1] for at in written)


async def test_no_secret_is_in_what_is_found(shared: RedisServer) -> None:
    shared.cli("ACL", "SETUSER", "locker", "reset", "on", ">hunter2hunter2", *RULES)
    url = shared.url().replace("redis://", "redis://locker:wrongwrong1@")
    wrong = await examine(url)
    assert only(wrong, "address").verdict == "broken"
    assert "WRONGPASS" in only(wrong, "address").found
    right = await examine(url.replace("wrongwrong1", "hunter2hunter2"))
    for examination in (wrong, right):
        assert not re.search("wrongwrong|hunter2", repr(examination))


async def test_nobody_listens() -> None:
    with RedisServer() as server:
        url = server.url(socket_timeout=1)
    examination = await examine(url)
    assert only(examination, "address").verdict == "broken"
    assert "ECONNREFUSED" in only(examination, "address").found
    assert only(examination, "address").remedy


async def test_a_server_that_stands_still_is_told_in_time() -> None:
    with RedisServer() as server:
        server.pause()
        examination = await examine(server.url(socket_timeout=1))
        server.resume()
    assert only(examination, "address").verdict == "broken"
    assert "no answer in time" in only(examination, "address").found


async def test_a_server_that_drops_keys() -> None:
    policy = ("--maxmemory-policy", "allkeys-lru", "--maxmemory")
    with RedisServer(*policy, "100mb") as server:
        found = only(await examine(server.url()), "eviction")
        assert (found.verdict, found.figures["maxmemory_bytes"]) == ("warning", 100 * 2**20)
        assert "noeviction" in found.remedy
        server.cli("CONFIG", "SET", "maxmemory", 0)
        assert only(await examine(server.url()), "eviction").verdict == "note"
        for number in range(2000):
            server.cli("SET", f"filler{number}", "x" * 1000)
        server.cli("CONFIG", "SET", "maxmemory", server.cli("INFO")["used_memory"] - 500_000)
        server.cli("SET", "one more", "x")
        found = only(await examine(server.url()), "eviction")
        assert found.verdict == "broken"
        assert "dropped" in found.found


async def test_a_server_whose_memory_is_full() -> None:
    with RedisServer("--maxmemory-policy", "noeviction") as server:
        server.cli("CONFIG", "SET", "maxmemory", server.cli("INFO")["used_memory"] // 2)
        examination = await examine(server.url())
    assert only(examination, "eviction").verdict == "warning"
    state = only(examination, "state")
    assert state.verdict == "broken"
    assert "HSET" in state.found
    assert "OOM" in state.found


@pytest.mark.parametrize(
    ("options", "verdict", "words"),
    [
        (["--appendonly", "yes", "--appendfsync", "always"], "fine", "always"),
        (["--appendonly", "yes", "--appendfsync", "everysec"], "fine", "everysec"),
        (["--appendonly", "yes", "--appendfsync", "no"], "note", "appendfsync no"),
        (["--appendonly", "no", "--save", "3600 1"], "note", "RDB only"),
        (["--appendonly", "no", "--save", ""], "warning", "neither"),
    ],
)
async def test_what_a_crash_loses(options: list[str], verdict: str, words: str) -> None:
    with RedisServer(*options) as server:
        found = only(await examine(server.url()), "persistence")
    assert found.verdict == verdict
    assert words in found.found
    assert bool(found.remedy) == (verdict != "fine")


async def test_a_replica_is_no_address_and_its_primary_has_a_copy() -> None:
    with RedisServer() as primary, RedisServer() as replica:
        replica.cli("REPLICAOF", "127.0.0.1", primary.port)
        while replica.cli("ROLE")[3] != "connected":
            pass
        examination = await examine(replica.url())
        assert only(examination, "role").verdict == "broken"
        assert f"127.0.0.1:{primary.port}" in only(examination, "role").found
        assert "READONLY" in only(examination, "state").found

        examination = await examine(primary.url(min_replicas=2))
        assert only(examination, "replicas").verdict == "fine"
        assert str(replica.port) in only(examination, "replicas").found
        assert only(examination, "min_replicas").verdict == "warning"
        assert only(examination, "min-replicas-to-write").verdict == "note"
        primary.cli("CONFIG", "SET", "min-replicas-to-write", 1)
        assert only(await examine(primary.url()), "min-replicas-to-write").verdict == "fine"
        primary.cli("CONFIG", "SET", "min-replicas-to-write", 2)
        examination = await examine(primary.url())
        assert only(examination, "min-replicas-to-write").verdict == "broken"
        assert "NOREPLICAS" in only(examination, "state").found


async def test_a_prefix_of_its_own_is_what_is_tried(shared: RedisServer) -> None:
    url = as_user(shared, "~bot:lock:*", "&bot:lock:inbox:*", "+@all")
    assert (await examine(url)).verdict == "broken"
    examination = await examine(f"{url}?key_prefix=bot")
    assert only(examination, "permissions").verdict == "fine"


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [(0.2, "fine"), (-0.9, "fine"), (5.0, "note"), (-59.0, "note"), (61.0, "warning")],
)
def test_clocks_that_differ(ahead: float, verdict: str) -> None:
    found = judged_clock("a server", 60.0, ahead, 0.001)
    assert found.verdict == verdict
    assert ("behind" in found.found) == (ahead < 0)

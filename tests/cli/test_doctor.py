"""``nowserving doctor``, as a person types it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from nowserving import SQLiteLockStore
from tests.support.crew import environment
from tests.support.redis_server import RedisServer
from tests.support.terminal import Terminal, nowserving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer("--appendfsync", "everysec") as server:
        yield server


def doctor(*arguments: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        nowserving("doctor", *arguments),
        env={**environment(), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def as_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    status, out, err = doctor("--json", *arguments)
    assert not err
    return status, json.loads(out)


def use(path: Path) -> None:
    with SQLiteLockStore(path) as store, store.lock("c"):
        pass


def test_a_store_that_is_fine_at_a_terminal(url: str) -> None:
    if url.startswith("sqlite"):
        with SQLiteLockStore(url.removeprefix("sqlite:///")) as store, store.lock("c"):
            pass
    with Terminal(*nowserving("doctor", "--store", url), rows=60) as terminal:
        assert terminal.wait() == 0
        shown = terminal.text
    first, last = shown.splitlines()[0], shown.splitlines()[-1]
    assert first.startswith("SQLite, /" if url.startswith("sqlite") else "Redis, 127.0.0.1:")
    assert "push" in shown
    assert "fine" in last
    assert "broken" not in last


def test_what_is_wrong_stands_there_with_its_meaning_and_remedy(server: RedisServer) -> None:
    server.cli("ACL", "SETUSER", "locker", "reset", "on", ">hunter2hunter2", "~*", "&*", "+@all")
    server.cli("ACL", "SETUSER", "locker", "-hset")
    url = server.url().replace("redis://", "redis://locker:hunter2hunter2@")
    with Terminal(*nowserving("doctor", "--store", url), rows=60) as terminal:
        assert terminal.wait() == 1
        shown, raw = terminal.text, terminal.raw
    sentences = " ".join(shown.split())
    assert "HSET is denied" in sentences
    assert "every call raises StoreUnavailable" in sentences
    assert "Remedy: ACL SETUSER <user> +hset" in sentences
    assert shown.splitlines()[-1].startswith("1 broken")
    assert b"hunter2" not in raw


def test_exit_statuses_and_json(server: RedisServer) -> None:
    status, found = as_json("--store", server.url())
    assert (status, found["verdict"]) == (0, "note")
    assert found["store"] == f"Redis, 127.0.0.1:{server.port}/1"
    assert all(
        {"check", "subject", "verdict", "found", "meaning", "remedy", "figures"} == set(each)
        for each in found["findings"]
    )
    assert doctor("--strict", "--store", server.url())[0] == 0
    server.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.cli("CONFIG", "SET", "maxmemory", "1gb")
    status, found = as_json("--store", server.url())
    assert (status, found["verdict"]) == (0, "warning")
    assert as_json("--strict", "--store", server.url())[0] == 3
    server.cli("CONFIG", "SET", "maxmemory", "0")
    server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    with RedisServer() as gone:
        url = gone.url()
    status, found = as_json("--strict", "--store", url)
    assert (status, found["verdict"]) == (1, "broken")


def test_a_file_that_is_not_there_is_said_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    status, out, err = doctor("--store", f"sqlite:///{path}")
    assert (status, err) == (1, "")
    assert "there is no such file" in out
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_tried(tmp_path: Path) -> None:
    for arguments in ([], ["--store", "redis://host:notaport"], ["--store", "nonsense"]):
        status, out, err = doctor(*arguments)
        assert (status, out) == (2, "")
        assert err
    status, _, err = doctor("--endpoints", str(tmp_path / "endpoints.yml"))
    assert status == 2
    assert "endpoints.yml" in err


def test_a_path_may_hold_what_a_terminal_must_not_get(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2J\u202e[red]"
    folder.mkdir()
    path = folder / "locks.db"
    use(path)
    endpoints = tmp_path / "endpoints.yml"
    endpoints.write_text(
        "lock_store:\n  type: nowserving.SQLiteLockStore\n  path: ${LOCKS}\n", encoding="utf-8"
    )
    with Terminal(
        *nowserving("doctor", "--endpoints", str(endpoints)), rows=60, LOCKS=str(path)
    ) as terminal:
        assert terminal.wait() == 0
        raw = terminal.raw
    assert b"\x1b[2J" not in raw
    assert "\u202e".encode() not in raw
    assert b"\\x1b[2J\\u202e[red]" in raw.replace(b"\r\n", b"")


def test_rasas_endpoints_with_variables(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = tmp_path / "endpoints.yml"
    endpoints.write_text(
        "lock_store:\n"
        "  type: nowserving.integrations.rasa.RedisLockStore\n"
        "  url: 127.0.0.1\n"
        f"  port: {server.port}\n"
        "  db: 1\n"
        "  key_prefix: ${PREFIX}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PREFIX", "bot")
    status, found = as_json("--endpoints", str(endpoints))
    assert status == 0
    (permissions,) = [each for each in found["findings"] if each["check"] == "permissions"]
    assert "bot:lock:*" in permissions["found"]


def test_somebody_elses_database_is_broken_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE accounts (name)")
    before = path.read_bytes()
    status, out, _ = doctor("--store", f"sqlite:///{path}")
    assert status == 1
    assert "somebody else's" in out
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208

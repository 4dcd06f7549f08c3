"""A Redis of our own: it is there, it is apart, and it never stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from benchmarks import own_redis as servers

if TYPE_CHECKING:
    from pathlib import Path

HOLD_ONE_UNTIL_KILLED = """
import time
from benchmarks.own_redis import own_redis
with own_redis() as url:
    print(url, flush=True)
    time.sleep(60)
"""


def answers(url: str) -> bool:
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), 5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(5) == b"+PONG"
    except OSError:
        return False


def test_two_at_once_are_two_and_both_stop() -> None:
    with servers.own_redis() as one, servers.own_redis() as other:
        assert one != other
        assert answers(one)
        assert answers(other)
    assert not answers(one)
    assert not answers(other)


class BodyError(Exception):
    """What goes wrong inside a run."""


def test_it_stops_when_the_body_fails() -> None:
    with pytest.raises(BodyError), servers.own_redis() as url:
        raise BodyError
    assert not answers(url)


def test_it_ends_with_its_owner_even_when_that_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD_ONE_UNTIL_KILLED],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TMPDIR": str(tmp_path),  # a killed owner cannot remove the server's folder
        },
    )
    with owner:
        url = (owner.stdout or pytest.fail("no pipe")).readline().strip()
        assert answers(url)
        owner.send_signal(signal.SIGKILL)
    while answers(url):  # the test's own time limit ends a server that stays
        time.sleep(0.02)


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/false")
    with pytest.raises(servers.ServerError, match="/bin/false did not start"), servers.own_redis():
        pass


def test_without_an_executable_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert not servers.redis_is_installed()
    with pytest.raises(servers.ServerError, match="install it"), servers.own_redis():
        pass

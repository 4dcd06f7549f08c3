"""What an operator sees of us in a real server: its configuration, its log, its keys."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.rasa.bursts import OURS, THEIRS
from tests.support.crew import until
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from tests.rasa.bursts import Site

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("path", ["nowserving.integrations.rasa", "nowserving"])
def test_the_log_tells_how_many_are_ahead(path: str, site: Site) -> None:
    section = {**OURS, "type": f"{path}.RedisLockStore", "key_prefix": "bot"}
    with site.server(section, debug=True) as server, ThreadPoolExecutor() as pool:
        server.wait_until_up()
        first = pool.submit(server.send, "watched", 0, 1.5)
        until(lambda: len(site.handled("watched")) == 1)
        second = server.send("watched", 1, 0.0)
        assert first.result() is not None
        assert second is not None
        looks = [line for line in server.log().splitlines() if "ahead of it" in line]
    assert looks
    assert all(" DEBUG " in line for line in looks)
    assert all("'watched': ticket 1 has 1 item(s) ahead" in line for line in looks)


@pytest.mark.parametrize("path", ["nowserving.integrations.rasa", "nowserving"])
def test_an_unknown_key_ends_the_server_with_the_known_ones(path: str, site: Site) -> None:
    with site.server({"type": f"{path}.RedisLockStore", "hots": "localhost"}) as server:
        server.wait_for_end()
        log = server.log()
    assert "'hots'" in log
    assert "key_prefix" in log


def test_rasas_keys_and_ours_do_not_meet(site: Site, redis_server: RedisServer) -> None:
    # As in a rolling upgrade: one server has the new configuration, the other one not yet.
    with site.server(THEIRS) as old, site.server(OURS) as new, ThreadPoolExecutor() as pool:
        for server in (old, new):
            server.wait_until_up()
        sent = [pool.submit(server.send, "both", i, 1.0) for i, server in enumerate((old, new))]
        until(lambda: len(site.handled("both")) == 2)  # beside each other: two kinds of locks
        kinds = {key: redis_server.cli("TYPE", key) for key in redis_server.cli("KEYS", "lock:*")}
        assert all(one.result() is not None for one in sent)
    assert kinds == {"lock:both": "string", "lock:{both}": "hash"}


@pytest.mark.parametrize("ours", [False, True], ids=["Rasa", "nowserving"])
def test_a_redis_that_stands_still_stops_the_messages_and_not_the_server(
    ours: bool,  # noqa: FBT001
    site: Site,
) -> None:
    # A Redis for the locks alone: Rasa's tracker store would block the server, too.
    with RedisServer() as locks, ThreadPoolExecutor() as pool:
        section = {**(OURS if ours else THEIRS), "port": locks.port}
        with site.servers(section) as (server,):
            locks.pause()
            waiting = pool.submit(server.send, "paused", 0, 0.0)
            time.sleep(0.2)
            asked = time.monotonic()
            threading.Timer(2.0, locks.resume).start()
            assert server.status() == "Hello from Rasa: 3.6.21"
            stood_still = time.monotonic() - asked
            assert waiting.result() is not None
    assert (stood_still < 0.5) is ours, f"the server stood still for {stood_still:.1f} s"

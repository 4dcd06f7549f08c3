"""Messages that take longer than a ticket lives, and servers that die over them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.rasa import stopwatch_record
from tests.rasa.bursts import OURS, RENEWED
from tests.support.crew import until

if TYPE_CHECKING:
    from tests.rasa.bursts import Site

LIFETIME = 2

pytestmark = pytest.mark.timeout(300)


def test_renewed_turns_longer_than_the_lifetime_do_not_overlap(site: Site) -> None:
    with site.servers(RENEWED, 2, lifetime=LIFETIME) as servers, ThreadPoolExecutor() as pool:
        sent = [pool.submit(servers[i % 2].send, "long", i, 2.0 * LIFETIME) for i in range(3)]
        answers = [one.result() for one in sent]
        kept = servers[0].messages_in_tracker("long")
        logs = "".join(server.log() for server in servers)
    assert [answer is not None and answer.texts for answer in answers] == [("0",), ("1",), ("2",)]
    handled = site.handled("long")
    assert stopwatch_record.overlaps(handled) == 0
    assert [one.message for one in handled] == kept
    assert "was lost" not in logs


def test_a_turn_that_outlives_its_lock_is_told_once(site: Site) -> None:
    with site.servers(OURS, lifetime=LIFETIME) as (server,), ThreadPoolExecutor() as pool:
        first = pool.submit(server.send, "outlived", 0, 2.0 * LIFETIME)
        until(lambda: len(site.handled("outlived")) == 1)
        second = server.send("outlived", 1, 0.0)
        assert first.result() is not None
        assert second is not None
        warnings = [line for line in server.log().splitlines() if " WARNING " in line]
    told = [line for line in warnings if "nowserving" in line]
    assert len(told) == 1
    assert "The lock of conversation 'outlived' (ticket 0) was lost" in told[0]
    assert "auto_renew" in told[0]


def test_a_killed_server_holds_nobody_up_for_longer_than_a_lifetime(site: Site) -> None:
    with (
        site.servers(RENEWED, 2, lifetime=LIFETIME) as (dying, living),
        ThreadPoolExecutor() as pool,
    ):
        pool.submit(dying.send, "killed", 0, 60.0)
        until(lambda: len(site.handled("killed")) == 1)
        for message in (1, 2):  # waiters that die with it
            pool.submit(dying.send, "killed", message, 0.0)
        time.sleep(0.2)
        waiting = pool.submit(living.send, "killed", 3, 0.05)
        time.sleep(LIFETIME)  # every ticket has been renewed by now
        assert not waiting.done()
        killed = dying.kill()
        later = pool.submit(living.send, "killed", 4, 0.05)
        answers = [sent.result() for sent in (waiting, later)]
    assert all(answers)
    handled = site.handled("killed")
    assert [one.message for one in handled] == [0, 3, 4]
    assert handled[1].began - killed <= LIFETIME + 1.0

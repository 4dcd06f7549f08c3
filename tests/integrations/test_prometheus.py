"""What Prometheus is told by one process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from nowserving import (
    InMemoryLockStore,
    LockAbsorbed,
    LockBusy,
    LockReleased,
    LockStore,
    LockSuperseded,
    LockTimeout,
    Observer,
    TicketEvent,
)
from nowserving.integrations import logs, opentelemetry, prometheus
from nowserving.integrations.prometheus import probe
from nowserving.integrations.prometheus.figures import REASONS, SECONDS, Distribution
from nowserving.integrations.prometheus.tally import _AT_ONCE, Tally
from tests.support.crew import until
from tests.support.prometheus import promtool
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scraped:
    """A registry that is really scraped."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._server, self._thread = start_http_server(0, "127.0.0.1", self.registry)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def text(self) -> str:
        url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        with urllib.request.urlopen(url) as answer:
            text: str = answer.read().decode()
        return text

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of ``nowserving_NAME``, of the only store if none is named."""
        labels = {"store": "default", **labels}
        families = text_string_to_metric_families(self.text())
        (value,) = (
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"nowserving_{name}" and sample.labels == labels
        )
        return value


@pytest.fixture
def scraped() -> Iterator[Scraped]:
    made = Scraped()
    yield made
    made.close()


async def test_every_turn_is_counted_where_it_ends(scraped: Scraped) -> None:
    async with InMemoryLockStore() as store:
        prometheus.observe(store, registry=scraped.registry)
        asked: list[asyncio.Task[None]] = []

        def ask(error: type[BaseException], **options: Any) -> asyncio.Task[None]:
            async def turn() -> None:
                with contextlib.suppress(error):
                    async with store.lock("anna", **options):
                        pass

            asked.append(asyncio.create_task(turn()))
            return asked[-1]

        async with store.lock("anna") as holder:
            await ask(LockTimeout, timeout=0.01)
            await ask(LockBusy, when_busy="reject")
            await ask(LockBusy, max_waiting=0)
            waiter, released = ask(asyncio.CancelledError), ask(LockReleased)
            await asyncio.sleep(0.02)
            assert scraped("waiting") == 2
            assert scraped("held") == 1
            waiter.cancel()
            line = await store.inspect("anna")
            assert line is not None
            assert await store.release("anna", line.waiting[-1].number, reason="gone")
            await released
            older = ask(LockSuperseded)
            await asyncio.sleep(0.02)
            newer = ask(LockAbsorbed, when_busy="latest", message_id="m")
            await older
            await asyncio.sleep(0.02)
            await holder.absorb()
        await newer
        with contextlib.suppress(ZeroDivisionError):
            async with store.lock("anna"):
                raise ZeroDivisionError
    ends = ["done", "failed", "timeout", "abandoned", "released", "superseded", "absorbed"]
    assert [scraped("turns_total", outcome=end) for end in ends] == [1] * len(ends)
    assert [scraped("refused_total", reason=each) for each in REASONS] == [1, 1, 0, 0, 0]
    assert len(asked) == len(ends)  # two more held it, two were refused
    assert scraped("wait_seconds_count") == scraped("hold_seconds_count") == 2
    assert scraped("waiting") == scraped("held") == scraped("oldest_wait_seconds") == 0


async def test_a_wait_that_goes_on_is_seen_to_grow(scraped: Scraped) -> None:
    async with InMemoryLockStore() as store:
        prometheus.observe(store, registry=scraped.registry)

        async def wait() -> None:
            async with store.lock("anna"):
                pass

        async with store.lock("anna"):
            waiter = asyncio.create_task(wait())
            await asyncio.sleep(0.1)
            first = scraped("oldest_wait_seconds")
            assert first >= 0.1
            await asyncio.sleep(0.1)
            assert scraped("oldest_wait_seconds") >= first + 0.1
            assert scraped("wait_seconds_count") == 1
        await waiter
        assert scraped("wait_seconds_sum") >= 0.2
        assert scraped("hold_seconds_sum") >= 0.2
        assert scraped("handoff_seconds_count") == 1
        assert scraped("handoff_seconds_sum") < 0.1


async def test_a_lock_that_is_lost_is_told_while_it_is_held(scraped: Scraped) -> None:
    async with InMemoryLockStore() as store:
        prometheus.observe(store, registry=scraped.registry)
        assert scraped("lost_total") == 0, "told before the first: else it has not increased"
        async with store.lock("anna", 0.05) as lock:
            await asyncio.wait_for(lock.lost_event.wait(), 5)
            assert scraped("lost_total") == scraped("held") == 1
        assert scraped("held") == 0


def test_a_store_that_is_down_is_told_until_it_is_up(scraped: Scraped) -> None:
    with RedisServer() as server, LockStore.create(server.url()) as store:
        prometheus.observe(store, registry=scraped.registry)
        with store.lock("anna"):
            assert scraped("store_up") == 1
        server.stop()
        until(lambda: scraped("store_up") == 0)
        server.start()
        with store.lock("anna", timeout=10):
            assert scraped("store_up") == 1


def test_a_process_that_is_idle_sees_that_an_outage_is_over(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an alert goes on until its next message."""
    monkeypatch.setattr(probe, "_EVERY", 0.1)
    with RedisServer() as server, LockStore.create(server.url(socket_timeout=0.5)) as store:
        prometheus.observe(store, registry=scraped.registry)
        with store.lock("anna"):
            pass
        server.stop()
        until(lambda: scraped("store_up") == 0)
        server.start()
        until(lambda: scraped("store_up") == 1)
        assert scraped("wait_seconds_count") == 1, "nobody has taken a turn for that"
        assert "probe" not in str(server.cli("KEYS", "*")), "and nothing is written"
        until(lambda: "probe" not in str(threading.enumerate()))


def test_an_outage_that_begins_as_the_one_before_ends_is_looked_after_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "_EVERY", 0.01)
    ends, is_down = [True], [True]

    def ask() -> bool:
        if ends and threading.current_thread() is not threading.main_thread():
            ends.pop()  # it is over; and right behind this look the next one begins
            looks.begin()
            return False
        return is_down[0]

    with InMemoryLockStore() as store:
        looks = probe.Probe(store, ask)
        looks.begin()
        until(lambda: not ends)
        time.sleep(0.1)
        assert "probe" in str(threading.enumerate())
        is_down[0] = False
        until(lambda: "probe" not in str(threading.enumerate()))


def test_no_label_names_a_conversation_and_every_name_is_right(scraped: Scraped) -> None:
    with InMemoryLockStore() as store:
        prometheus.observe(store, registry=scraped.registry)
        with store.lock("anna-conversation", message_id="anna-message", label="anna-label"):
            pass
        text = scraped.text()
    assert "anna" not in text
    labels = {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"store", "outcome", "reason", "le"}
    assert promtool("check", "metrics", text=text) == "", "it has nothing to complain of"


def test_stores_in_one_registry_are_told_apart(scraped: Scraped) -> None:
    with InMemoryLockStore() as one, InMemoryLockStore() as other:
        prometheus.observe(one, "one", registry=scraped.registry)
        prometheus.observe(other, "other", registry=scraped.registry)
        for store in (one, one, other):
            with store.lock("anna"):
                pass
        assert scraped("turns_total", store="one", outcome="done") == 2
        assert scraped("turns_total", store="other", outcome="done") == 1


def test_nothing_is_counted_twice(scraped: Scraped) -> None:
    with InMemoryLockStore() as store, InMemoryLockStore() as other:
        exporter = prometheus.observe(store, registry=scraped.registry)
        with pytest.raises(ValueError, match="already observed for Prometheus, as 'default'"):
            prometheus.observe(store, "again", registry=scraped.registry)
        with pytest.raises(ValueError, match="another store is already called 'default'"):
            prometheus.observe(other, registry=scraped.registry)
        exporter.stop()
        exporter.stop()
        assert 'store="default"' not in scraped.text()
        prometheus.observe(other, registry=scraped.registry)
        with store.lock("anna"), other.lock("anna"):
            pass
        assert scraped("turns_total", outcome="done") == 1


OBSERVE = {"prometheus": prometheus.observe, "spans": opentelemetry.observe, "logs": logs.observe}


@pytest.mark.parametrize("kind", OBSERVE)
@pytest.mark.parametrize(("name", "error"), [("", ValueError), (None, TypeError), (7, TypeError)])
def test_a_name_is_a_string(name: Any, error: type[Exception], kind: str) -> None:
    observe: Any = OBSERVE[kind]
    with InMemoryLockStore() as store, pytest.raises(error, match="name is"):
        observe(store, name)


@pytest.mark.parametrize("kind", OBSERVE)
def test_what_is_observed_is_a_store(kind: str) -> None:
    observe: Any = OBSERVE[kind]
    with pytest.raises(TypeError, match=r"takes a lock store, such as .*, not a str$"):
        observe("redis://:secret@here")


def test_a_store_may_observe_itself(scraped: Scraped) -> None:
    """So does a class that ``endpoints.yml`` names, since nobody else has the store."""

    class Observed(InMemoryLockStore):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            prometheus.observe(self, registry=scraped.registry)

    with Observed(lock_lifetime=5) as store, store.lock("anna"):
        assert scraped("held") == 1


def test_metrics_of_somebody_else_are_not_covered() -> None:
    registry = CollectorRegistry()
    Histogram("nowserving_wait_seconds", "Not ours.", registry=registry)
    with InMemoryLockStore() as store:
        with pytest.raises(ValueError, match="nowserving_wait_seconds"):
            prometheus.observe(store, registry=registry)
        other = CollectorRegistry()
        prometheus.observe(store, registry=other)


def test_the_name_of_a_store_that_is_gone_is_free(scraped: Scraped) -> None:
    prometheus.observe(InMemoryLockStore(), registry=scraped.registry)
    gc.collect()
    with InMemoryLockStore() as store:
        prometheus.observe(store, registry=scraped.registry)
        with store.lock("anna"):
            assert scraped("held") == 1


def test_threads_lose_no_count(scraped: Scraped) -> None:
    with InMemoryLockStore() as store:
        prometheus.observe(store, registry=scraped.registry)

        def work(name: str) -> None:
            for _ in range(500):
                with store.lock(name):
                    pass

        threads = [threading.Thread(target=work, args=("abc"[i % 3],)) for i in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert scraped("hold_seconds_count") <= scraped("wait_seconds_count") <= 4000
        for thread in threads:
            thread.join()
        assert scraped("turns_total", outcome="done") == 4000
        assert scraped("wait_seconds_count") == scraped("hold_seconds_count") == 4000
        assert scraped("held") == 0


def test_what_nobody_reads_stays_bounded() -> None:
    tally = Tally()
    for turn in range(5 * _AT_ONCE):
        event = TicketEvent(turn, "anna", turn, time.time(), waited=0.1, held=0.2, outcome="done")
        tally.waiting(event)
        tally.served(event)
        tally.left(event)
    kept = sum(len(value) for value in vars(tally).values() if hasattr(value, "popleft"))
    assert kept < 5 * _AT_ONCE
    assert tally.figures().outcomes["done"] == 5 * _AT_ONCE


def test_a_forked_child_begins_with_nothing() -> None:
    tally = Tally()
    event = TicketEvent(1, "anna", 1, time.time(), waited=0.1)
    tally.waiting(event)
    tally.served(event)
    with tally._counting:  # another thread counts, which the child does not have
        child = os.fork()
        if child == 0:
            now = tally.figures()
            os._exit(now.held + now.waiting + sum(now.waits.counts))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tally.figures().held == 1


def test_values_are_sorted_into_ranges_as_prometheus_does() -> None:
    chance = random.Random(13)
    values = [*SECONDS, 0.0, 1e9, *(chance.expovariate(0.2) for _ in range(500))]
    registry = CollectorRegistry()
    theirs = Histogram("theirs", "", registry=registry, buckets=SECONDS)
    ours = Distribution(SECONDS)
    for at in range(0, len(values), 100):
        ours.add(values[at : at + 100])
    for value in values:
        theirs.observe(value)
    counts = [bucket.get() for bucket in theirs._buckets]
    assert list(ours.now().counts) == counts
    assert ours.now().total == pytest.approx(sum(values))


def test_an_observer_that_need_not_know_of_an_event_is_not_told() -> None:
    assert Tally.asked is Observer.asked, "each event costs every turn"

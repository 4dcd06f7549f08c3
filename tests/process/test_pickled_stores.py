"""A store that travels to another process, or is copied: its settings do, nothing else."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from nowserving import EndpointConfig, InMemoryLockStore, LockStore, LockTimeout, RedisLockStore
from tests.conformance.stores import JsonLockStore

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer


class WithMore(RedisLockStore):
    """A subclass as a bot's author writes one."""

    def __init__(self, endpoint_config: EndpointConfig | None = None) -> None:
        super().__init__(endpoint_config=endpoint_config, timeout=0, lock_lifetime=7)
        self.more = ["kept"]


def enter(store: LockStore) -> str:
    """Take a turn in another process."""
    with store, store.lock("c") as lock:
        return f"ticket {lock.ticket}"


def again(store: LockStore) -> LockStore:
    made: LockStore = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own
    return made


def test_a_store_of_a_spawned_process_stands_in_the_same_line(redis_server: RedisServer) -> None:
    url = f"redis://127.0.0.1:{redis_server.port}/7?key_prefix=pickled"
    with WithMore(endpoint_config=EndpointConfig(url=url)) as store:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as other:
            with store.lock("c"):  # connections and tickets are there by now, and stay here
                with pytest.raises(LockTimeout):
                    other.submit(enter, store).result()
                assert store.is_someone_waiting("c")
            assert other.submit(enter, store).result().startswith("ticket ")
        with store.lock("c"):
            pass


@pytest.mark.parametrize("way", [again, copy.copy, copy.deepcopy])
async def test_a_copy_is_a_store_of_its_own(redis_server: RedisServer, way: object) -> None:
    assert callable(way)
    url = f"redis://127.0.0.1:{redis_server.port}/7"
    async with WithMore(endpoint_config=EndpointConfig(url=url, auto_renew=True)) as store:
        async with store.lock("c"):
            second = way(store)
            assert type(second) is WithMore
            assert second.more == ["kept"]
            assert second._defaults == store._defaults
            assert second._settings == store._settings
            with pytest.raises(LockTimeout):
                async with second.lock("c"):
                    pytest.fail("the body ran")
            await second.aclose()
        async with store.lock("c"):
            pass  # it is still open


def test_a_custom_store_travels_with_what_is_its_own() -> None:
    store = JsonLockStore()
    with store.lock("c"):
        store.reads = 40
        for way in (again, copy.copy, copy.deepcopy):
            second = way(store)
            assert isinstance(second, JsonLockStore)
            assert second.reads >= 40
            assert second.is_someone_waiting("c")
            assert second._runtime is not store._runtime
            second.close()


def test_the_lines_of_an_in_memory_store_stay_where_they_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = InMemoryLockStore(lock_lifetime=7, when_busy="reject")
    assert copy.copy(store) is copy.deepcopy({"store": store})["store"] is store
    assert not caplog.records
    with store.lock("c"):
        second = again(store)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "lines of its own" in record.getMessage()
        with second.lock("c") as lock:
            assert lock.ticket == 0
    assert second._defaults == store._defaults


def test_a_store_of_a_ready_client_says_why_it_can_not_travel() -> None:
    store = RedisLockStore(client=redis.asyncio.Redis())
    for way in (again, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"client=.*URL"):
            way(store)


def test_a_closed_store_opens_anew_where_it_comes_to() -> None:
    store = JsonLockStore()
    store.close()
    with again(store) as second, second.lock("c") as lock:
        assert lock.ticket == 0

"""What must hold where Rasa is, Rasa itself or a stand-in; run as a process of its own.

``python rasa_surface.py CHECK``, because importing ``nowserving.integrations.rasa`` makes our
errors Rasa's for the rest of a process.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import warnings
from typing import TYPE_CHECKING, Any, cast

import pytest

import nowserving
from tests.support.redis_server import HOST, RedisServer

if TYPE_CHECKING:
    from nowserving._config.options import Overrides

assert not any(name.partition(".")[0] == "rasa" for name in sys.modules), "nowserving imports Rasa"
MADE_EARLY = nowserving.LockTimeout("before Rasa was there", number=3)

with warnings.catch_warnings():  # what Rasa's dependencies warn of is theirs
    warnings.simplefilter("ignore")
    import rasa.core.lock_store as rasas
    import rasa.shared.exceptions as rasas_errors
    from rasa.utils.endpoints import EndpointConfig

    import nowserving.integrations.rasa as ours

SHORT, LONG = "nowserving", "nowserving.integrations.rasa"


def _all_below(kind: type[nowserving.LockError]) -> list[type[nowserving.LockError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in _all_below(below))]


def check_every_error_is_one_of_rasas() -> None:
    kinds = _all_below(nowserving.LockError)
    assert len(kinds) > 9
    for kind in kinds:
        made = kind("a message", conversation_id="c", number=3)
        for error in (made, pickle.loads(pickle.dumps(made))):  # noqa: S301 - our own
            for caught in (rasas.LockError, rasas_errors.RasaException, nowserving.LockError, kind):
                with pytest.raises(caught) as found:
                    raise error
                assert found.value is error
            assert (str(error), error.number) == ("a message", 3)
            assert type(error) is kind
    assert isinstance(MADE_EARLY, rasas.LockError)
    assert issubclass(nowserving.ConfigurationError, rasas_errors.RasaException)
    assert issubclass(nowserving.ConfigurationError, ValueError)
    assert issubclass(nowserving.ConnectionException, rasas_errors.ConnectionException)


def check_rasa_makes_our_stores_by_path() -> None:
    for name in ("RedisLockStore", "InMemoryLockStore"):
        for module, of_rasa in ((LONG, True), (SHORT, False)):
            store: object = rasas.LockStore.create(EndpointConfig(type=f"{module}.{name}"))
            assert isinstance(store, getattr(nowserving, name))
            assert isinstance(store, rasas.LockStore) is of_rasa
            if of_rasa:
                assert type(store) is getattr(ours, name)
                assert isinstance(store, nowserving.LockStore)
                assert nowserving.LockStore.create(store) is store
                # To mypy, a store is either Rasa's or ours.
                again: object = rasas.LockStore.create(cast("Any", store))
                assert again is store


def check_a_section_is_read_as_rasa_hands_it_over() -> None:
    # Texts, where a section took them from the environment (``port: ${REDIS_PORT}``).
    section = {"port": "7000", "db": "2", "key_prefix": "bot", "username": "u", "password": "p"}
    section |= {"socket_timeout": "3", "use_ssl": "false", "auto_renew": "true"}
    for endpoint in (
        EndpointConfig(url="redis.example", type="x", max_waiting=5, **section),
        EndpointConfig(host="redis.example", type="x", max_waiting=5, **section),
    ):
        store = ours.RedisLockStore(endpoint_config=endpoint)
        assert store._defaults.auto_renew is True
        assert store._defaults.max_waiting == 5


def check_an_unknown_key_is_told_with_the_known_ones() -> None:
    for name, known in (("RedisLockStore", "key_prefix"), ("InMemoryLockStore", "auto_renew")):
        for module in (LONG, SHORT):
            endpoint = EndpointConfig(type=f"{module}.{name}", hots="localhost")
            with pytest.raises(nowserving.ConfigurationError, match=f"'hots'.*{known}") as error:
                rasas.LockStore.create(endpoint)
            assert isinstance(error.value, rasas_errors.RasaException)


def check_a_message_without_a_sender_is_a_conversation_like_any_other() -> None:
    async def main(store: nowserving.LockStore) -> None:
        async with store:
            for name in ("", "c"):
                async with store.lock(name) as lock:
                    assert (lock.conversation_id, lock.ticket) == (name, 0)
                    with pytest.raises(nowserving.LockTimeout):
                        await asyncio.create_task(enter(store, name))
                    assert store.is_someone_waiting(name)
                ticket = await store.take_ticket(name)
                store.save_lock(store.get_or_create_lock(name))
                store.cleanup(name, ticket)
                assert store.get_lock(name) is None
            with pytest.raises(TypeError):
                store.lock(cast("Any", None))

    async def enter(store: nowserving.LockStore, name: str) -> None:
        async with store.lock(name, timeout=0):
            pytest.fail("the body ran")

    with RedisServer() as server:
        section = EndpointConfig(type="x", url=HOST, port=server.port)
        asyncio.run(main(ours.RedisLockStore(endpoint_config=section)))
    asyncio.run(main(ours.InMemoryLockStore(endpoint_config=EndpointConfig(type="x"))))
    with pytest.raises(ValueError, match="conversation_id is empty"):
        nowserving.InMemoryLockStore().lock("")


def check_turns_raise_rasas_errors() -> None:
    async def enter(store: nowserving.LockStore, options: Overrides) -> None:
        async with store.lock("c", **options):
            pass

    async def main(store: nowserving.LockStore) -> None:
        refused: list[tuple[Overrides, type[nowserving.LockError]]] = [
            ({"timeout": 0}, nowserving.LockTimeout),
            ({"when_busy": "reject"}, nowserving.LockBusy),
        ]
        async with store.lock("c"):
            for options, kind in refused:
                with pytest.raises(rasas.LockError) as error:
                    await asyncio.create_task(enter(store, options))
                assert isinstance(error.value, kind)
        await store.aclose()
        with pytest.raises(rasas.LockError) as error:
            await enter(store, {})
        assert isinstance(error.value, nowserving.StoreClosed)

    asyncio.run(main(ours.InMemoryLockStore(endpoint_config=EndpointConfig(type="x"))))


CHECKS = {name: check for name, check in globals().items() if name.startswith("check_")}

if __name__ == "__main__":
    CHECKS[sys.argv[1]]()

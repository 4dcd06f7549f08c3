"""``LockStore.create``: everything that it accepts, and everything that it refuses by name."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from nowserving import (
    ConfigurationError,
    ConnectionException,
    EndpointConfig,
    InMemoryLockStore,
    LockBusy,
    LockStore,
    LockTimeout,
    RasaException,
    RedisLockStore,
    StoreUnavailable,
    TicketLock,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class CustomLockStore(LockStore):
    """What an ``endpoints.yml`` names by its path."""

    def __init__(self, endpoint_config: EndpointConfig) -> None:
        self.endpoint_config = endpoint_config

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        del conversation_id
        return None

    def save_lock(self, lock: TicketLock) -> None:
        del lock

    def delete_lock(self, conversation_id: str) -> None:
        del conversation_id


class UnreachableLockStore(CustomLockStore):
    def __init__(self, endpoint_config: EndpointConfig) -> None:
        super().__init__(endpoint_config)
        raise ConnectionError("nobody is there")


@pytest.fixture(autouse=True)
def _importable() -> Iterator[None]:
    """Let this very module be found by its dotted path."""
    sys.modules["a_package_of_yours"] = sys.modules[__name__]
    yield
    del sys.modules["a_package_of_yours"]


def _where(store: LockStore) -> str:
    """Return the address that a store's error names; nobody listens at any of them."""
    with pytest.raises(StoreUnavailable) as unavailable:
        store.get_lock("c")
    store.close()
    return str(unavailable.value)


def test_a_store_is_returned_as_it_is() -> None:
    store = InMemoryLockStore()
    assert LockStore.create(store) is store
    assert RedisLockStore.create(store) is store


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        EndpointConfig(),
        EndpointConfig(type=None),
        EndpointConfig(type="in_memory"),
        SimpleNamespace(type=None, url=None, kwargs={}),
        SimpleNamespace(type="in_memory", url=None, kwargs={}),
        "memory://",
        "MEMORY://",
    ],
    ids=repr,
)
def test_in_memory(nothing: Any) -> None:
    assert type(LockStore.create(nothing)) is InMemoryLockStore


@pytest.mark.parametrize("kind", ["redis", "concurrent_redis"])
def test_redis_from_an_endpoint(kind: str) -> None:
    endpoint = EndpointConfig(
        type=kind,
        url="127.0.0.1",
        port=1,
        db=3,
        username="somebody",
        password="secret-word",  # noqa: S106 - nobody listens there
        use_ssl=False,
        key_prefix="bot",
        socket_timeout=0.2,
        concurrent_mode=True,
    )
    store = LockStore.create(endpoint)
    assert type(store) is RedisLockStore
    message = _where(store)
    assert "127.0.0.1:1/3" in message
    assert "secret-word" not in message


def test_redis_from_text_as_a_yaml_file_with_variables_gives_it() -> None:
    endpoint = EndpointConfig(
        type="redis", host="127.0.0.1", port="1", db="3", socket_timeout="0.2", use_ssl="false"
    )
    assert "127.0.0.1:1/3" in _where(LockStore.create(endpoint))


def test_redis_from_rasas_own_endpoint_class() -> None:
    endpoint = SimpleNamespace(
        type="redis", url="127.0.0.1", kwargs={"port": 1, "socket_timeout": 0.2}, token=None
    )
    assert "127.0.0.1:1/1" in _where(LockStore.create(endpoint))


def test_redis_by_its_class_path() -> None:
    endpoint = EndpointConfig(
        type="nowserving.RedisLockStore", url="127.0.0.1", port=1, socket_timeout=0.2
    )
    assert "127.0.0.1:1/1" in _where(LockStore.create(endpoint))


def test_redis_from_a_url() -> None:
    store = LockStore.create(
        "redis://some%40body:secret%2Fword@127.0.0.1:1/5?key_prefix=bot&socket_timeout=0.2"
    )
    message = _where(store)
    assert "127.0.0.1:1/5" in message
    assert "secret" not in message


def test_nothing_is_connected_when_a_redis_store_is_made() -> None:
    LockStore.create("redis://no-such-host.invalid:1/1").close()
    LockStore.create("rediss://no-such-host.invalid:1/1").close()


def test_a_custom_class_by_its_path() -> None:
    endpoint = EndpointConfig(type="a_package_of_yours.CustomLockStore", url="somewhere", more=1)
    store = LockStore.create(endpoint)
    assert isinstance(store, CustomLockStore)
    assert store.endpoint_config is endpoint
    assert endpoint.kwargs == {"more": 1}


def test_a_store_that_cannot_be_reached() -> None:
    endpoint = EndpointConfig(type="a_package_of_yours.UnreachableLockStore")
    with pytest.raises(ConnectionException, match=r"^Cannot connect to lock store\.$") as error:
        LockStore.create(endpoint)
    assert isinstance(error.value.__cause__, ConnectionError)


@pytest.mark.parametrize(
    "path",
    ["nonsense", "no_such_module.Store", "a_package_of_yours.NoSuchStore", ".", "a..b", ""],
)
def test_a_path_that_cannot_be_loaded_is_named(path: str) -> None:
    with pytest.raises(RasaException) as error:
        LockStore.create(EndpointConfig(type=path))
    assert repr(path) in str(error.value)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("nonsense", "nonsense"),
        ("", "''"),
        ("://host", "://host"),
        ("mongodb://host/1", "mongodb://"),
        ("memory://host", "'host'"),
        ("memory://?surprise=1", "'surprise'"),
        ("memory://?key_prefix=bot", "'key_prefix'"),
        ("memory://?timeout=soon", "timeout='soon'"),
        ("memory://?timeout=nan", "timeout='nan'"),
        ("memory://?timeout=-1", "timeout='-1'"),
        ("memory://?max_hold=0", "max_hold='0'"),
        ("memory://?max_hold=4e8", "max_hold='4e8'"),
        ("memory://?timeout=400000000", "timeout='400000000'"),
        ("memory://?auto_renew=perhaps", "auto_renew='perhaps'"),
        ("memory://?max_waiting=1.5", "max_waiting='1.5'"),
        ("memory://?when_busy=sometimes", "when_busy='sometimes'"),
        ("memory://?on_lost=explode", "on_lost='explode'"),
        ("memory://?timeout=1&timeout=2", "'timeout'"),
        ("redis://host:port/1", "port"),
        ("redis://host:1/name", "db='name'"),
        ("redis://host:1/1?surprise=1", "'surprise'"),
        ("redis://host:1/1?port=2", "'port'"),
        ("redis://host:1/1?socket_timeout=0", "socket_timeout='0'"),
        ("redis://host:1/1?socket_timeout=inf", "socket_timeout='inf'"),
        ("redis://host:1/1?socket_timeout=4e8", "socket_timeout='4e8'"),
        ("redis://host:1/1?key_prefix=a/b", "key_prefix='a/b'"),
        ("redis://host:1/1?key_prefix=", "key_prefix=''"),
        ("redis://host:1/1?use_ssl=perhaps", "use_ssl='perhaps'"),
    ],
)
def test_what_a_url_says_wrong_is_named(url: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        LockStore.create(url)
    assert named in str(error.value)


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    for url in (
        "redis://me:secret@host:port/1",
        "nonsense://me:secret@host",
        "redis://me:secret@host:1/1?port=2",
        "redis:me:secret@host",
    ):
        with pytest.raises(ConfigurationError) as error:
            LockStore.create(url)
        assert "secret" not in str(error.value)


@pytest.mark.parametrize("setting", ["surprise", "reddis_host"])
@pytest.mark.parametrize("kind", ["redis", "in_memory"])
def test_an_unknown_key_of_an_endpoint_is_named_with_the_known_ones(
    kind: str, setting: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"'{setting}'.*auto_renew"):
        LockStore.create(SimpleNamespace(type=kind, url=None, kwargs={setting: 1}))


def test_an_endpoint_with_url_and_host() -> None:
    with pytest.raises(ConfigurationError, match=r"`url` and `host`"):
        LockStore.create(EndpointConfig(type="redis", url="a", host="b"))


@pytest.mark.parametrize("prefix", ["", "a b", "a*", "a[b]", "{a}", "ä/", "a\n"])
def test_a_key_prefix_that_can_be_none_is_named(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="key_prefix") as error:
        RedisLockStore(key_prefix=prefix)
    assert repr(prefix) in str(error.value)


@pytest.mark.parametrize("prefix", ["bot", "my_bot", "my-bot", "v1.2", "team:bot", "ä9"])
def test_a_key_prefix(prefix: str) -> None:
    for store in (
        RedisLockStore(key_prefix=prefix),
        LockStore.create(f"redis://host?key_prefix={quote(prefix)}"),
    ):
        key = f"{prefix}:lock:{{c}}".encode()
        assert store._runtime.queue.key("c") == key  # type: ignore[attr-defined]


@pytest.mark.parametrize("prefix", ["my_bot", "team:bot"])
def test_in_a_section_a_key_prefix_is_rasas(prefix: str) -> None:
    for kind in ("redis", "nowserving.RedisLockStore"):
        endpoint = EndpointConfig(type=kind, url="localhost", key_prefix=prefix)
        with pytest.raises(ConfigurationError, match=f"'{prefix}'.*letters and digits.*Rasa's own"):
            LockStore.create(endpoint)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": "one"},
        {"port": True},
        {"db": -1},
        {"db": 1.5},
        {"socket_timeout": 0},
        {"socket_timeout": float("nan")},
        {"socket_timeout": 4e8},
        {"max_hold": 4e8},
        {"socket_timeout": "soon"},
        {"timeout": "soon"},
    ],
    ids=repr,
)
def test_a_wrong_argument_of_a_redis_store_is_named(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises((ConfigurationError, TypeError, ValueError), match=name) as error:
        RedisLockStore(**wrong)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    "strange", [5, b"redis://:secret@host", ["secret"], {"password": "secret"}], ids=repr
)
def test_what_is_nothing_of_that_kind_is_named_by_its_type(strange: Any) -> None:
    with pytest.raises(ConfigurationError, match=type(strange).__name__) as error:
        LockStore.create(strange)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "how",
    [
        "memory://?when_busy=reject&timeout=0&auto_renew=yes&max_waiting=3&max_hold=5&reentrant=1",
        EndpointConfig(type="in_memory", when_busy="reject", timeout=0, auto_renew=True),
        EndpointConfig(type="nowserving.InMemoryLockStore", when_busy="reject", timeout="0"),
    ],
    ids=["url", "type", "path"],
)
async def test_options_of_turns_may_be_configured(how: Any) -> None:
    async with LockStore.create(how) as store:
        store.issue_ticket("c")
        with pytest.raises(LockBusy):
            async with store.lock("c"):
                pytest.fail("the body ran")
        with pytest.raises(LockTimeout):
            async with store.lock("c", when_busy="queue"):
                pytest.fail("the body ran")


@pytest.mark.parametrize("zero", ["0", "0.0", 0, 0.0])
async def test_no_time_to_wait_may_be_configured(zero: Any) -> None:
    endpoint = EndpointConfig(type="in_memory", timeout=zero)
    async with LockStore.create(endpoint) as store:
        store.issue_ticket("c")
        with pytest.raises(LockTimeout):
            async with store.lock("c"):
                pytest.fail("the body ran")


@pytest.mark.parametrize("value", [[1], {}, "soon", True])
def test_a_wrong_time_in_an_endpoint_is_named_with_its_value(value: object) -> None:
    with pytest.raises(ConfigurationError, match="timeout") as error:
        LockStore.create(EndpointConfig(type="in_memory", timeout=value))
    assert repr(value) in str(error.value)


def test_a_custom_store_without_our_init_works() -> None:
    class Mine(LockStore):
        def __init__(self) -> None:
            self.saved: dict[str, TicketLock] = {}

        def get_lock(self, conversation_id: str) -> TicketLock | None:
            return self.saved.get(conversation_id)

        def save_lock(self, lock: TicketLock) -> None:
            self.saved[lock.conversation_id] = lock

        def delete_lock(self, conversation_id: str) -> None:
            self.saved.pop(conversation_id, None)

    async def use() -> None:
        store = Mine()
        assert LockStore.create(store) is store
        async with store.lock("c") as lock:
            assert lock.ticket == 0
            assert list(store.saved) == ["c"]
        assert store.saved == {}
        await store.aclose()

    asyncio.run(use())

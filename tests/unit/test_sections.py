"""A section of ``endpoints.yml``: whatever it says is used, or is an error when the store is made.

Rasa makes a store as ``cls(endpoint_config=...)``, subclasses of ours too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio

from nowserving import (
    ConfigurationError,
    EndpointConfig,
    InMemoryLockStore,
    LockStore,
    RedisLockStore,
)
from tests.support.secrecy import everything_told

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "S3cr3t"  # noqa: S105 - the test's own


class AsTheReference(RedisLockStore):
    def __init__(self, endpoint_config: EndpointConfig) -> None:
        super().__init__(endpoint_config=endpoint_config)


class Transparent(RedisLockStore):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class WithItsOwnDefault(RedisLockStore, kinds=("own_default",), schemes=("own-default",)):
    def __init__(self, endpoint_config: EndpointConfig | None = None, **kwargs: Any) -> None:
        super().__init__(endpoint_config=endpoint_config, key_prefix="own", port=7001, **kwargs)


class WithoutOwnInit(RedisLockStore):
    more = 1


class ThatRepeatsOurDefaults(RedisLockStore):
    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        endpoint_config: EndpointConfig | None = None,
    ) -> None:
        super().__init__(host, port, endpoint_config=endpoint_config)


class ThatSaysWhere(RedisLockStore):
    def __init__(self, endpoint_config: EndpointConfig) -> None:
        super().__init__(host=f"{endpoint_config.url}.internal", port=7)


class Forgetful(RedisLockStore):
    def __init__(self, endpoint_config: EndpointConfig | None = None) -> None:  # noqa: ARG002
        super().__init__()


class ThatFetchesThePassword(RedisLockStore):
    def __init__(self, endpoint_config: EndpointConfig) -> None:  # noqa: ARG002
        super().__init__(password="from the vault")  # noqa: S106 - an example


class InMemory(InMemoryLockStore):
    def __init__(self, endpoint_config: EndpointConfig) -> None:
        super().__init__(endpoint_config=endpoint_config, timeout=5)


class ForgetfulInMemory(InMemoryLockStore):
    def __init__(self, endpoint_config: EndpointConfig) -> None:  # noqa: ARG002
        super().__init__()


@pytest.fixture(autouse=True)
def _importable() -> Iterator[None]:
    """Let this very module be found by its dotted path."""
    sys.modules["a_package_of_yours"] = sys.modules[__name__]
    yield
    del sys.modules["a_package_of_yours"]


def make(cls: type[LockStore], how: str = "rasa", **section: Any) -> Any:
    if how == "rasa":
        return cls(endpoint_config=EndpointConfig(**section))  # type: ignore[call-arg]
    return LockStore.create(EndpointConfig(type=f"a_package_of_yours.{cls.__name__}", **section))


def where(store: RedisLockStore) -> tuple[str, int, int | None]:
    ((host, port),) = store._settings.endpoints
    return host, port, store._settings.db


# Subclasses


@pytest.mark.parametrize("how", ["rasa", "create"])
@pytest.mark.parametrize("cls", [RedisLockStore, AsTheReference, Transparent, WithoutOwnInit])
def test_a_subclass_is_made_of_its_section(cls: type[RedisLockStore], how: str) -> None:
    if cls is RedisLockStore and how == "create":
        how = "rasa"
    section = {"url": "redis.internal", "port": 7000, "db": 3, "key_prefix": "bot"}
    store = make(cls, how, auto_renew=True, lock_lifetime=10, **section)
    assert type(store) is cls
    assert where(store) == ("redis.internal", 7000, 3)
    assert store._prefix == "bot:lock:"
    assert (store._defaults.auto_renew, store._defaults.lock_lifetime) == (True, 10)


def test_arguments_beside_a_section_win() -> None:
    store = make(WithItsOwnDefault, url="redis.internal", port=7000, key_prefix="bot", timeout=9)
    assert where(store) == ("redis.internal", 7001, 1)
    assert store._prefix == "own:lock:"
    assert store._defaults.timeout == 9
    section = EndpointConfig(url="redis.internal", db=2, timeout=9, auto_renew=True)
    beside = RedisLockStore(endpoint_config=section, db=4, timeout=None, lock_lifetime=7)
    assert where(beside) == ("redis.internal", 6379, 4)
    assert (beside._defaults.timeout, beside._defaults.auto_renew) == (None, True)
    assert beside._defaults.lock_lifetime == 7


def test_a_subclass_that_says_where_redis_is_may_read_its_section_itself() -> None:
    assert where(make(ThatSaysWhere, url="redis")) == ("redis.internal", 7, 1)


def test_our_defaults_do_not_win_over_a_section_in_silence() -> None:
    for section in ({"url": "redis.internal"}, {"port": 7000}, {"url": "redis://redis.internal"}):
        with pytest.raises(ConfigurationError, match=r"(host|port)=.* by default"):
            make(ThatRepeatsOurDefaults, **section)
    assert where(make(ThatRepeatsOurDefaults, db=3)) == ("localhost", 6379, 3)


@pytest.mark.parametrize("how", ["rasa", "create"])
@pytest.mark.parametrize(
    ("cls", "section"),
    [
        (Forgetful, {"url": "redis.internal"}),
        (Forgetful, {"url": f"redis://:{SECRET}@redis.internal"}),
        (Forgetful, {"db": 3}),
        (Forgetful, {"auto_renew": True}),
        (ThatFetchesThePassword, {"host": "redis.internal"}),
        (ForgetfulInMemory, {"auto_renew": True}),
    ],
)
def test_a_section_is_never_forgotten_in_silence(
    cls: type[LockStore], section: dict[str, Any], how: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{cls.__name__}.*Hand it on") as error:
        make(cls, how, **section)
    assert next(iter(section)) in str(error.value)
    assert SECRET not in str(error.value)


def test_a_section_that_says_nothing_can_not_be_forgotten() -> None:
    assert where(make(Forgetful, key_of_its_own=1)) == ("localhost", 6379, 1)
    assert type(make(ForgetfulInMemory)) is ForgetfulInMemory


def test_in_memory_it_is_the_same() -> None:
    for how in ("rasa", "create"):
        store = make(InMemory, how, auto_renew="true", timeout=9)
        assert (store._defaults.auto_renew, store._defaults.timeout) == (True, 5)


def test_a_subclass_may_have_a_type_and_a_scheme_of_its_own() -> None:
    for made in (
        LockStore.create(EndpointConfig(type="own_default", url="redis.internal", db=3)),
        LockStore.create("own-default://redis.internal/3"),
    ):
        assert type(made) is WithItsOwnDefault
        assert where(made) == ("redis.internal", 7001, 3)
        assert made._prefix == "own:lock:"


def test_a_class_that_can_not_be_made_as_rasa_makes_it_is_named() -> None:
    class Bare(InMemoryLockStore, kinds=("bare",)):
        def __init__(self) -> None:
            super().__init__()

    with pytest.raises(ConfigurationError, match=r"Bare\(endpoint_config=\.\.\.\)"):
        LockStore.create(EndpointConfig(type="bare"))
    del LockStore._kinds["bare"]


# URLs in a section


def test_a_url_in_a_section_is_read_as_the_url_it_is() -> None:
    url = f"rediss://user:{SECRET}@redis.internal:7000/3?auto_renew=true&key_prefix=a_b"
    for kind in (None, "redis", "nowserving.RedisLockStore"):
        store = LockStore.create(EndpointConfig(type=kind, url=url, timeout=9))
        assert isinstance(store, RedisLockStore)
        assert where(store) == ("redis.internal", 7000, 3)
        assert (store._settings.username, store._settings.password) == ("user", SECRET)
        assert store._settings.tls is not None
        assert (store._defaults.auto_renew, store._defaults.timeout) == (True, 9)
        assert store._prefix == "a_b:lock:"
    in_memory = LockStore.create(EndpointConfig(type="in_memory", url="memory://?timeout=3"))
    assert in_memory._defaults.timeout == 3


def test_keys_beside_a_url_complete_it() -> None:
    store = make(RedisLockStore, url="redis://redis.internal", db=3, password="p", port=6379)  # noqa: S106
    assert where(store) == ("redis.internal", 6379, 3)
    assert store._settings.password == "p"  # noqa: S105
    same = make(RedisLockStore, url="rediss://redis.internal:7/3", db="3", port=7, use_ssl="true")
    assert where(same) == ("redis.internal", 7, 3)


@pytest.mark.parametrize(
    "beside",
    [{"db": 2}, {"port": 8}, {"host": "other"}, {"password": f"{SECRET}!"}, {"use_ssl": False}],
    ids=str,
)
def test_keys_beside_a_url_may_not_contradict_it(beside: dict[str, Any]) -> None:
    url = f"rediss://:{SECRET}@redis.internal:7/3"
    with pytest.raises(
        ConfigurationError, match=f"contradicts its `{next(iter(beside))}`"
    ) as error:
        make(RedisLockStore, url=url, **beside)
    assert SECRET not in "".join(everything_told(error.value))


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}/x@redis.internal",
        f"http://:{SECRET}@redis.internal",
        f":{SECRET}@redis.internal",
        f"redis.internal:6379:{SECRET}",
        f"{SECRET} redis.internal",
    ],
)
@pytest.mark.parametrize("kind", ["redis", "nowserving.RedisLockStore", "in_memory"])
def test_a_bad_url_in_a_section_is_refused_without_its_secret(kind: str, url: str) -> None:
    endpoint = EndpointConfig(type=kind, url=url, password=f"{SECRET}2")
    with pytest.raises(ConfigurationError) as error:
        LockStore.create(endpoint)
    for text in (repr(endpoint), *everything_told(error.value)):
        assert SECRET not in text


@pytest.mark.parametrize("url", ["redis.internal:6379", "redis.internal/1", "a b"])
def test_a_url_that_is_neither_a_host_nor_a_url_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"The lock store: url "):
        make(RedisLockStore, url=url)


# What can be known at the start is said at the start


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("on_lost", "explode"),
        ("when_busy", "sometimes"),
        ("when_full", "sometimes"),
        ("timeout", "soon"),
        ("max_hold", 0),
        ("max_waiting", -1),
        ("auto_renew", "perhaps"),
        ("reentrant", "maybe"),
        ("lock_lifetime", "0"),
        ("wait_time_in_seconds", -1),
    ],
)
@pytest.mark.parametrize("cls", [RedisLockStore, InMemoryLockStore, AsTheReference, InMemory])
def test_a_mistyped_option_is_told_when_the_store_is_made(
    cls: type[LockStore], key: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=key) as error:
        make(cls, **{key: value})
    assert repr(value) in str(error.value)


def test_what_is_left_empty_is_not_said() -> None:
    # `key_prefix: ${PREFIX}` where PREFIX is set to nothing.
    names = ["url", "key_prefix", "password", "port", "db", "auto_renew"]
    empty: dict[str, Any] = {**dict.fromkeys(names, ""), "username": None}
    store = make(RedisLockStore, **empty)
    assert where(store) == ("localhost", 6379, 1)
    assert store._prefix == "lock:"
    assert (store._settings.password, store._settings.username) == (None, None)


@pytest.mark.parametrize("key", ["url", "password", "key_prefix", "db"])
def test_a_variable_that_was_not_replaced_is_told(key: str) -> None:
    section: dict[str, Any] = {key: "${REDIS_SETTING}"}
    with pytest.raises(ConfigurationError, match=f"`{key}` holds a variable.*without quotes"):
        make(RedisLockStore, **section)


def test_an_option_of_one_message_is_not_a_stores() -> None:
    wrong: list[dict[str, Any]] = [{"message_id": "m"}, {"ticket": 3}]
    for options in wrong:
        with pytest.raises(TypeError, match=r"give it to lock\(\)"):
            InMemoryLockStore(**options)


def test_an_argument_that_is_none_is_named_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"RedisLockStore\(\) has no argument 'prot'.*port"):
        RedisLockStore("localhost", prot=6379)  # type: ignore[call-arg]


# What excludes what


@pytest.mark.parametrize(
    "beside", [{"host": "h"}, {"db": 0}, {"password": "p"}, {"use_ssl": True}], ids=str
)
def test_a_ready_client_stands_alone(beside: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"client=.*leave {next(iter(beside))} out"):
        RedisLockStore(client=redis.asyncio.Redis(), **beside)
    RedisLockStore(client=redis.asyncio.Redis(), key_prefix="bot", socket_timeout=3).close()


@pytest.mark.parametrize(
    ("together", "named"),
    [
        ({"host": "h", "endpoints": ["a:1"]}, "host and endpoints"),
        ({"host": "h", "unix_socket": "/a"}, "host and unix_socket"),
        ({"port": 7, "unix_socket": "/a"}, "port"),
        ({"sentinel_password": SECRET}, "sentinel_password"),
    ],
)
def test_two_places_are_one_too_many(together: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as error:
        RedisLockStore(**together)
    assert SECRET not in str(error.value)

"""The reference page, word for word: names, positional parameters, defaults."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import nowserving
from nowserving import (
    DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX,
    DEFAULT_SOCKET_TIMEOUT_IN_SECONDS,
    LOCK_LIFETIME,
    ConnectionException,
    EndpointConfig,
    InMemoryLockStore,
    LockError,
    LockStore,
    RasaException,
    RedisLockStore,
    Ticket,
    TicketLock,
)

_NO_DEFAULT = inspect.Parameter.empty

_SIGNATURES: list[tuple[Any, str, list[tuple[str, object]]]] = [
    (LockStore, "create", [("obj", _NO_DEFAULT)]),
    (LockStore, "create_lock", [("conversation_id", _NO_DEFAULT)]),
    (LockStore, "get_lock", [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT)]),
    (LockStore, "delete_lock", [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT)]),
    (LockStore, "save_lock", [("self", _NO_DEFAULT), ("lock", _NO_DEFAULT)]),
    (
        LockStore,
        "issue_ticket",
        [
            ("self", _NO_DEFAULT),
            ("conversation_id", _NO_DEFAULT),
            ("lock_lifetime", LOCK_LIFETIME),
        ],
    ),
    (
        LockStore,
        "lock",
        [
            ("self", _NO_DEFAULT),
            ("conversation_id", _NO_DEFAULT),
            ("lock_lifetime", LOCK_LIFETIME),
            ("wait_time_in_seconds", 1),
        ],
    ),
    (LockStore, "update_lock", [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT)]),
    (LockStore, "get_or_create_lock", [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT)]),
    (LockStore, "is_someone_waiting", [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT)]),
    (
        LockStore,
        "finish_serving",
        [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT), ("ticket_number", _NO_DEFAULT)],
    ),
    (
        LockStore,
        "cleanup",
        [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT), ("ticket_number", _NO_DEFAULT)],
    ),
    (
        RedisLockStore,
        "__init__",
        [
            ("self", _NO_DEFAULT),
            ("host", "localhost"),
            ("port", 6379),
            ("db", 1),
            ("password", None),
            ("use_ssl", False),
            ("key_prefix", None),
            ("socket_timeout", DEFAULT_SOCKET_TIMEOUT_IN_SECONDS),
        ],
    ),
    (InMemoryLockStore, "__init__", [("self", _NO_DEFAULT)]),
    (
        EndpointConfig,
        "__init__",
        [
            ("self", _NO_DEFAULT),
            ("url", None),
            ("params", None),
            ("headers", None),
            ("basic_auth", None),
            ("token", None),
            ("token_name", "token"),
            ("cafile", None),
        ],
    ),
    (
        Ticket,
        "__init__",
        [("self", _NO_DEFAULT), ("number", _NO_DEFAULT), ("expires", _NO_DEFAULT)],
    ),
    (
        TicketLock,
        "__init__",
        [("self", _NO_DEFAULT), ("conversation_id", _NO_DEFAULT), ("tickets", None)],
    ),
    (TicketLock, "issue_ticket", [("self", _NO_DEFAULT), ("lifetime", _NO_DEFAULT)]),
    (TicketLock, "is_locked", [("self", _NO_DEFAULT), ("ticket_number", _NO_DEFAULT)]),
    (TicketLock, "has_lock_expired", [("self", _NO_DEFAULT), ("ticket_number", _NO_DEFAULT)]),
    (TicketLock, "remove_ticket_for", [("self", _NO_DEFAULT), ("ticket_number", _NO_DEFAULT)]),
]


@pytest.mark.parametrize(
    ("cls", "name", "expected"), _SIGNATURES, ids=[f"{c.__name__}.{n}" for c, n, _ in _SIGNATURES]
)
@pytest.mark.parametrize("subclass", [None, InMemoryLockStore, RedisLockStore])
def test_signature(cls: Any, name: str, expected: list[tuple[str, object]], subclass: Any) -> None:
    if subclass is not None and cls is LockStore:
        cls = subclass
    parameters = inspect.signature(inspect.unwrap(getattr(cls, name))).parameters.values()
    by_position = [
        (parameter.name, parameter.default)
        for parameter in parameters
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert by_position == expected
    for parameter in parameters:  # what we add is keyword-only
        if (parameter.name, parameter.default) not in expected:
            assert parameter.kind in {
                inspect.Parameter.KEYWORD_ONLY,
                inspect.Parameter.VAR_KEYWORD,
            }


def test_static_methods_need_no_store() -> None:
    assert isinstance(LockStore.create(None), InMemoryLockStore)
    assert isinstance(LockStore.create_lock("c"), TicketLock)


def test_constants() -> None:
    assert LOCK_LIFETIME == 60
    assert DEFAULT_SOCKET_TIMEOUT_IN_SECONDS == 10
    assert DEFAULT_REDIS_LOCK_STORE_KEY_PREFIX == "lock:"


def test_every_public_name_can_be_imported() -> None:
    for name in nowserving.__all__:
        assert hasattr(nowserving, name)
    assert list(nowserving.__all__) == sorted(
        nowserving.__all__, key=lambda name: (not name.isupper(), name)
    )


def test_errors_are_the_references() -> None:
    assert issubclass(LockError, RasaException)
    assert issubclass(ConnectionException, RasaException)
    error = LockError("what happened")
    assert (error.message, str(error)) == ("what happened", "what happened")


def test_lock_is_an_asynchronous_context_manager() -> None:
    turn = InMemoryLockStore().lock("c")
    for method in ("__aenter__", "__aexit__", "__enter__", "__exit__"):
        assert hasattr(turn, method)


def test_a_bare_base_store_says_what_is_missing() -> None:
    store = LockStore()
    for method in (store.get_lock, store.delete_lock):
        with pytest.raises(NotImplementedError):
            method("c")
    with pytest.raises(NotImplementedError):
        store.save_lock(TicketLock("c"))
    asyncio.run(store.aclose())

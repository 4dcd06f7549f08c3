"""Any name comes back from a store as it was, and no other name becomes the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nowserving import RedisLockStore
from nowserving.protocol import names
from nowserving.stores.redis.replies import parse_key
from nowserving.testing.names import NAMES

if TYPE_CHECKING:
    from nowserving.stores.redis.queue import RedisQueue

anything = st.text(st.characters(), min_size=1)  # surrogates and NUL are characters, too


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_a_strange_name_comes_back(name: str) -> None:
    assert names.decode(names.encode(name)) == name


@given(anything)
@example("\x00")
@example("\ud800")
@example("\udfff\ud800")
@example("\ud83e\udd84")  # two halves, which are not the whole
def test_every_name_comes_back(name: str) -> None:
    assert names.decode(names.encode(name)) == name


@given(st.one_of(st.binary(), anything.map(names.encode)))
@example(b"\xff")
@example(b"\xed\xa0")
@example(b"\xc0\x80")  # NUL, as Java writes it
def test_bytes_are_read_exactly_or_refused(stored: bytes) -> None:
    try:
        name = names.decode(stored)
    except UnicodeDecodeError:
        return
    assert names.encode(name) == stored


@given(anything)
@example("a\ud800\x00\udfff")
def test_every_name_comes_back_from_a_redis_key(name: str) -> None:
    queue = cast("RedisQueue", RedisLockStore(key_prefix="bot")._runtime.queue)
    key = queue.key(name)
    # As a connection reads what Redis says.
    reader: Any = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
    reader.feed(b"$%d\r\n%b\r\n" % (len(key), key))
    assert parse_key(reader.gets(), b"bot:lock:") == name

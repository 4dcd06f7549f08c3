"""A turn belongs to its context manager: the thread that enters it need not be who leaves it."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from nowserving import LockReentered, LockTimeout
from tests.support.crew import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from nowserving import LockStore
    from nowserving._turns.turn import Turn
    from nowserving.held import HeldLock

pytestmark = pytest.mark.timeout(20)

LIFETIME = 0.6


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """One worker thread; what is left in it is left in the end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def enter(turn: Turn) -> HeldLock:
    return turn.__enter__()


def leave(turn: Turn) -> None:
    turn.__exit__(None, None, None)


@pytest.mark.parametrize("others_reenter", [False, True])
def test_the_thread_that_entered_serves_others(
    each: LockStore, pool: ThreadPoolExecutor, *, others_reenter: bool
) -> None:
    turn, elsewhere = each.lock("c"), each.lock("d")
    lock = pool.submit(enter, turn).result()
    pool.submit(enter, elsewhere).result()
    stranger = each.lock("c", timeout=0.2, reentrant=others_reenter)
    with pytest.raises(LockTimeout):
        pool.submit(enter, stranger).result()
    after = each.lock("c", reentrant=others_reenter)
    waiting = pool.submit(enter, after)
    leave(turn)
    assert waiting.result().ticket > lock.ticket
    leave(elsewhere)
    leave(after)
    assert each.get_lock("c") is None
    assert each.get_lock("d") is None


def test_the_thread_that_entered_has_ended(each: LockStore) -> None:
    turn = each.lock("c", LIFETIME, auto_renew=True)
    entered: list[HeldLock] = []
    thread = threading.Thread(target=lambda: entered.append(enter(turn)))
    thread.start()
    thread.join()
    (lock,) = entered
    over = time.monotonic() + 3 * LIFETIME
    while time.monotonic() < over:
        assert not lock.lost
        line = each.get_lock("c")
        assert line is not None
        assert [ticket.number for ticket in line.tickets] == [lock.ticket]
        time.sleep(0.05)
    with pytest.raises(LockTimeout), each.lock("c", timeout=0.1):
        pass
    ThreadPoolExecutor(1).submit(leave, turn).result()
    assert each.get_lock("c") is None


@pytest.mark.parametrize("thread_ends", [False, True])
def test_nobody_has_it_any_more(
    each: LockStore, pool: ThreadPoolExecutor, *, thread_ends: bool
) -> None:
    """It is not renewed for ever then, whatever becomes of the thread."""
    turn = each.lock("c", LIFETIME, auto_renew=True)
    pool.submit(enter, turn).result()
    if thread_ends:
        pool.shutdown()
    del turn
    gc.collect()
    assert until(lambda: each.get_lock("c") is None) < LIFETIME + 1.0


@contextmanager
def conversation(store: LockStore, *, reentrant: bool) -> Iterator[HeldLock]:
    with store.lock("c", timeout=1.0, reentrant=reentrant) as lock:
        yield lock


@contextmanager
def stack(store: LockStore, *, reentrant: bool) -> Iterator[HeldLock]:
    with ExitStack() as entered:
        yield entered.enter_context(conversation(store, reentrant=reentrant))


def plain(store: LockStore, *, reentrant: bool) -> Turn:
    return store.lock("c", timeout=1.0, reentrant=reentrant)


WAYS: dict[str, Callable[..., AbstractContextManager[HeldLock]]] = {
    "a helper": conversation,
    "an ExitStack in a helper": stack,
    "plain": plain,
}


@pytest.mark.parametrize("inner", WAYS)
@pytest.mark.parametrize("outer", ["a helper", "plain"])  # a stack may be closed by anybody
def test_what_is_really_nested(
    each: LockStore, pool: ThreadPoolExecutor, outer: str, inner: str
) -> None:
    def nest() -> None:
        with WAYS[outer](each, reentrant=False) as first:
            with pytest.raises(LockReentered), WAYS[inner](each, reentrant=False):
                pass
            with WAYS[inner](each, reentrant=True) as second:
                assert second.ticket == first.ticket
            assert each.is_someone_waiting("c"), "the inner one has left for the outer one"

    nest()
    pool.submit(nest).result()
    assert each.get_lock("c") is None

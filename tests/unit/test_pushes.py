"""When a connection over which pushes should come is replaced."""

from __future__ import annotations

import asyncio
import time
from unittest.mock import Mock

from nowserving.protocol.status import SERVED, TicketStatus
from nowserving.stores._remote.handle import RemoteHandle
from nowserving.stores._remote.pushes import Bells, PushCheck
from tests.support.tasks import until

PATIENCE = 0.1


class Checked:
    """A check, and what it has asked for and given up."""

    def __init__(self, patience: float = 60.0, *, connected: bool = True) -> None:
        self.asked = 0
        self.given_up = 0
        self._connected = connected
        loop = asyncio.get_running_loop()
        self.check = PushCheck(loop, patience, ask=self._ask, give_up=self._give_up)

    def _ask(self) -> bool:
        self.asked += 1
        return self._connected

    def _give_up(self) -> None:
        self.given_up += 1

    def miss(self) -> None:
        """A push is missed, and the connection shows a sign of life all the same."""
        self.check.begin(overdue())
        self.check.sign_of_life()


def overdue() -> RemoteHandle:
    handle = RemoteHandle("c", "owner")
    handle.overdue = True
    return handle


async def test_three_misses_in_a_row_are_too_many() -> None:
    checked = Checked()
    for given_up in (0, 0, 1, 1, 1, 2):
        checked.miss()
        assert checked.given_up == given_up


async def test_a_push_between_misses_shows_that_they_still_come() -> None:
    checked = Checked()
    for _ in range(5):
        checked.miss()
        checked.miss()
        checked.check.pushed()
    assert checked.given_up == 0


async def test_a_push_that_comes_before_the_sign_of_life_was_only_late() -> None:
    checked = Checked()
    for _ in range(5):
        handle = overdue()
        checked.check.begin(handle)
        handle.push(TicketStatus(SERVED, 1))
        checked.check.sign_of_life()
    assert checked.given_up == 0


async def test_without_a_sign_of_life_it_is_given_up_at_once() -> None:
    checked = Checked(PATIENCE)
    checked.check.begin(overdue())
    await until(lambda: checked.given_up)


async def test_a_loop_that_was_blocked_gives_the_sign_time_to_be_read() -> None:
    checked = Checked(PATIENCE)
    checked.check.begin(overdue())
    time.sleep(4 * PATIENCE)  # noqa: ASYNC251 - it is to be blocked
    await asyncio.sleep(0)  # the timer is late, and waits again
    await asyncio.sleep(0)
    assert checked.given_up == 0
    checked.check.sign_of_life()
    await asyncio.sleep(2 * PATIENCE)
    assert checked.given_up == 0


async def test_one_suspect_at_a_time_is_asked_about() -> None:
    checked = Checked()
    checked.check.begin(overdue())
    second = overdue()
    checked.check.begin(second)
    assert (checked.asked, second.overdue) == (1, False)
    checked.check.stop()


async def test_without_a_connection_nothing_is_checked() -> None:
    checked = Checked(connected=False)
    handle = overdue()
    checked.check.begin(handle)
    checked.check.begin(handle)
    assert (checked.asked, handle.overdue) == (2, False)


def test_bells_ring_for_whoever_still_has_a_handle() -> None:
    bells, rung = Bells(), Mock()
    kept, dropped = RemoteHandle("c", "kept"), RemoteHandle("c", "dropped")
    bells.add(kept)
    bells.add(dropped)
    kept.answer(rung)
    del dropped
    assert bells.get("dropped") is None
    bells.ring_all()
    rung.assert_called_once_with()

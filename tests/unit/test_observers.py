"""Observers that come, go and are told at the same moment, from several threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving import Observer, StoreEvent
from nowserving.instrumentation.observer import TicketEvent
from nowserving.instrumentation.observers import Audience
from nowserving.protocol.outages import Outages

if TYPE_CHECKING:
    from collections.abc import Callable


class Noting(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def asked(self, event: TicketEvent) -> None:
        self.told.append(event)

    def store_down(self, event: StoreEvent) -> None:
        self.told.append(event)

    def store_up(self, event: StoreEvent) -> None:
        self.told.append(event)


class Slow(Noting):
    """Has another thread do something while it is looked at."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = [meanwhile]

    def __getattribute__(self, name: str) -> object:
        if name == "waiting" and self._meanwhile:
            self._meanwhile.pop()()
        return super().__getattribute__(name)


def tell(audience: Audience) -> None:
    observers = audience.of_turns
    assert observers is not None
    assert observers.asked is not None
    observers.asked(TicketEvent(1, "c", 0, 0.0))


def test_of_two_that_come_at_once_both_are_told() -> None:
    audience, late = Audience(Outages()), Noting()
    first = Slow(lambda: audience.add(late))
    audience.add(first)
    tell(audience)
    assert len(first.told) == len(late.told) == 1


def test_one_that_goes_while_another_comes_is_told_no_more() -> None:
    audience, gone = Audience(Outages()), Noting()
    observation = audience.add(gone)
    first = Slow(observation.stop)
    audience.add(first)
    tell(audience)
    assert (len(first.told), gone.told) == (1, [])


def test_whoever_comes_as_an_outage_ends_is_not_left_with_its_beginning() -> None:
    class Late(Noting):
        def store_down(self, event: StoreEvent) -> None:
            outages.end("there", 1.0)  # another thread, a moment before this one
            super().store_down(event)

    outages, late = Outages(), Late()
    audience = Audience(outages)
    outages.begin("there", "it is gone")
    audience.add(late)
    last = late.told[-1]
    assert isinstance(last, StoreEvent)
    assert last.lasted is not None


def test_ctrl_c_in_one_observer_keeps_nothing_from_the_others() -> None:
    class Struck(Noting):
        def asked(self, event: TicketEvent) -> None:
            super().asked(event)
            raise KeyboardInterrupt

    audience = Audience(Outages())
    all_of_them = [Noting(), Struck(), Struck(), Noting()]
    for each in all_of_them:
        audience.add(each)
    with pytest.raises(KeyboardInterrupt):
        tell(audience)
    assert [len(each.told) for each in all_of_them] == [1, 1, 1, 1]

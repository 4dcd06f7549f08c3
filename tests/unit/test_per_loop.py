"""What each event loop has one of."""

from __future__ import annotations

import asyncio
import gc

from nowserving._host.loops import PerLoop


class Thing:
    """What a loop has."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.closed = 0
        self.abandoned = 0

    def close(self) -> None:
        self.closed += 1

    def hang_up(self) -> None:
        pass

    def abandon(self) -> None:
        self.abandoned += 1


class Things(PerLoop[Thing]):
    """The register."""

    def make(self, loop: asyncio.AbstractEventLoop) -> Thing:
        return Thing(loop)

    async def here(self) -> Thing:
        thing = self.of(asyncio.get_running_loop()).thing()
        assert thing is not None
        return thing


async def test_a_loop_is_given_the_same_one_each_time() -> None:
    things = Things()
    assert await things.here() is await things.here()
    assert list(things) == [await things.here()]


def test_loops_that_take_turns_each_keep_their_own() -> None:
    things = Things()
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        first = one.run_until_complete(things.here())
        second = other.run_until_complete(things.here())
        assert first is not second
        assert one.run_until_complete(things.here()) is first
        assert other.run_until_complete(things.here()) is second
    finally:
        one.close()
        other.close()


async def test_a_loop_whose_thing_has_ended_is_given_another() -> None:
    """A loop may go on after its asynchronous generators were shut down."""
    things = Things()
    ended = await things.here()
    things.discard(ended)
    assert await things.here() is not ended


async def test_all_are_closed_and_new_ones_made_afterwards() -> None:
    things = Things()
    ended = await things.here()
    things.close()
    assert ended.closed == 1
    assert list(things) == []
    assert await things.here() is not ended


def test_a_closed_loop_lets_go_of_its_own() -> None:
    things = Things()
    loop = asyncio.new_event_loop()
    thing = loop.run_until_complete(things.here())
    loop.close()
    assert thing.abandoned == 1


async def test_a_child_keeps_what_it_inherited_and_has_none_of_it() -> None:
    things = Things()
    inherited = await things.here()
    things.forked()
    assert await things.here() is not inherited
    gc.collect()
    assert inherited.closed == inherited.abandoned == 0

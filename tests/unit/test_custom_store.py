"""A custom store of three methods whose storage fails, and one whose numbers begin again."""

from __future__ import annotations

import asyncio
import json

from nowserving import LockStore, StoreUnavailable, TicketLock
from nowserving.standing import Admission, State
from nowserving.testing.harness import quiet
from nowserving.testing.visitor import Visitor


class Shards(LockStore):
    """A custom store over a dict; the conversations in ``down`` can't be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, str] = {}
        self.down: set[str] = set()

    def _reach(self, conversation_id: str) -> None:
        if conversation_id in self.down:
            raise OSError("shard 7 is down")

    def get_lock(self, conversation_id: str) -> TicketLock | None:
        self._reach(conversation_id)
        text = self.saved.get(conversation_id)
        return None if text is None else TicketLock.from_dict(json.loads(text))

    def save_lock(self, lock: TicketLock) -> None:
        self._reach(lock.conversation_id)
        self.saved[lock.conversation_id] = lock.dumps()

    def delete_lock(self, conversation_id: str) -> None:
        self._reach(conversation_id)
        self.saved.pop(conversation_id, None)


async def test_a_conversation_that_cannot_be_renewed_costs_no_other_its_lease() -> None:
    async with Shards() as store:
        names = ["a", "down", "b"]
        visitors = [Visitor(store, name, 0.45, auto_renew=True) for name in names]
        for visitor in visitors:
            await visitor.serves()
        store.down.add("down")
        with quiet():
            await asyncio.sleep(0.9)
            assert [visitor.held.lost for visitor in visitors] == [False, True, False]
            store.down.clear()
            for visitor in visitors:
                await visitor.goes()


async def test_every_place_has_its_own_error_of_a_renewal() -> None:
    async with Shards() as store:
        queue = store._runtime.queue
        places = [queue.place(name) for name in ("down", "a")]
        for place in places:
            await queue.take(place, Admission(lifetime=60))
        store.down.add("down")
        failed, renewed = await queue.renew([(place, 60) for place in places])
        assert isinstance(failed, StoreUnavailable)
        assert "'down'" in str(failed)
        assert "shard 7 is down" in str(failed)
        assert isinstance(failed.__cause__, OSError)
        assert not isinstance(renewed, Exception)
        assert renewed.state is State.SERVED

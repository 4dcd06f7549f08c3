"""All that can be asked of a store, each as a small piece of work on one of a few conversations."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from nowserving import LockError, LockReentered, LockTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from random import Random

    from nowserving import LockStore

SHARED = ["a", "b", "c"]


class Pieces:
    """The pieces of work; every method is one, those of threads and those of tasks.

    Args:
        store: The store.
        random: Chooses the conversations.

    Attributes:
        names: All conversations there were.
    """

    inside: ClassVar[Counter[str]] = Counter()
    """How many bodies of each shared conversation run, of all pieces there are."""

    _unique = itertools.count()

    def __init__(self, store: LockStore, random: Random) -> None:
        self.store = store
        self.random = random
        self.names = set(SHARED)

    def shared(self) -> str:
        """Return a conversation that others have turns of, too."""
        return self.random.choice(SHARED)

    def own(self, whose: str) -> str:
        """Return one that nobody else knows; its name says whose it is."""
        name = f"{whose} {next(self._unique)}"
        self.names.add(name)
        return name

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Check that nobody else is inside."""
        assert not self.inside[name], f"two at once in {name}"
        self.inside[name] += 1
        try:
            yield
        finally:
            self.inside[name] -= 1


class ThreadPieces(Pieces):
    """Those of threads without a running loop."""

    def turn(self) -> None:
        name = self.shared()
        with self.store.lock(name), self.alone(name):
            pass

    def renewed(self) -> None:
        name = self.shared()
        with self.store.lock(name, auto_renew=True, max_hold=60), self.alone(name):
            pass

    def nested(self) -> None:
        outer, inner = self.own("nested"), self.shared()
        with self.store.lock(outer, auto_renew=True), self.store.lock(inner), self.alone(inner):
            with contextlib.suppress(LockReentered), self.store.lock(inner):
                raise AssertionError("entered twice")
            with self.store.lock(inner, reentrant=True):
                pass

    def failed(self) -> None:
        with contextlib.suppress(ZeroDivisionError), self.store.lock(self.shared()):
            raise ZeroDivisionError

    def impatient(self) -> None:
        with contextlib.suppress(LockTimeout), self.store.lock(self.shared(), timeout=0):
            pass

    def serialized(self) -> None:
        @self.store.serialized("name")
        def handle(name: str) -> None:
            with self.alone(name):
                pass

        handle(self.shared())

    def ticket(self) -> None:
        name = self.own("ticket")
        ticket = self.store.issue_ticket(name)
        with self.store.lock(name, ticket=ticket):
            pass

    def finished(self) -> None:
        name = self.own("finished")
        self.store.finish_serving(name, self.store.issue_ticket(name))
        self.store.cleanup(name, self.store.issue_ticket(name))

    def picture(self) -> None:
        name = self.own("picture")
        lock = self.store.get_or_create_lock(name)
        lock.issue_ticket(60)
        self.store.save_lock(lock)
        assert self.store.is_someone_waiting(name)
        self.store.update_lock(name)
        self.store.delete_lock(name)

    def closed_generator(self) -> None:
        parts = self._stream(self.shared())
        next(parts)
        parts.close()

    def dropped_generator(self) -> None:
        parts = self._stream(self.own("dropped_generator"))
        next(parts)
        cycle: list[Any] = [parts]
        cycle.append(cycle)

    def dropped_context_manager(self) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(contextlib.closing(self._stream(self.own("dropped_context_manager"))))
        next(self._stream(self.own("dropped_context_manager")))  # dropped at once

    def _stream(self, name: str) -> Generator[None, None, None]:
        with self.store.lock(name, auto_renew=self.random.random() < 0.5):
            yield


class TaskPieces(Pieces):
    """Those of tasks; some of them start others."""

    async def turn(self) -> None:
        name = self.shared()
        async with self.store.lock(name):
            with self.alone(name):
                await asyncio.sleep(0)

    async def renewed(self) -> None:
        name = self.shared()
        async with self.store.lock(name, auto_renew=True, on_lost="cancel"):
            with self.alone(name):
                await asyncio.sleep(0)

    async def nested(self) -> None:
        outer, inner = self.own("nested"), self.shared()
        async with self.store.lock(outer, auto_renew=True), self.store.lock(inner):
            with contextlib.suppress(LockReentered):
                async with self.store.lock(inner):
                    raise AssertionError("entered twice")
            async with self.store.lock(inner, reentrant=True):
                pass

    async def impatient(self) -> None:
        with contextlib.suppress(LockTimeout):
            async with self.store.lock(self.shared(), timeout=0.001):
                await asyncio.sleep(0)

    async def policies(self) -> None:
        name, policy = self.own("policies"), self.random.choice(["reject", "latest", "interrupt"])

        async def turn(number: int) -> None:
            with contextlib.suppress(LockError):
                options: Any = {"when_busy": policy, "message_id": str(number % 3)}
                async with self.store.lock(name, max_waiting=2, **options):
                    await asyncio.sleep(0)

        await asyncio.gather(*(turn(number) for number in range(4)))

    async def serialized(self) -> None:
        @self.store.serialized("name", auto_renew=True)
        async def handle(name: str) -> None:
            with self.alone(name):
                await asyncio.sleep(0)

        await handle(self.shared())

    async def ticket(self) -> None:
        name = self.own("ticket")
        ticket = await self.store.take_ticket(name)
        async with self.store.lock(name, ticket=str(ticket)):
            pass

    async def synchronous(self) -> None:
        name = self.own("synchronous")
        number = self.store.issue_ticket(name)
        assert self.store.is_someone_waiting(name)
        self.store.finish_serving(name, number)

    async def cancelled(self) -> None:
        """Holder and waiter, at whatever step they are."""
        name = self.own("cancelled")
        tasks = [asyncio.ensure_future(self._stay(name)) for _ in range(2)]
        for _ in range(self.random.randrange(6)):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def dropped(self) -> None:
        """A task that waits for what nobody else knows: only the collector finds the two."""
        entered = asyncio.Event()
        task = asyncio.ensure_future(self._stay(self.own("dropped"), entered))
        await entered.wait()
        task._log_destroy_pending = False  # type: ignore[attr-defined]

    async def dropped_generator(self) -> None:
        async def stream(name: str) -> AsyncIterator[None]:
            async with self.store.lock(name, auto_renew=self.random.random() < 0.5):
                yield

        parts = stream(self.own("dropped_generator"))
        await parts.__anext__()
        cycle: list[Any] = [parts]
        cycle.append(cycle)

    async def _stay(self, name: str, entered: asyncio.Event | None = None) -> None:
        async with self.store.lock(name, auto_renew=self.random.random() < 0.5):
            if entered is not None:
                entered.set()
            await asyncio.get_running_loop().create_future()


def pieces_of(kind: type[Pieces]) -> list[Any]:
    """Return the pieces of work of one kind."""
    return [piece for name, piece in vars(kind).items() if not name.startswith("_")]

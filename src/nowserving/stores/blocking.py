"""What a store does beside turns, for a caller without an event loop: the same coroutines, run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from nowserving.protocol.line import Line
    from nowserving.protocol.status import IssuedTicket
    from nowserving.protocol.survey import Survey, SurveyOrder

_T = TypeVar("_T")


class Asynchronous(Protocol):
    """Where the coroutines come from: a store."""

    async def inspect(self, conversation_id: str) -> Line | None:
        """Look at a line."""
        ...

    async def release(
        self,
        conversation_id: str,
        ticket: IssuedTicket | int | str | None = None,
        reason: str = "",
    ) -> bool:
        """Take out a holder, or a waiter."""
        ...

    def conversations(self) -> AsyncIterator[str]:
        """Iterate over the conversations that have a record."""
        ...

    async def survey(self, longest: int = 20, order: SurveyOrder = "waiting") -> Survey:
        """Look over all lines."""
        ...

    async def give_back(self, conversation_id: str, ticket: IssuedTicket | int | str) -> bool:
        """Leave the line with a ticket."""
        ...

    async def renew_ticket(
        self, conversation_id: str, ticket: IssuedTicket | int | str, lifetime: float
    ) -> bool:
        """Give a ticket more time."""
        ...


class Blocking:
    """The synchronous twins of a store's coroutines (``store.blocking``).

    Arguments, returns and errors are those of the store's method with the same name. Each waits in
    the calling thread; in a coroutine, await the store's own.

    Args:
        store: The store.
        run: Runs a coroutine of it, and returns what that returns.
    """

    def __init__(self, store: Asynchronous, run: Callable[[Coroutine[Any, Any, _T]], _T]) -> None:
        self._store = store
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run

    def give_back(self, conversation_id: str, ticket: IssuedTicket | int | str) -> bool:
        """Leave the line with a ticket that nobody will redeem (:meth:`LockStore.give_back`)."""
        left: bool = self._run(self._store.give_back(conversation_id, ticket))
        return left

    def renew_ticket(
        self, conversation_id: str, ticket: IssuedTicket | int | str, lifetime: float
    ) -> bool:
        """Give a ticket more time to be redeemed in (:meth:`LockStore.renew_ticket`)."""
        is_there: bool = self._run(self._store.renew_ticket(conversation_id, ticket, lifetime))
        return is_there

    def inspect(self, conversation_id: str) -> Line | None:
        """Look at a line (:meth:`LockStore.inspect`)."""
        line: Line | None = self._run(self._store.inspect(conversation_id))
        return line

    def release(
        self,
        conversation_id: str,
        ticket: IssuedTicket | int | str | None = None,
        reason: str = "",
    ) -> bool:
        """Take out a holder, or a waiter (:meth:`LockStore.release`)."""
        was_there: bool = self._run(self._store.release(conversation_id, ticket, reason))
        return was_there

    def conversations(self) -> list[str]:
        """Return what :meth:`LockStore.conversations` iterates over, all at once."""
        names: list[str] = self._run(_collect(self._store.conversations()))
        return names

    def survey(self, longest: int = 20, order: SurveyOrder = "waiting") -> Survey:
        """Look over all lines (:meth:`LockStore.survey`)."""
        seen: Survey = self._run(self._store.survey(longest, order))
        return seen


async def _collect(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]

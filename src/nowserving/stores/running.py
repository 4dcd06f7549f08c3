"""What a store runs on: made at first use, never copied, ended when the store is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving._config import checks
from nowserving._host.libraries import refuse_other_libraries
from nowserving._runtime.runtime import Runtime

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from nowserving.instrumentation.observer import Observer
    from nowserving.instrumentation.observers import Observation
    from nowserving.protocol.queue import Guarantees, TicketQueue


class RunningStore:
    """A store's runtime, and its end."""

    _made: Runtime | None = None

    def _make_queue(self) -> TicketQueue[Any]:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        # What it runs on (connections, threads, tickets) is this process's and this object's.
        return {name: value for name, value in vars(self).items() if name != "_made"}

    @property
    def _runtime(self) -> Runtime:
        # A custom store written for the reference need not call our __init__.
        if self._made is not None:
            return self._made
        # One step, and no lock that a fork could inherit: the runtime of whichever thread is first
        # here is everybody's. Nothing was started yet of another that was made meanwhile.
        fresh = Runtime(self._make_queue())
        made: Runtime = vars(self).setdefault("_made", fresh)
        return made

    @property
    def guarantees(self) -> Guarantees:
        """What this store promises, as it declares it."""
        return self._runtime.queue.guarantees

    def observe(self, observer: Observer) -> Observation:
        """Tell an observer what becomes of the turns of this process, and of the store.

        It is told of turns that are asked for from now on, of each one to its end, and at once of
        an outage that lasts. A forked child goes on with the observers of its parent; a pickled or
        copied store has none. Any store can be observed. (Of outages a custom one can't tell.)

        Args:
            observer: An instance of a subclass of :class:`~nowserving.Observer`.

        Returns:
            The observation, to be stopped: by its ``stop()``, or as a context manager.

        Raises:
            TypeError: If it is no observer.
        """
        return self._runtime.audience.add(observer)

    # The end

    async def aclose(self, drain: float = 0.0) -> None:
        """Close the store; leaves no ticket of its own behind. Idempotent.

        Args:
            drain: Seconds that running turns get to finish, 0 to ten years; then they are lost and
                released. Waiters get ``StoreClosed`` at once.

        Raises:
            TypeError: If ``drain`` is no number.
            ValueError: If it is out of range.
        """
        refuse_other_libraries()
        await self._runtime.aclose(checks.seconds("drain", drain, zero=True))

    def close(self, drain: float = 0.0) -> None:
        """Do the same as :meth:`aclose` for a synchronous caller."""
        self._runtime.close(checks.seconds("drain", drain, zero=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

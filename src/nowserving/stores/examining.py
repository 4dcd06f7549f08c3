"""How a store is: examined by trying, each finding with its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving._host.libraries import refuse_other_libraries
from nowserving.protocol.examination import Examination, Finding
from nowserving.stores.running import RunningStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.protocol.queue import Guarantees


class ExaminingMethods(RunningStore):
    """Examines what the store stands on."""

    async def examine(self) -> Examination:
        """Examine what the store stands on: reached, allowed, kept, in time.

        Everything is tried over connections made for it, beside those of the store, on names that
        can be no conversation's, and is taken away again. Nothing is made that is not there: of an
        SQLite file that does not exist, just that is told. It takes some round trips and, where
        something does not answer, as long as a call may take, a few times.

        Returns:
            What was found, whatever it is: a server that can't be reached is a finding, and so is
            what could not be told because a user may not ask for it.

        Raises:
            ConfigurationError: If a package is missing that the store needs.
            StoreClosed: If the store is closed.
        """
        refuse_other_libraries()
        self._runtime.check_open()
        return Examination(self._examined_as(), tuple(await self._examine()))

    def _examined_as(self) -> str:
        """Return which store this is, for whoever reads what was found."""
        return f"a store of the class {type(self).__name__}"

    async def _examine(self) -> Sequence[Finding]:
        """Return what was found; a store that has more to look at than its promises says so."""
        return lacks(self.guarantees, type(self).__name__)


_LACKS = {
    "cross_process": (
        "lines are not shared safely between processes",
        (
            "Two processes that read a line before either has saved it overwrite each other's "
            "tickets: both may be served at once, and a message may wait until its time is over."
        ),
    ),
    "policies": (
        "nothing is decided atomically",
        (
            "when_busy, max_waiting, message_id, settle, labels, tickets to be redeemed, absorb() "
            "and release() are refused with an error."
        ),
    ),
    "store_clock": (
        "time is each process's own",
        "A process whose clock is ahead takes the tickets of others for expired.",
    ),
    "shares_polls": (  # none that asks for its waiters together pushes nothing
        "nobody is pushed",
        (
            "A waiter of another process asks every wait_time_in_seconds, and each waiter for "
            "itself: a turn begins up to that much late."
        ),
    ),
}
"""What it means where a store does not declare that it has something."""


def lacks(guarantees: Guarantees, name: str) -> list[Finding]:
    """Return what a store lacks by its own declaration.

    Args:
        guarantees: What it declares.
        name: The name of its class.
    """
    remedy = "RedisLockStore and SQLiteLockStore promise it."
    found = [
        Finding("promise", name, "warning", what, meaning, remedy)
        for promise, (what, meaning) in _LACKS.items()
        if not getattr(guarantees, promise)
    ]
    if not guarantees.durable:
        found.append(
            Finding(
                "promise",
                name,
                "note",
                "what was answered may be lost when the store crashes",
                "Whoever held a lock finds it lost, or not at all; check fencing tokens where you "
                "write.",
            )
        )
    if not found:
        found.append(
            Finding("promise", name, "fine", "it declares every guarantee", "Nothing is lacking.")
        )
    return found

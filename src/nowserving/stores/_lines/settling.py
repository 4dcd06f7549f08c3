"""When a burst of messages is over: people write three short ones where one would do.

A message that asks for ``settle`` seconds holds its whole line back: nobody's turn begins until
nothing newer has come for so long, or ``settle_max`` seconds after the first message of the burst.
That is counted from when messages arrive, also behind a holder; so once the holder leaves there may
be nothing left to wait for. The turn that is under way is not touched.

A message without ``settle`` joins such a line and changes nothing; but one that has everybody leave
who waits ends the burst. So does an empty line: whoever comes then begins anew. A message that
gives up has come all the same: the others wait until the moment that it asked for.

Meanwhile the first ticket waits like any other, and is superseded, dropped and counted like any. It
is told for how long the line settles, and asks then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.protocol.status import Admission
    from nowserving.stores._lines.storage import LineStorage, T


def waits_at_head(line: LineStorage[T]) -> bool:
    """Return whether the first ticket of a line that was just promoted waits, since it settles."""
    if not line.settles_until:
        return False
    head = line.ticket(line.serving)
    return head is not None and head.served_at is None


def extend_burst(line: LineStorage[T], admission: Admission, now: float) -> None:
    """Hold the line back for a message that arrives, if it asks for that."""
    if admission.settle is None:
        return
    if now >= line.settles_until:
        line.burst_since = now
    until = now + admission.settle
    if admission.settle_max is not None:
        until = min(until, line.burst_since + admission.settle_max)
    line.settles_until = until

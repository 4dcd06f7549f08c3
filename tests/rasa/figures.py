"""The table of what was measured: Rasa's own lock stores beside ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

HEAD = (
    "lock store",
    "servers",
    "messages",
    "makespan, s: median (range, runs)",
    "unanswered",
    "lost",
    "overlaps",
    "overtaken",
)


@dataclass
class Row:
    """One way to send messages to one set of servers, several times over.

    Attributes:
        store: Which lock store.
        servers: What it runs on.
        messages: What was sent.
        sent: How many messages, all runs together.
        makespans: Seconds from the first message sent to the last answer, a run each.
        unanswered: Messages without an answer.
        lost: Messages that the tracker store has not kept.
        overlaps: Messages whose work began while another one of the conversation was in work.
        overtaken: Messages served after one that had asked later.
    """

    store: str
    servers: str
    messages: str
    sent: int = 0
    makespans: list[float] = field(default_factory=list)
    unanswered: int = 0
    lost: int = 0
    overlaps: int = 0
    overtaken: int = 0

    def cells(self) -> tuple[str, ...]:
        """Return the row as texts."""
        runs = self.makespans
        makespan = f"{median(runs):.2f} ({min(runs):.2f} to {max(runs):.2f}, {len(runs)})"
        counts = (self.unanswered, self.lost, self.overlaps, self.overtaken)
        return (
            self.store,
            self.servers,
            self.messages,
            makespan,
            *(f"{count} of {self.sent}" for count in counts),
        )


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""What a run showed: its settings, findings and figures together, for whoever prints them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowserving.verify.check import check
from nowserving.verify.figures import measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving.verify.check import Findings
    from nowserving.verify.crew import Death
    from nowserving.verify.figures import Figures, Spread
    from nowserving.verify.plan import Plan
    from nowserving.verify.replay import Replay

_MILLISECONDS = 1_000.0


@dataclass(frozen=True)
class Settings:
    """How a run was asked for.

    Attributes:
        source: The trace's file name, or what was made up.
        store: What may be shown of the store's URL; None for a run without a lock.
        handler_ms: Mean milliseconds that a message is handled.
        lifetime: Seconds that a ticket lives.
        options: How turns are asked for beside that, as arguments of ``lock()``.
        seed: What dealt the messages to the workers, and made them up where they are made up.
    """

    source: str
    store: str | None
    handler_ms: float
    lifetime: float
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def locked(self) -> bool:
        """Whether turns are taken under the lock."""
        return self.store is not None


@dataclass(frozen=True)
class Result:
    """A run, judged and measured.

    Attributes:
        settings: How it was asked for.
        plan: What was to be done.
        replay: What was recorded.
        findings: What was violated.
        figures: What it took.
    """

    settings: Settings
    plan: Plan
    replay: Replay
    findings: Findings
    figures: Figures

    @classmethod
    def of(cls, settings: Settings, plan: Plan, replay: Replay) -> Result:
        """Judge and measure a run."""
        records = replay.records
        findings = check(records, messages=len(plan.deliveries), locked=settings.locked)
        return cls(settings, plan, replay, findings, measure(records))

    @property
    def notes(self) -> list[str]:
        """One sentence for each thing that went wrong outside a finished turn."""
        notes = [_obituary(death) for death in self.replay.deaths]
        if self.replay.stalled:
            notes.append("nothing happened for too long: the remaining workers were stopped")
        errors = [record.error for record in self.replay.records if record.error]
        kinds = Counter(error.partition(":")[0] for error in errors)
        examples = {error.partition(":")[0]: error for error in reversed(errors)}
        notes += [f"{count} x {examples[kind]}" for kind, count in kinds.items()]
        return notes

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; the names end in their units."""
        return {
            "violated": self.findings.violated,
            "source": self.settings.source,
            "store": self.settings.store,
            "lock": self.settings.locked,
            "workers": self.plan.workers,
            "speed": self.plan.speed,
            "handler_ms": self.settings.handler_ms,
            "lifetime_s": self.settings.lifetime,
            "seed": self.settings.seed,
            "messages": len(self.plan.deliveries),
            "conversations": self.plan.conversations,
            "overlaps": len(self.findings.overlaps),
            "out_of_order": len(self.findings.out_of_order),
            "lost": len(self.findings.lost),
            "answered_twice": len(self.findings.twice),
            "options": dict(self.settings.options),
            "turns": self.figures.turns,
            "answer_ms": _milliseconds(self.figures.answer),
            "longest_line": self.figures.longest_line,
            "hand_off_ms": _milliseconds(self.figures.hand_off),
            "wait_ms": _milliseconds(self.figures.wait),
            "throughput_per_s": round(self.figures.throughput, 1),
            "duration_s": round(self.figures.seconds, 3),
            "notes": self.notes,
        }


def _milliseconds(spread: Spread) -> dict[str, float | int | None]:
    return {"count": spread.count, "p50": _scaled(spread.p50), "p99": _scaled(spread.p99)}


def _scaled(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * _MILLISECONDS, 3)


def _obituary(death: Death) -> str:
    status = f"signal {-death.status}" if death.status < 0 else f"exit status {death.status}"
    return f"worker {death.worker} ended early ({status}) {death.last_words}".strip()

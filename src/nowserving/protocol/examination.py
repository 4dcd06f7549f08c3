"""What an examination of a store has found, as ``store.examine`` gives it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Verdict = Literal["fine", "note", "warning", "broken"]
"""``fine``: as it should be. ``note``: good to know, or could not be told. ``warning``: a promise
will not be kept if something happens that does happen: a crash, a full memory, a failover.
``broken``: the store can't be used, or a promise is not kept now."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""From the best to the worst."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; ``fine`` of none."""
    return max(verdicts, key=VERDICTS.index, default="fine")


@dataclass(frozen=True)
class Finding:
    """One thing that was examined.

    No text of it holds a secret. Some repeat what a server or a file system says, so whoever shows
    them in a terminal has to escape them.

    Attributes:
        check: What was examined, in a word or two that stay the same: ``"eviction"``. The page
            docs/doctor.md has a paragraph for each.
        subject: Of what: the address of a server, a path.
        verdict: ``"fine"``, ``"note"``, ``"warning"`` or ``"broken"``.
        found: What was found.
        meaning: What that means for what the store promises.
        remedy: What to do about it; empty where nothing is to be done.
        figures: What was measured, by name; seconds and bytes are in the names.
    """

    check: str
    subject: str
    verdict: Verdict
    found: str
    meaning: str
    remedy: str = ""
    figures: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Examination:
    """All that was found.

    Attributes:
        store: Which store it is: its kind and address, without a secret.
        findings: What was found, in the order in which it was looked at.
    """

    store: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings."""
        return worst(finding.verdict for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        return {
            "store": self.store,
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
        }

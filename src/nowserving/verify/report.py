"""The result as one self-contained page: figures, violations, and a timeline.

The page needs no network and no server: style and script stand inside it. Whatever came from the
trace (ids, error texts) is escaped where it enters the page.
"""

from __future__ import annotations

import statistics
from html import escape
from importlib.resources import files
from itertools import islice
from string import Template
from typing import TYPE_CHECKING

from nowserving.verify.figures import longest_line
from nowserving.verify.load import draw_load
from nowserving.verify.rows import headline, rows, subtitle
from nowserving.verify.timeline import COLOURS, Scale, draw
from nowserving.verify.turns import by_conversation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nowserving.verify.result import Result
    from nowserving.verify.turns import Worked

_CONVERSATIONS = 12
_VIOLATIONS = 200
_LONGEST_ID = 80  # characters
_NANOSECONDS = 1_000_000_000
_BAR = 14.0  # pixels that the timeline wants for a turn of middling length
_NARROWEST, _WIDEST = 1_128.0, 24_000.0  # pixels of the timeline
_LABEL = 40.0  # pixels
_TICKS = 8  # at least so many in the narrowest timeline's width


def write_report(result: Result, path: Path) -> None:
    """Write the page.

    Args:
        result: What it shows.
        path: The file, which is replaced if it exists.

    Raises:
        OSError: If it cannot be written.
    """
    path.write_text(render(result), encoding="utf-8")


def render(result: Result) -> str:
    """Return the page as HTML."""
    template = files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    conversations = by_conversation(result.replay.records)
    turns = [turn for conversation in conversations.values() for turn in conversation]
    scale = _scale(turns)
    step = _tick(scale)
    return Template(template).substitute(
        verdict=escape(headline(result)),
        verdict_class="bad" if result.findings.violated else "good",
        subtitle=escape(subtitle(result)),
        cards="".join(_cards(result)),
        notes="".join(f"<li>{escape(note)}</li>" for note in result.notes),
        load=draw_load(turns, scale),
        legend="".join(_legend(result.plan.workers)),
        grid=f"{step * scale.pixels:.2f}px",
        axis=_axis(scale, step),
        lanes="".join(_lanes(result, conversations, scale)),
        violations="".join(islice(_violations(result), _VIOLATIONS)),
        violations_hidden="" if result.findings.violated else "hidden",
        shown=_VIOLATIONS,
    )


def _scale(turns: Iterable[Worked]) -> Scale:
    """Choose a scale in which a turn of middling length can be pointed at."""
    turns = list(turns)
    origin = min((turn.fired for turn in turns), default=0)
    seconds = max((turn.left - origin for turn in turns), default=_NANOSECONDS) / _NANOSECONDS
    works = [turn.left - turn.entered for turn in turns]
    middling = max(1, statistics.median(works) if works else 1) / _NANOSECONDS
    wanted = seconds / middling * _BAR
    return Scale(origin, max(_NARROWEST, min(_WIDEST, wanted)) / seconds, seconds)


def _tick(scale: Scale) -> float:
    """Return the seconds between two marks of the axis: 1, 2 or 5 times a power of ten."""
    room = _NARROWEST / _TICKS / scale.pixels
    steps = (digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5))
    return next(step for step in steps if step >= room)


def _axis(scale: Scale, step: float) -> str:
    last = scale.seconds - _LABEL / scale.pixels  # a label must not run off the edge
    moments = [step * mark for mark in range(1 + max(0, int(last / step)))]
    texts = "".join(
        f'<text x="{moment * scale.pixels + 3:.1f}" y="12">{moment:g} s</text>'
        for moment in moments
    )
    size = f'width="{scale.width:.0f}" height="18"'
    return f'<svg class="axis" {size} aria-hidden="true">{texts}</svg>'


def _cards(result: Result) -> Iterator[str]:
    for row in rows(result):
        kind = "bad" if row.broken else "good" if row.promised else ""
        yield (
            f'<div class="card {kind}"><dt>{escape(row.label)}</dt>'
            f"<dd>{_figures(row.value)}</dd></div>"
        )


def _figures(value: str) -> str:
    """Return one figure, or two with a slash between them behind which a line may break."""
    return " ".join(
        f"<span>{escape(part)}</span>" for part in value.replace(" / ", " /\n").split("\n")
    )


def _legend(workers: int) -> Iterator[str]:
    for worker in range(workers):
        yield f'<li><i class="swatch w{worker % COLOURS}"></i>worker {worker}</li>'


def _lanes(result: Result, conversations: dict[str, list[Worked]], scale: Scale) -> Iterator[str]:
    """Yield the busiest conversations; those with a violation come first."""
    findings = result.findings
    wrong = findings.overlaps | findings.out_of_order | findings.lost
    lost = _lost(result)
    spoilt = {item.conversation_id for item in result.plan.deliveries if item.index in wrong}
    ids = sorted(
        conversations.keys() | lost.keys(),
        key=lambda own: (own not in spoilt, -len(conversations.get(own, ())), own),
    )
    for conversation_id in ids[:_CONVERSATIONS]:
        turns = conversations.get(conversation_id, [])
        yield (
            f'<section class="lane"><h3 title="{escape(conversation_id)}">'
            f"{escape(_shortened(conversation_id))} <small>turns: {len(turns)}, "
            f"longest line: {longest_line(turns)}</small></h3>"
            f"{draw(turns, lost.get(conversation_id, ()), findings, scale)}</section>"
        )


def _lost(result: Result) -> dict[str, list[int]]:
    """Return when the messages came that no handler finished, by conversation."""
    fired = {record.index: record.fired for record in result.replay.records}
    ran = {record.index for record in result.replay.records if record.left is not None}
    moments: dict[str, list[int]] = {}
    for item in result.plan.deliveries:
        if item.index in result.findings.lost and item.index not in ran:
            moment = fired.get(item.index, result.replay.start + item.due)
            moments.setdefault(item.conversation_id, []).append(moment)
    return moments


def _violations(result: Result) -> Iterator[str]:
    findings = result.findings
    kinds = {
        "overlap": findings.overlaps,
        "out of order": findings.out_of_order,
        "lost": findings.lost,
    }
    for item in result.plan.deliveries:
        found = [kind for kind, indexes in kinds.items() if item.index in indexes]
        if found:
            yield (
                f"<tr><td>{item.index}<td>{escape(', '.join(found))}<td>{item.worker}"
                f"<td>{item.due / _NANOSECONDS:.3f} s"
                f"<td>{escape(_shortened(item.conversation_id))}</tr>"
            )


def _shortened(conversation_id: str) -> str:
    if len(conversation_id) <= _LONGEST_ID:
        return conversation_id
    return f"{conversation_id[:_LONGEST_ID]}\N{HORIZONTAL ELLIPSIS}"

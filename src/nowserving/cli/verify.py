"""``nowserving verify``: replay a message log on several workers and check every promise."""

import contextlib
import json
import math
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from nowserving import LockStore, RasaException
from nowserving._config import checks
from nowserving._config.urls import shown
from nowserving.cli import signals, view
from nowserving.cli.choices import positive
from nowserving.verify import traffic
from nowserving.verify.plan import Plan, make_plan
from nowserving.verify.replay import Replay, replay
from nowserving.verify.report import write_report
from nowserving.verify.result import Result, Settings
from nowserving.verify.trace import Message, TraceError, read_trace


class WhenBusy(str, Enum):
    """What a message may do in a busy conversation, so that each is answered."""

    QUEUE = "queue"
    LATEST = "latest"


IN_MEMORY = "memory://"
VIOLATED = 1

_WORKERS = 4
_SHORTEST_LIFETIME = 60.0  # seconds
_ASK_FOR_REPORT = "Also write a page with a timeline of the busiest conversations."


def _lifetime(value: float | None) -> float | None:
    try:
        return None if value is None else checks.seconds("lifetime", value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _not_negative(value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise typer.BadParameter(f"{value} is not a number of 0 or more.")
    return value


def verify(  # noqa: PLR0913 - one parameter an option
    *,
    trace: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="CSV file with the columns seconds, conversation_id, sender, characters. "
            "Without it, messages are made up: skewed, bursty, with awkward ids.",
        ),
    ] = None,
    messages: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Use only the first N messages of the trace, or make up N.",
            metavar="N",
            show_default=f"the whole trace, or {traffic.MESSAGES} made up",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Worker processes.", metavar="N", show_default=f"{_WORKERS}; 1 in memory"
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="The store that the workers share.",
            metavar="URL",
            show_default="SQLite, in a file of its own",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Trace seconds that pass in one second.",
            metavar="X",
            show_default="as fast as the workers can follow",
        ),
    ] = None,
    handler_ms: Annotated[
        float,
        typer.Option(
            callback=_not_negative,
            help="Mean milliseconds that a message is handled; long messages take longer.",
            metavar="MS",
        ),
    ] = 250.0,
    lifetime: Annotated[
        float | None,
        typer.Option(
            callback=_lifetime,
            help="Seconds that a ticket lives.",
            metavar="S",
            show_default=f"{_SHORTEST_LIFETIME:.0f}, or more if the longest line needs it",
        ),
    ] = None,
    when_busy: Annotated[
        WhenBusy,
        typer.Option(
            help="What a message does in a busy conversation: latest takes the place of those who "
            "wait, and its turn answers for them.",
        ),
    ] = WhenBusy.QUEUE,
    settle: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Trace seconds for which nothing newer has to come before a turn begins.",
            metavar="S",
            show_default="a turn begins at once",
        ),
    ] = None,
    settle_max: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Trace seconds since the first message of a burst after which it begins anyway.",
            metavar="S",
            show_default="no limit",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Draws the made-up messages, and the worker of each message.")
    ] = 0,
    without_lock: Annotated[
        bool, typer.Option("--without-lock", help="Take no locks: shows what happens then.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="FILE.html", help=_ASK_FOR_REPORT)
    ] = None,
) -> None:
    """Replay a message log on several workers and check every promise.

    Messages come when they came in the trace, only faster, and go to the workers as a load
    balancer deals them. Each is handled under the lock of its conversation. What the workers
    recorded then shows whether two turns of a conversation ever overlapped, were served in
    another order than the store accepted them, or got lost. With latest, a message that was
    superseded must be answered by exactly one turn: by that of the message that took its place.

    Exit status: 0 if nothing was violated, 1 if anything was, 2 if it could not be tried.
    """
    if settle_max is not None and settle is None:
        raise typer.BadParameter("it limits --settle: give both.", param_hint="--settle-max")
    log = _load(trace, messages, seed)
    _check_folder(report)
    try:
        with signals.stoppable(), _store(store, workers, without_lock=without_lock) as url:
            plan = make_plan(
                log,
                workers=workers or _workers_of(url),
                handler_seconds=handler_ms / 1_000,
                speed=speed,
                seed=seed,
            )
            settings = Settings(
                source=trace.name if trace else "made-up traffic",
                store=_called(url, own=store is None),
                handler_ms=handler_ms,
                lifetime=lifetime or max(_SHORTEST_LIFETIME, 2 * plan.longest_work),
                seed=seed,
                options=_options(plan, when_busy, settle, settle_max),
            )
            result = Result.of(settings, plan, _run(plan, url, settings))
    except signals.Stopped as stopped:
        view.aside.print("Stopped: nothing was verified.")
        raise typer.Exit(stopped.status) from None
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=2))
    else:
        view.show(result)
    if report is not None:
        _write(result, report)
    raise typer.Exit(VIOLATED if result.findings.violated else 0)


def _load(trace: Path | None, messages: int | None, seed: int) -> list[Message]:
    if trace is None:
        return traffic.make_traffic(messages or traffic.MESSAGES, seed)
    try:
        return read_trace(trace, messages)
    except TraceError as error:
        raise typer.BadParameter(str(error), param_hint="--trace") from error


def _check_folder(report: Path | None) -> None:
    if report is not None and not report.parent.is_dir():
        raise typer.BadParameter(
            f"{report}: there is no folder {report.parent}: make it first.", param_hint="--report"
        )


def _write(result: Result, report: Path) -> None:
    try:
        write_report(result, report)
    except OSError as error:
        raise typer.BadParameter(
            f"{report}: cannot be written: {error.strerror}.", param_hint="--report"
        ) from error


@contextlib.contextmanager
def _store(url: str | None, workers: int | None, *, without_lock: bool) -> Iterator[str | None]:
    """Choose the store, None for none, and find out whether it can be used."""
    if without_lock:
        yield None
    elif url is not None:
        _check_workers(url, workers)
        signals.run(_try(url))
        yield url
    else:
        with _folder() as folder:
            own = f"sqlite:///{quote(folder)}/turns.db"
            signals.run(_try(own))
            yield own


def _folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="nowserving-verify-")
    except OSError as error:
        raise typer.BadParameter(
            f"there is no folder for a file of its own ({error}): name a store, or set TMPDIR to "
            "a folder on a local disk.",
            param_hint="--store",
        ) from error


def _workers_of(url: str | None) -> int:
    return 1 if url is not None and url.startswith(IN_MEMORY) else _WORKERS


def _called(url: str | None, *, own: bool) -> str | None:
    if url is None:
        return None
    return "SQLite, a file of its own" if own else shown(url)


def _check_workers(url: str, workers: int | None) -> None:
    if url.startswith(IN_MEMORY) and (workers or 1) > 1:
        raise typer.BadParameter(
            f"{shown(url)} serves one process, and --workers is {workers}: "
            f"use --workers 1, or a store that processes can share.",
            param_hint="--store",
        )


async def _try(url: str) -> None:
    """Take a lock once, so that a store that cannot be used is told before anything starts."""
    try:
        store = LockStore.create(url)
        try:
            async with store.lock("nowserving verify: can this store be used?"):
                pass
        finally:
            await store.aclose()
    except (RasaException, ValueError) as error:
        raise typer.BadParameter(
            f"{shown(url)} cannot be used: {error}", param_hint="--store"
        ) from error


def _options(
    plan: Plan, when_busy: WhenBusy, settle: float | None, settle_max: float | None
) -> dict[str, Any]:
    """Return how turns are asked for, in the seconds of the run."""
    seconds = {"settle": settle, "settle_max": settle_max}
    options: dict[str, Any] = {
        name: round(value / plan.speed, 6) for name, value in seconds.items() if value is not None
    }
    return (
        {"when_busy": when_busy.value, **options} if options or when_busy is WhenBusy.LATEST else {}
    )


def _run(plan: Plan, url: str | None, settings: Settings) -> Replay:
    title = "without a lock" if url is None else "with the lock"
    with view.progress(title, len(plan.deliveries)) as advance:
        return signals.run(
            replay(
                plan,
                store=url,
                lifetime=settings.lifetime,
                options=settings.options,
                on_turn=advance,
            )
        )

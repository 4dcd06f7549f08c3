"""The spans that are really recorded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, StatusCode

from nowserving import InMemoryLockStore, LockBusy, LockTimeout, TicketEvent
from nowserving.integrations import opentelemetry
from nowserving.integrations.opentelemetry import _RECENT, _Spans

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT, HOLD = "nowserving wait", "nowserving hold"


class Recorded:
    """A provider whose spans are kept."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name that have ended, in the order in which they began."""
        found = [span for span in self.exporter.get_finished_spans() if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.provider.shutdown()


@pytest.fixture
def store(recorded: Recorded) -> Iterator[InMemoryLockStore]:
    with InMemoryLockStore() as made:
        opentelemetry.observe(made, "bot", tracer_provider=recorded.provider)
        yield made


def of(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(name)


def identity(span: ReadableSpan) -> SpanContext:
    found: SpanContext = span.context
    return found


async def test_wait_and_hold_are_children_of_where_they_were_asked_for(
    recorded: Recorded, store: InMemoryLockStore
) -> None:
    with recorded.tracer.start_as_current_span("message") as message:
        async with store.lock("anna", label="reply"):
            with recorded.tracer.start_as_current_span("body"):
                pass
    (wait,), (hold,), (body,) = map(recorded.named, (WAIT, HOLD, "body"))
    for span in (wait, hold, body):
        assert span.parent == message.get_span_context()
    assert wait.end_time == hold.start_time
    assert of(wait, "nowserving.outcome") == "served"
    assert of(hold, "nowserving.outcome") == "done"
    for span in (wait, hold):
        assert of(span, "nowserving.store") == "bot"
        assert of(span, "nowserving.label") == "reply"
        assert span.status.status_code is StatusCode.UNSET
    assert of(hold, "nowserving.fencing_token")


async def test_whoever_waited_is_linked_to_whom_it_waited_for(
    recorded: Recorded, store: InMemoryLockStore
) -> None:
    async def turn(name: str) -> None:
        with recorded.tracer.start_as_current_span(name):
            async with store.lock("anna"):
                await asyncio.sleep(0.01)

    await asyncio.gather(*(turn(f"message {i}") for i in range(5)))
    holds = recorded.named(HOLD)
    assert holds[0].links == ()
    for before, span in pairwise(holds):
        (link,) = span.links
        assert link.context == identity(before)
        assert link.context.trace_id != identity(span).trace_id
        assert float(str(of(span, "nowserving.handoff"))) < 1.0
    waited = [of(span, "nowserving.ahead") for span in recorded.named(WAIT)]
    assert waited == [None, 1, 2, 3, 4]


def test_threads_have_their_own_parents(recorded: Recorded, store: InMemoryLockStore) -> None:
    def turn(name: str) -> None:
        with recorded.tracer.start_as_current_span(name), store.lock("anna"):
            pass

    threads = [threading.Thread(target=turn, args=(f"message {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parents = {identity(span).span_id for i in range(8) for span in recorded.named(f"message {i}")}
    for name in (WAIT, HOLD):
        assert {span.parent.span_id for span in recorded.named(name) if span.parent} == parents
        assert len(recorded.named(name)) == 8


async def test_each_end_of_a_wait_and_what_is_an_error(
    recorded: Recorded, store: InMemoryLockStore
) -> None:
    async def turn(error: type[BaseException], **options: float | str) -> None:
        with contextlib.suppress(error):
            async with store.lock("anna", **options):  # type: ignore[arg-type]
                pass

    async with store.lock("anna"):
        await asyncio.create_task(turn(LockTimeout, timeout=0.01))
        await asyncio.create_task(turn(LockBusy, when_busy="reject"))
        cancelled = asyncio.create_task(turn(asyncio.CancelledError))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await cancelled
    _, timeout, refused, abandoned = recorded.named(WAIT)
    assert (of(timeout, "nowserving.outcome"), timeout.status.status_code) == (
        "timeout",
        StatusCode.ERROR,
    )
    assert (of(refused, "nowserving.outcome"), of(refused, "nowserving.reason")) == (
        "refused",
        "busy",
    )
    assert refused.status.status_code is StatusCode.UNSET
    assert of(abandoned, "nowserving.outcome") == "abandoned"
    assert abandoned.status.status_code is StatusCode.UNSET
    assert len(recorded.named(HOLD)) == 1


async def test_a_body_that_fails_or_loses_its_lock_is_an_error(
    recorded: Recorded, store: InMemoryLockStore
) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with store.lock("anna"):
            raise ZeroDivisionError
    async with store.lock("anna", 0.05) as lock:
        await asyncio.wait_for(lock.lost_event.wait(), 5)
    failed, lost = recorded.named(HOLD)
    assert failed.status.status_code is lost.status.status_code is StatusCode.ERROR
    assert lost.status.description == "the lock was lost: its ticket expired"
    assert [event.name for event in lost.events] == ["nowserving.lost"]


@pytest.mark.parametrize("ids", [False, True])
def test_ids_are_told_only_if_that_is_wanted(recorded: Recorded, *, ids: bool) -> None:
    with InMemoryLockStore() as store:
        opentelemetry.observe(store, tracer_provider=recorded.provider, ids=ids)
        with store.lock("+49 170 1", message_id="wamid"):
            pass
    spans = [*recorded.named(WAIT), *recorded.named(HOLD)]
    assert len(spans) == 2
    for span in spans:
        assert ("+49 170 1" in str(span.attributes)) is ids
        assert ("wamid" in str(span.attributes)) is ids


def test_without_a_provider_nothing_happens() -> None:
    with InMemoryLockStore() as store, opentelemetry.observe(store), store.lock("anna"):
        pass


def test_what_is_kept_to_link_to_is_bounded(recorded: Recorded) -> None:
    spans = _Spans(recorded.provider.get_tracer("nowserving"), "bot", ids=False)
    for turn in range(3 * _RECENT):
        after = turn - 1 if turn else None
        event = TicketEvent(turn, "anna", turn, 0.0, held=0.1, outcome="done", after=after)
        spans.asked(event)
        spans.served(event)
        spans.left(event)
    assert len(spans._recent) + len(spans._older) <= 2 * _RECENT
    assert not spans._turns
    assert all(len(span.links) == 1 for span in recorded.named(HOLD)[1:])


def test_a_forked_child_ends_no_span_of_its_parent(
    recorded: Recorded, store: InMemoryLockStore
) -> None:
    with store.lock("anna"):
        child = os.fork()
        if child == 0:
            (audience,) = store._runtime.audience._members.values()
            os._exit(bool(getattr(audience, "_turns")))  # noqa: B009 - it is a private class's
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(recorded.named(HOLD)) == 1

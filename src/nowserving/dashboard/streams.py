"""Server-sent events: a stream for each browser, fed from what all of them share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from nowserving._host.waits import ends_within
from nowserving.dashboard.feed import Answer, Feed
from nowserving.dashboard.overview import Overview, watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from starlette.types import Receive, Scope, Send

    from nowserving.dashboard.source import Json, Source

MOST_STREAMS = 256
"""How many may look at once; browsers close theirs while their tab is hidden."""

_SIGN_OF_LIFE = 5.0  # seconds; a page that hears nothing for longer connects anew


class Streams:
    """What all browsers share.

    Args:
        source: The store.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._overview = Overview(source.survey)
        self._survey = Feed(_telling("survey", self._overview.read))
        self._lines: dict[str, Feed] = {}

    @property
    def full(self) -> bool:
        """Whether as many look as may."""
        return self._survey.followers >= MOST_STREAMS

    @contextlib.contextmanager
    def _line(self, conversation_id: str, bell: asyncio.Event) -> Iterator[Feed]:
        feed = self._lines.get(conversation_id)
        if feed is None:
            read = watching(self._source.of(conversation_id).look, conversation_id)
            feed = self._lines[conversation_id] = Feed(_telling("line", read))
        try:
            with feed.follow(bell):
                yield feed
        finally:
            if not feed.followers:
                del self._lines[conversation_id]

    async def events(self, hello: Json, conversation_id: str | None) -> AsyncGenerator[bytes, None]:
        """Yield what a browser is told, for as long as it listens.

        Args:
            hello: What it is told first.
            conversation_id: The conversation that it looks at closely, None for none.
        """
        yield _event("hello", {**hello, "recent": self._overview.recent})
        bell = asyncio.Event()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._survey.follow(bell))
            feeds = [self._survey]
            if conversation_id is not None:
                feeds.append(stack.enter_context(self._line(conversation_id, bell)))
            told = dict.fromkeys(feeds, 0)
            while True:
                if not await ends_within(bell.wait(), _SIGN_OF_LIFE):
                    yield b":\n\n"
                bell.clear()
                for feed in feeds:
                    newest = feed.newest
                    if newest is not None and newest.version > told[feed]:
                        told[feed] = newest.version
                        yield newest.value


def _telling(name: str, read: Callable[[], Awaitable[Json]]) -> Callable[[], Awaitable[Answer]]:
    async def tell() -> Answer:
        began = time.monotonic()
        said = await read()
        # One that fails is asked again soon: it has not worked, or not for us.
        took = 0.0 if said["trouble"] else time.monotonic() - began
        return Answer(_event(name, said), took)

    return tell


def _event(name: str, data: Json) -> bytes:
    # ASCII: also half of a surrogate pair arrives as it is.
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode("ascii")


class EventStream:
    """An ASGI answer that ends, at once, when the browser has gone.

    Args:
        events: What is sent.
    """

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until nobody listens."""
        del scope
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            ended = await asyncio.gather(sending, gone, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, OSError):
                raise error
        with contextlib.suppress(OSError):  # it is the server that ends, not the browser
            await send({"type": "http.response.body"})

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), _UNBUFFERED]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with contextlib.aclosing(self._events) as events:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})


_UNBUFFERED = (b"x-accel-buffering", b"no")
"""Has an nginx in between pass each event on at once."""


async def _until_gone(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()

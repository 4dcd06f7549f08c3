"""What the test bot consists of beside its rules: a slow answer, and a channel with a stopwatch.

Loaded by real Rasa servers (``rasa run``): Rasa finds the classes by their paths in
``credentials.yml`` and ``endpoints.yml``. Every message takes the time that its metadata asks for,
inside the lock, without using the processor: a call to some other service. The stopwatch writes a
line when a message asks for its lock, when the work under the lock begins, and when it has ended
with the tracker saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rasa.core.agent import Agent
from rasa.core.channels.rest import RestInput
from rasa.core.lock_store import LockStore
from rasa.core.nlg import NaturalLanguageGenerator
from rasa.core.processor import MessageProcessor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rasa.core.channels.channel import UserMessage
    from rasa.shared.core.trackers import DialogueStateTracker

_STOPWATCH = os.open(os.environ["STOPWATCH_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(what: str, message: UserMessage) -> None:
    noted = {
        "what": what,
        "conversation": message.sender_id,
        "message": message.metadata["message"],
        "at": time.monotonic(),  # one clock for all processes of a machine
        "server": os.getpid(),
    }
    os.write(_STOPWATCH, json.dumps(noted).encode() + b"\n")  # one write, so lines stay whole


def _put_stopwatch_into(
    kind: type[Agent | MessageProcessor], before: str, after: str | None = None
) -> None:
    handle_message = kind.handle_message

    async def timed(self: object, message: UserMessage) -> object:
        _note(before, message)
        answer = await handle_message(self, message)
        if after is not None:
            _note(after, message)
        return answer

    kind.handle_message = timed


# The agent takes the lock first thing and has the processor handle the message under it.
_put_stopwatch_into(Agent, "asked")
_put_stopwatch_into(MessageProcessor, "began", "ended")


class RestChannel(RestInput):
    """Rasa's REST channel; only that loading it starts the stopwatch."""


class SlowAnswers(NaturalLanguageGenerator):
    """Takes as many seconds for an answer as the message says."""

    def __init__(self, endpoint_config: object, domain: object) -> None:
        """Be made as Rasa makes it."""

    async def generate(
        self,
        utter_action: str,  # noqa: ARG002 - Rasa's signature
        tracker: DialogueStateTracker,
        output_channel: str,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Answer which message this was."""
        metadata = tracker.latest_message.metadata
        await asyncio.sleep(metadata["seconds"])
        return {"text": str(metadata["message"])}


class OneProcess(LockStore):
    """What could not be better in a single process: an ``asyncio.Lock`` a conversation, FIFO."""

    def __init__(self, endpoint_config: object) -> None:  # noqa: ARG002 - Rasa's signature
        """Be made as Rasa makes it."""
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def lock(
        self,
        conversation_id: str,
        *_args: object,
        **_kwargs: object,
    ) -> AsyncIterator[None]:
        """Hold the conversation's lock."""
        async with self._locks[conversation_id]:
            yield

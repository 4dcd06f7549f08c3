"""A chat back end with FastAPI: a new message interrupts the answer to the one before it.

    pip install 'nowserving[redis]' fastapi uvicorn
    redis-server &
    uvicorn --app-dir examples fastapi_app:app --workers 2

Then ask twice, the second time while the first answer is still on its way:

    curl -N localhost:8000/conversations/anna/messages -d '{"text": "Tell me a story"}' \
        -H 'Content-Type: application/json'

Environment: REDIS_URL (redis://localhost:6379/1), STREAM_SECONDS (20).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from redis.asyncio import Redis

from nowserving import LockError, LockInterrupted, LockStore, LockSuperseded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/1")
STREAM_SECONDS = float(os.environ.get("STREAM_SECONDS", "20"))
WORDS = 100
LIFETIME = 10.0
"""Seconds after which the next message is served when a worker dies; answers may take longer."""

REMEMBER = """
-- KEYS[1] the history, KEYS[2] the highest fencing token seen; ARGV[1] a token, ARGV[2] an entry
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or 0) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return redis.call('RPUSH', KEYS[1], ARGV[2])
"""
"""Write to a conversation, unless a later turn has begun: our lock was lost unnoticed."""


Said = dict[str, Any]


class Message(BaseModel):
    """What a user sends."""

    text: str


class Chat:
    """Answers messages, one at a time per conversation.

    Args:
        store: Whose turn it is.
        redis: Where the conversations are kept.
    """

    def __init__(self, store: LockStore, redis: Redis) -> None:
        self._store = store
        self._redis = redis

    async def reply(self, conversation_id: str, text: str, out: asyncio.Queue[Said | None]) -> None:
        """Answer a message, piece by piece, for as long as it is the newest one."""
        try:
            async with self._store.lock(
                conversation_id, LIFETIME, auto_renew=True, when_busy="interrupt"
            ) as lock:
                token = lock.fencing_token
                await self._remember(conversation_id, token, {"user": text})
                async for word in language_model(text):
                    await self._remember(conversation_id, token, {"bot": word, "to": text})
                    await out.put({"word": word, "worker": os.getpid()})
            await out.put({"end": "done"})
        except LockInterrupted:
            await out.put({"end": "interrupted"})  # by a newer message, while it was answered
        except LockSuperseded:
            await out.put({"end": "superseded"})  # by a newer message, while it waited
        except LockError as error:
            await out.put({"end": "failed", "why": str(error)})
        finally:
            out.put_nowait(None)

    async def _remember(self, conversation_id: str, token: int, entry: Said) -> None:
        keys = f"history:{{{conversation_id}}}", f"token:{{{conversation_id}}}"
        if not await self._redis.eval(REMEMBER, 2, *keys, token, json.dumps(entry)):
            raise LockError(f"another turn of {conversation_id!r} has begun")


async def language_model(text: str) -> AsyncIterator[str]:
    """Stand in for a language model that takes its time."""
    for number in range(WORDS):
        await asyncio.sleep(STREAM_SECONDS / WORDS)
        yield f"{text.split(maxsplit=1)[0]}-{number}"


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Give each worker process its store, and running answers two seconds when it ends."""
    store = LockStore.create(REDIS_URL)
    async with Redis.from_url(REDIS_URL) as redis:
        app.state.chat = Chat(store, redis)
        try:
            yield
        finally:
            await store.aclose(drain=2.0)


app = FastAPI(lifespan=lifespan)


@app.post("/conversations/{conversation_id}/messages")
async def answer(conversation_id: str, message: Message) -> StreamingResponse:
    """Answer a message with a stream of JSON lines; the last one says how it ended."""
    out: asyncio.Queue[Said | None] = asyncio.Queue()
    # The lock is held by a task of its own, not by the generator that feeds the response: a
    # generator is left standing when the client goes, and an interruption would hit whoever
    # happens to iterate over it.
    reply = asyncio.create_task(app.state.chat.reply(conversation_id, message.text, out))

    async def lines() -> AsyncIterator[str]:
        try:
            while (said := await out.get()) is not None:
                yield json.dumps(said) + "\n"
        finally:
            reply.cancel()  # the client has gone, or all is said

    return StreamingResponse(lines(), media_type="application/x-ndjson")

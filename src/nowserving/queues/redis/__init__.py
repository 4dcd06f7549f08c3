"""The Redis store: one hash a conversation, Lua verbs, one inbox an event loop."""

from nowserving.queues.redis.queue import RedisQueue

__all__ = ["RedisQueue"]

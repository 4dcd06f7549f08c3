"""The Redis store: one hash a conversation, Lua verbs, one inbox a session."""

from nowserving.queues.redis.queue import RedisQueue

__all__ = ["RedisQueue"]

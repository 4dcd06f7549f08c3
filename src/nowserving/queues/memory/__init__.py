"""The in-memory store: a record a conversation, one mutex, bells instead of polling."""

from nowserving.queues.memory.queue import MemoryQueue

__all__ = ["MemoryQueue"]

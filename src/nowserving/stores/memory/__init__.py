"""The in-memory store: a record a conversation, one mutex, bells instead of polling."""

from nowserving.stores.memory.queue import MemoryQueue

__all__ = ["MemoryQueue"]

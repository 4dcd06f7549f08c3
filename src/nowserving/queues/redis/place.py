"""A ticket in Redis as its owner holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowserving.place import Place

if TYPE_CHECKING:
    from nowserving.queues.redis.call import Call


class RedisPlace(Place):
    """A place that remembers its take, so that a leave knows whether anything was ever sent.

    Attributes:
        take: The take, once it is made.
        overdue: A push that it is served is still to come: it waits.
    """

    # Class attributes until they say something: most turns never wait.
    take: Call | None = None
    overdue = False

"""A server that may evict keys may evict locks: said once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("nowserving.queues.redis.memory")

QUESTION: tuple[Any, ...] = ("INFO", "memory")
"""Asks for the policy. ``CONFIG GET`` would too, but is allowed more rarely."""


def judge(where: str, answer: asyncio.Future[Any]) -> None:
    """Warn when this server drops keys once its memory is full.

    Args:
        where: Its address.
        answer: The answer to ``QUESTION``. An error (the ACL may deny it) is no answer.
    """
    if answer.cancelled() or answer.exception() is not None:
        return
    lines = (line.partition(":") for line in str(answer.result()).splitlines())
    info = {name: value for name, _, value in lines}
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", "0") != "0" and policy != "noeviction":
        logger.warning(
            "Redis at %s drops keys when its memory is full (maxmemory-policy %s), locks that are "
            "held among them. Set it to noeviction, or give the locks a Redis of their own.",
            where,
            policy,
        )

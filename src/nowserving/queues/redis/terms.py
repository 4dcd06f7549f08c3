"""What all sessions of a queue agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.queues.redis.replicas import Replicas
    from nowserving.queues.redis.script import Script


class Terms(NamedTuple):
    """How calls travel.

    Attributes:
        script: The verbs.
        header: Returns what every script call begins with (``dispatch.lua``).
        timeout: Seconds within which every call is answered or fails.
        replicas: Whom to wait for after a take; None for nobody.
    """

    script: Script
    header: Callable[[], tuple[Any, ...]]
    timeout: float
    replicas: Replicas | None = None

"""What all sessions of a queue agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nowserving.stores.redis.script import load_survey_script

if TYPE_CHECKING:
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.header import Header
    from nowserving.stores.redis.replicas import Replicas
    from nowserving.stores.redis.script import Script


class CallSettings(NamedTuple):
    """How calls travel.

    Attributes:
        script: The verbs.
        header: What every script call begins with.
        timeout: Seconds within which every call is answered or fails.
        replicas: Whom to wait for after a take; None for nobody.
    """

    script: Script
    header: Header
    timeout: float
    replicas: Replicas | None = None

    def for_surveys(self) -> CallSettings:
        """Return the same for a session that only looks over records."""
        return self._replace(script=load_survey_script(), replicas=None)

    def words(self, group: list[Call], *, load: bool) -> tuple[Any, ...]:
        """Return the command that has a group of verbs carried out.

        Args:
            group: The calls.
            load: Whether to send the script itself, since Redis does not know it.
        """
        if load:
            parts: list[Any] = ["EVAL", self.script.source, len(group)]
        else:
            parts = ["EVALSHA", self.script.sha, len(group)]
        parts.extend([call.key for call in group])
        parts.extend(self.header.words())
        for call in group:
            parts.append(call.args[0])
            parts.append(len(call.args) - 1)
            parts.extend(call.args[1:])
        parts.append(group[0].batch)
        return tuple(parts)

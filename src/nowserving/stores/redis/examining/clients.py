"""How many more may connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowserving.protocol.examination import Finding
    from nowserving.stores.redis.examining.place import Told

_NEARLY_ALL = 0.9


def examine(told: Told) -> list[Finding]:
    """Return what is found of connected clients; nothing where the server does not say."""
    most, connected = told.number("maxclients"), told.number("connected_clients")
    if not most:
        return []
    found = f"{connected} of {most} connected"
    figures = {"connected": connected, "most": most}
    meaning = "An event loop of a process has four connections to each primary."
    if connected <= _NEARLY_ALL * most:
        return [told.finding("clients", "fine", found, meaning, figures=figures)]
    return [
        told.finding(
            "clients",
            "warning",
            found,
            meaning + " Whoever comes when there are too many gets StoreUnavailable.",
            "Raise maxclients (and the limit of open files), or see who connects so often: "
            "CLIENT LIST.",
            figures,
        )
    ]

"""The SQL, read from its files once."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

_FILES = ("lines", "tickets", "messages", "processes", "events")
_NAMED = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)([^;]+;)", re.MULTILINE)


def read(name: str) -> str:
    """Return what stands in a file of the package's ``sql`` folder."""
    return (resources.files(__package__) / "sql" / f"{name}.sql").read_text("utf-8")


@lru_cache(maxsize=1)
def load_statements() -> dict[str, str]:
    """Return every statement by the name that its header gives it."""
    return {name: statement for file in _FILES for name, _, statement in _NAMED.findall(read(file))}

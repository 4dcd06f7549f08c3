"""Where the lines of a process test are: a Redis of its own, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Place(Protocol):
    """Lines that processes share."""

    def url(self, **params: Any) -> str:
        """Return the URL of a lock store over them."""
        ...


class SQLiteFile:
    """A file.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def url(self, **params: object) -> str:
        """Return the URL of a lock store over it; ``socket_timeout`` has another name here."""
        named = {"socket_timeout": "busy_timeout"}
        query = urlencode({named.get(name, name): value for name, value in params.items()})
        return f"sqlite:///{self.path}?{query}" if query else f"sqlite:///{self.path}"


EVERYWHERE = pytest.mark.parametrize("server", ["redis", "sqlite"], indirect=True)
"""For a test that holds of all of them."""

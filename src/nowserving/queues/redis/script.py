"""The Lua script: one dispatcher over the verbs, put together from their files."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

_ORDER = (
    "prelude",
    "admission",
    "take",
    "redeem",
    "stand",
    "look",
    "leave",
    "line",
    "save",
    "delete",
    "finish",
    "dispatch",
)


class Script(NamedTuple):
    """A script and the name under which Redis knows it.

    Attributes:
        source: The whole Lua text.
        sha: Its SHA-1 in hexadecimal, for ``EVALSHA``.
    """

    source: str
    sha: str


@lru_cache(maxsize=1)
def load_script() -> Script:
    """Return the script, read from the package's ``lua`` folder once."""
    folder = resources.files(__package__) / "lua"
    source = "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in _ORDER)
    digest = hashlib.sha1(source.encode(), usedforsecurity=False)
    return Script(source, digest.hexdigest())

"""The Lua script: one dispatcher over the verbs, put together from their files."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

PROTOCOL = 2
"""What records and pushes mean. It grows with every change that an older process would misread
(docs/upgrading.md)."""

_EACH_TIME = ("prelude", "quick")
_WHEN_NEEDED = (
    "record",
    "tickets",
    "tombstones",
    "messages",
    "answers",
    "serving",
    "sweeping",
    "absorbing",
    "admission",
    "take",
    "redeem",
    "park",
    "renew",
    "poll",
    "leave",
    "superseded",
    "absorb",
    "line",
    "save",
    "delete",
    "finish",
    "release",
    "process",
    "history",
    "sweep",
)
"""Inside a function: Lua would make dozens of closures in each call that a quick step answers."""


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

    def read(*names: str) -> str:
        return "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)

    verbs = (
        f"local function all_verbs()\nlocal verbs = {{}}\n{read(*_WHEN_NEEDED)}\nreturn verbs\nend"
    )
    number = f"local PROTOCOL, NEXT_PROTOCOL = {PROTOCOL}, '{PROTOCOL + 1}'"
    source = "\n".join((number, read(*_EACH_TIME), verbs, read("dispatch")))
    digest = hashlib.sha1(source.encode(), usedforsecurity=False)
    return Script(source, digest.hexdigest())

"""The Lua scripts: one dispatcher over the verbs, put together from their files."""

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
    verbs = (
        f"local function all_verbs()\nlocal verbs = {{}}\n{_read(*_WHEN_NEEDED)}\nreturn verbs\nend"
    )
    return _script(_read(*_EACH_TIME), verbs)


@lru_cache(maxsize=1)
def load_survey_script() -> Script:
    """Return the script that only reads: the one verb ``survey``."""
    return _script(_read("prelude", "survey"))


def _read(*names: str) -> str:
    folder = resources.files(__package__) / "lua"
    return "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)


def _script(*parts: str) -> Script:
    number = f"local PROTOCOL, NEXT_PROTOCOL = {PROTOCOL}, '{PROTOCOL + 1}'"
    source = "\n".join((number, *parts, _read("dispatch")))
    digest = hashlib.sha1(source.encode(), usedforsecurity=False)
    return Script(source, digest.hexdigest())

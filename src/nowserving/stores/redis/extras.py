"""Texts of callers as words in the script: labels, message ids, and the reason of a release.

A ticket's field ``e:<number>`` is its label, and the message as its sender calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from nowserving.protocol import names
from nowserving.protocol.status import release_reason, released_for

if TYPE_CHECKING:
    from collections.abc import Collection

NONE = "-"
"""Where there is nothing to be said."""


def encode_extras(label: str | None, message_id: str | None) -> str:
    """Return both as one argument of a verb, ``NONE`` if there is neither."""
    if label is None and message_id is None:
        return NONE
    return f"{_word(label)} {_word(message_id)}"


def decode_extras(text: str) -> tuple[str | None, str | None]:
    """Return label and message id from what :func:`encode_extras` returned for them."""
    label, _, message_id = text.partition(" ")
    return decode_word(label), decode_word(message_id)


def known_text(numbers: Collection[int]) -> str:
    """Return numbers of tickets as the script looks them up: each between commas."""
    return f",{','.join(map(str, numbers))},"


def encode_why(reason: str) -> str:
    """Return why a ticket is gone that is released for this reason, as its tombstone says it."""
    return "G " + released_for(quote(names.encode(reason), safe=""))


def decode_why(text: str) -> str:
    """Return the ``detail`` of a ticket that is gone from what its tombstone says behind the G."""
    reason = release_reason(text)
    if reason is None:
        return text
    return released_for(names.decode(unquote_to_bytes(reason)))


def _word(text: str | None) -> str:
    if text is None:
        return NONE
    return quote(names.encode(text), safe="").replace("-", "%2D")  # no text is taken for NONE


def decode_word(word: str) -> str | None:
    """Return a text from its word, None where there was nothing to be said."""
    if "%" not in word:
        return None if word == NONE else word
    return names.decode(unquote_to_bytes(word))

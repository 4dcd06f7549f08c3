"""What a ticket's field ``e:<number>`` says: its label, and the message as its sender calls it."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from nowserving.protocol import names

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
    return _text(label), _text(message_id)


def _word(text: str | None) -> str:
    if text is None:
        return NONE
    return quote(names.encode(text), safe="").replace("-", "%2D")  # no text is taken for NONE


def _text(word: str) -> str | None:
    return None if word == NONE else names.decode(unquote_to_bytes(word))

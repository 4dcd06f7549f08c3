"""Whether a reply can be the one that is due: replies have no address, only an order.

Something between us and Redis (a proxy that mixes connections up, a frame too many) can shift that
order by one, and from then on everybody would get somebody else's answer. So each script call has a
number, which comes back behind its replies. What has another one, or is of no kind that the verb
answers, was meant for nobody here: the connection is given up, and all that is out is sent again
in its form for repetition.

An error has no number, since no script ran. If it was meant for somebody else, the reply that was
due comes next, and has a number that is not expected any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores._remote.call import Call


def _is_text(reply: Any) -> bool:  # noqa: ANN401
    return type(reply) is str and reply != ""


def _are_texts(reply: Any) -> bool:  # noqa: ANN401
    return type(reply) is list and bool(reply) and all(map(_is_text, reply))


def _is_line(reply: Any) -> bool:  # noqa: ANN401
    return reply is None or _is_text(reply) or _are_texts(reply)


def _is_page_of_keys(reply: Any) -> bool:  # noqa: ANN401
    if type(reply) is not list or len(reply) != len(("cursor", "keys")):
        return False
    cursor, keys = reply
    return _is_text(cursor) and (keys == [] or _are_texts(keys))


def _is_anything(_: object) -> bool:
    return True


_OF_VERBS: dict[str, Callable[[Any], bool]] = {
    "line": _is_line,
    "absorb": lambda reply: _is_text(reply) or _are_texts(reply),
    "events": lambda reply: _is_text(reply) or _are_texts(reply),
    "kept": lambda reply: _is_text(reply) or _are_texts(reply),
    "poll": lambda reply: _is_text(reply) or _are_texts(reply),
}
"""The verbs that do not always answer with a text."""

_OF_COMMANDS: dict[str, Callable[[Any], bool]] = {"INFO": _is_text, "SCAN": _is_page_of_keys}


def answers(group: list[Call], reply: Any) -> bool:  # noqa: ANN401
    """Return whether a reply that is no error can be the one to a group of calls.

    Args:
        group: The calls of one script call, or one plain command; empty for ``ASKING``.
        reply: The reply.
    """
    if not group:
        return bool(reply == "OK")
    first = group[0]
    if not first.key:
        return _OF_COMMANDS.get(first.args[0], _is_anything)(reply)
    if type(reply) is not list or len(reply) != len(group) + 1 or reply[-1] != first.batch:
        return False
    for call, each in zip(group, reply, strict=False):
        if (type(each) is not str or not each) and not _is_kind(call, each):
            return False
    return True


def is_pushed(frame: Any, channel: str) -> bool:  # noqa: ANN401
    """Return whether something that is no error can come over the subscription to a channel."""
    if type(frame) is not list or not frame:
        return False
    kind, *rest = frame
    if kind == "message":
        return len(rest) == len(("channel", "text")) and rest[0] == channel and _is_text(rest[1])
    return frame == ["pong", ""] or (kind == "subscribe" and rest[:1] == [channel])


def _is_kind(call: Call, reply: Any) -> bool:  # noqa: ANN401
    of_verb = _OF_VERBS.get(call.args[0])
    return of_verb is not None and of_verb(reply)

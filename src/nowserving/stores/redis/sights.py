"""What ``survey.lua`` says of a line, read."""

from __future__ import annotations

from nowserving.protocol.status import PicturedTicket
from nowserving.protocol.survey import NOBODY, LineSight
from nowserving.stores.redis.extras import decode_word
from nowserving.stores.redis.replies import MICROSECONDS, NOTHING_MORE, _making_sense

_NOTHING = "-"


@_making_sense
def parse_sight(said: tuple[str, str]) -> tuple[int, LineSight | None]:
    """Read what is said of one line.

    Args:
        said: What ``survey.lua`` says, and of which conversation.

    Returns:
        The number from which to go on, ``NOTHING_MORE`` when that was all; and what was seen, None
        if nobody is there.
    """
    text, name = said
    if text == _NOTHING:
        return NOTHING_MORE, None
    on, waiting, waited, number, left, served_for, flags, owner, label, message, *rest = text.split(
        " "
    )
    holder: PicturedTicket | None = None
    if number != _NOTHING:
        holder = PicturedTicket(
            int(number),
            int(left) / MICROSECONDS,
            "" if owner == _NOTHING else owner,
            int(served_for) / MICROSECONDS,
            None,
            decode_word(label),
            decode_word(message),
            claimed="c" in flags,
        )
    waiters = NOBODY
    if rest:
        each = iter(rest)
        waiters = {
            "" if who == "-" else who: int(count) for who, count in zip(each, each, strict=True)
        }
    longest = None if waited == "-1" else int(waited) / MICROSECONDS
    return int(on), LineSight(name, holder, int(waiting), longest, waiters)

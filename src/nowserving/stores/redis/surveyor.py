"""All lines of a Redis from afar: the keys by ``SCAN``, and a small read of each record.

Nobody is held up. Redis does nothing else while it carries out a command, so each of ours is short:
a page of keys, or the reads of some hundred records (``survey.lua``), and others go between. All of
it goes over connections of its own, so no turn of this process travels behind it. Nothing is
written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from nowserving.errors import CorruptLock, IncompatibleRecord
from nowserving.protocol.survey import together
from nowserving.stores.redis.replies import NOTHING_MORE, parse_key
from nowserving.stores.redis.sights import parse_sight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nowserving.protocol.survey import LineSight
    from nowserving.stores._remote.call import Call
    from nowserving.stores.redis.session import ServerSession
    from nowserving.stores.redis.topologies.topology import Session

_PAGE = 250
"""Keys that Redis looks at in one ``SCAN``. What it finds is read at once, in one or two
milliseconds. With smaller pages a busy machine has to change between our process and Redis's more
often, and a survey takes longer."""

_SLICE = 50
"""Answers that are read before others go on this loop."""


class _Question(NamedTuple):
    """A record that is being read.

    Attributes:
        name: Its conversation.
        call: The call.
        before: What is known of its line by an earlier call.
    """

    name: str
    call: Call
    before: LineSight | None


class Surveyor:
    """Looks over all records once.

    Args:
        session: The connections, which are used for nothing else.
        prefix: What keys begin with.
        see: Called with each line in use.

    Attributes:
        unreadable: How many records could not be read.
    """

    def __init__(self, session: Session, prefix: bytes, see: Callable[[LineSight], None]) -> None:
        self.unreadable = 0
        self._session = session
        self._prefix = prefix
        self._see = see
        self._known: set[bytes] = set()

    async def look(self) -> None:
        """Look at every record that is there from the beginning to the end."""
        for shard in await self._session.shards():
            await self._look_at(shard)

    async def _look_at(self, shard: ServerSession) -> None:
        """Look at those of one server, which works on the next ones while answers are read."""
        page: Call | None = self._page(shard, "0")
        questions: list[_Question] = []
        try:
            while page is not None:
                cursor, keys = await page.future
                page = None if cursor == "0" else self._page(shard, cursor)
                before, questions = questions, self._ask(keys)
                await self._take(before)
            await self._take(questions)
        finally:
            _let_go([question.call for question in questions] + ([] if page is None else [page]))

    def _page(self, shard: ServerSession, cursor: str) -> Call:
        args = ("SCAN", cursor, "MATCH", self._prefix + b"{*}", "COUNT", _PAGE)
        return shard.call(b"", args)

    def _ask(self, keys: Iterable[str]) -> list[_Question]:
        questions = []
        for text in keys:
            key = text.encode("utf-8", "surrogateescape")
            if key in self._known:  # SCAN may say one twice, and two nodes the same
                continue
            self._known.add(key)
            name = parse_key(text, self._prefix)
            if name:
                questions.append(self._question(key, name, NOTHING_MORE, None))
            else:
                self.unreadable += 1
        return questions

    def _question(self, key: bytes, name: str, on: int, before: LineSight | None) -> _Question:
        return _Question(name, self._session.call(key, ("survey", on)), before)

    async def _take(self, questions: list[_Question]) -> None:
        """Take the answers, and ask again where a line is too long for one of them."""
        while questions:
            more: list[_Question] = []
            try:
                for place, question in enumerate(questions):
                    future = question.call.future
                    if not future.done():
                        await asyncio.wait({future})
                    line = self._line_of(question, more)
                    if line is not None and (line.holder is not None or line.waiting):
                        self._see(line)
                    if place % _SLICE == _SLICE - 1:
                        await asyncio.sleep(0)  # others go, and what was asked for goes out
            except BaseException:
                _let_go(question.call for question in (*questions, *more))
                raise
            questions = more

    def _line_of(self, question: _Question, more: list[_Question]) -> LineSight | None:
        """Return what an answer tells of a line; None if that is nothing, or not all yet."""
        try:
            reply = question.call.future.result()
        except (CorruptLock, IncompatibleRecord):
            self.unreadable += 1
            return None
        on, line = parse_sight((reply, question.name))
        if question.before is not None:
            line = together(question.before, line)
        if on == NOTHING_MORE:
            return line
        more.append(self._question(question.call.key, question.name, on, line))
        return None


def _let_go(calls: Iterable[Call]) -> None:
    """Nobody waits for these any more, nor for the errors of those that have failed."""
    for call in calls:
        if not call.future.done():
            call.future.cancel()
        elif not call.future.cancelled():
            call.future.exception()

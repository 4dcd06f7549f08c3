"""A session with one node of a cluster: a group of calls a conversation, redirects handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nowserving.stores._remote.call import Call
from nowserving.stores._remote.reconnecting import FIRST_DELAY
from nowserving.stores._remote.session import MAX_BATCH
from nowserving.stores.redis.session import ServerSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.stores._remote.unreachable import Unreachable
    from nowserving.stores.redis.call_settings import CallSettings
    from nowserving.stores.redis.connection.dial import Node, RedisServer


class Lane:
    """Where the unanswered calls of one record are: all at one node, so that none overtakes.

    Attributes:
        session: The session with that node.
        asking: Whether that node is about to take the slot over, and wants to be told so.
        size: How many calls.
        hops: Redirects since the lane was empty.
    """

    __slots__ = ("asking", "hops", "session", "size")

    def __init__(self, session: NodeSession) -> None:
        self.session = session
        self.asking = False
        self.size = 0
        self.hops = 0


class LaneCall(Call):
    """A call that keeps its lane while it is under way, whether or not its caller still waits.

    Attributes:
        lane: Its lane.
        leave: Called when the call has ended.
    """

    __slots__ = ("lane", "leave")

    lane: Lane
    leave: Callable[[LaneCall], None]

    def answer(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        """End with a reply."""
        self.leave(self)
        super().answer(reply)

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self.leave(self)
        super().fail(error)

    def drop(self) -> None:
        """End without having been sent."""
        self.leave(self)


class Whole(Protocol):
    """What a node's session tells its cluster (``cluster.py``)."""

    def refresh_map(self) -> None:
        """There was trouble: read the map again."""
        ...

    def redirect(self, asked: NodeSession, redirected: list[tuple[list[Call], str]]) -> None:
        """Send groups of calls to where the node says they belong."""
        ...


class NodeSession(ServerSession):
    """The command connection of one event loop to one node.

    Args:
        node: The node.
        server: How to reach it.
        settings: How calls travel.
        cluster: Whom to tell of redirects and trouble.
    """

    def __init__(
        self, node: Node, server: RedisServer, settings: CallSettings, cluster: Whole
    ) -> None:
        super().__init__(server, settings)
        self.node = node
        self._cluster = cluster
        self._redirected: list[tuple[list[Call], str]] = []

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way()

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection.current is not None

    def _may_follow(self, call: Call, now: float) -> bool:
        return call.key not in self._busy() and super()._may_follow(call, now)

    def _next_batch(self, *, lazy: bool = True) -> list[Call]:
        lazy = lazy and self._lazy_in_flight is None
        return self._backlog.next_batch(MAX_BATCH, lazy=lazy, busy=self._busy())

    def _busy(self) -> set[bytes]:
        # Of one record only one group is in flight: a redirect moves all its calls at once.
        return {group[0].key for group in self._in_flight if group and group[0].key}

    def withdraw(self, keys: set[bytes] | None = None) -> list[Call]:
        """Take calls that were not sent yet out again.

        Args:
            keys: Of which records; None for all.
        """
        return self._backlog.take_out(
            lambda call: bool(call.key) and (keys is None or call.key in keys)
        )

    def push_after_a_pause(self, calls: list[Call]) -> None:
        """Send calls over a new connection, a moment from now."""
        # After what is in flight, if there is anything.
        self._trouble.pause, self._proven = FIRST_DELAY, False
        self._collecting = True
        for call in calls:
            self.push(call)
        if not self._in_flight:
            self._all_answered()

    def _pack(self, batch: list[Call]) -> list[tuple[Any, ...]]:
        # One command a record: in a cluster the keys of a script must share a slot, and while a
        # slot is being moved they must be one key.
        if not batch[0].key:
            return super()._pack(batch)
        groups: dict[bytes, list[Call]] = {}
        for call in batch:
            groups.setdefault(call.key, []).append(call)
        commands: list[tuple[Any, ...]] = []
        for group in groups.values():
            if isinstance(group[0], LaneCall) and group[0].lane.asking:
                commands.append(("ASKING",))
                self._in_flight.append([])  # its reply is nobody's
            commands.append(self._words(group))
            self._in_flight.append(group)
        return commands

    def _refuse(self, group: list[Call], text: str) -> None:
        if group and text.startswith(("MOVED ", "ASK ")):
            self._proven = False
            self._redirected.append((group, text))
        else:
            super()._refuse(group, text)
            if text.startswith(("CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY")):
                self._cluster.refresh_map()

    def _take_out(self, wanted: Callable[[Call], bool]) -> list[Call]:
        found = [call for group, _ in self._redirected for call in group if wanted(call)]
        if found:
            for group, _ in self._redirected:
                group[:] = [call for call in group if not wanted(call)]
            self._redirected = [(group, text) for group, text in self._redirected if group]
        return found + super()._take_out(wanted)

    def _under_way(self) -> list[Call]:
        return [*(call for group, _ in self._redirected for call in group), *super()._under_way()]

    def _all_answered(self) -> None:
        redirected, self._redirected = self._redirected, []
        if redirected:
            self._cluster.redirect(self, redirected)
        super()._all_answered()

    def _lost(self, error: BaseException) -> None:
        redirected, self._redirected = self._redirected, []
        super()._lost(error)
        if redirected:
            self._cluster.redirect(self, redirected)
        self._cluster.refresh_map()

    def _not_connected(self, failure: Unreachable) -> None:
        super()._not_connected(failure)
        self._cluster.refresh_map()

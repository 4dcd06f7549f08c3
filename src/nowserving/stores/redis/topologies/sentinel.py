"""Asking the sentinels who the primary is, at each connection.

Connections to them are made for one question and dropped after it: it is asked rarely, and nothing
of them can be stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nowserving.stores._remote.patience import patiently
from nowserving.stores._remote.unreachable import Unreachable
from nowserving.stores.redis.connection.diagnosis import NOT_REDIS, diagnose, told
from nowserving.stores.redis.connection.dial import Dialler
from nowserving.stores.redis.connection.handshake import ask_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowserving.stores.redis.connection.credentials import Login
    from nowserving.stores.redis.connection.dial import Node
    from nowserving.stores.redis.connection.tls import Tls

_LONGEST = 1.0
"""Seconds for one sentinel's answer; the others are asked after that."""


class Sentinels:
    """The sentinels of one service.

    Args:
        addresses: Where they are.
        service: The name under which they know the primary.
        login: How to introduce ourselves to *them*.
        tls: The TLS that they speak; None for none.
        timeout: The seconds for a connection to the primary, the question included.

    Attributes:
        addresses: The same addresses.
        service: The same name.
        where: Service and sentinels, for messages.
    """

    def __init__(
        self,
        addresses: Sequence[Node],
        service: str,
        login: Login,
        tls: Tls | None,
        timeout: float,
    ) -> None:
        self.addresses = tuple(addresses)
        self.service = service
        self._limit = min(_LONGEST, timeout / (len(self.addresses) + 1))
        self._dialler = Dialler(login, tls, 2 * self._limit)  # it takes half for a connection
        listed = ", ".join(f"{host}:{port}" for host, port in addresses)
        self.where = f"service {service!r} of the sentinels {listed}"

    async def primary(self) -> Node:
        """Return the primary that the first sentinel with an answer names.

        Raises:
            Unreachable: If none of them names one; it says why, of each of them.
        """
        failures: list[Unreachable] = []
        reasons: list[str] = []
        for host, port in self.addresses:
            answer = await self._ask(host, port)
            if not isinstance(answer, Unreachable):
                return answer
            failures.append(answer)
            reasons.append(f"{host}:{port}: {told(answer)}")
        raise Unreachable(
            f"no sentinel names the primary of {self.service!r} ({'; '.join(reasons)})",
            # Another attempt is as hopeless as with the least hopeless of them.
            hopeless=all(failure.hopeless for failure in failures),
            absent=all(failure.absent for failure in failures),
        )

    async def _ask(self, host: str, port: int) -> Node | Unreachable:
        try:
            masters = await self.question((host, port), "SENTINEL", "MASTERS")
        except Unreachable as failure:
            return failure
        try:
            return self._primary_among(masters)
        except (AttributeError, KeyError, TypeError, ValueError):
            return Unreachable(NOT_REDIS, hopeless=True)

    def _primary_among(self, masters: Any) -> Node | Unreachable:  # noqa: ANN401
        state = self.state_among(masters)
        if state is None:
            return Unreachable("it knows no such service")
        flags = state["flags"].split(",")
        if "master" not in flags or {"s_down", "o_down"} & set(flags):
            return Unreachable("it takes the primary for down")
        return state["ip"], int(state["port"])

    def state_among(self, masters: Any) -> dict[str, str] | None:  # noqa: ANN401 - lists of texts
        """Return what a sentinel says of the service in its ``SENTINEL MASTERS``, if anything."""
        for each in masters:
            state = dict(zip(each[::2], each[1::2], strict=False))
            if state.get("name") == self.service:
                return state
        return None

    async def question(self, sentinel: Node, *command: str) -> Any:  # noqa: ANN401 - lists of texts
        """Ask one sentinel one question.

        Raises:
            Unreachable: If it does not answer, or refuses to.
        """
        try:
            return await patiently(self._question(sentinel, *command), self._limit, lambda _: None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one may answer
            failure = diagnose(error)
        raise failure

    async def _question(self, sentinel: Node, *command: str) -> Any:  # noqa: ANN401
        protocol = await self._dialler.connect(host=sentinel[0], port=sentinel[1])
        return await ask_once(protocol, *command)

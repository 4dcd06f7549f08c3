"""What the Redis under test says of itself."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

HOST = "127.0.0.1"


class Address(NamedTuple):
    """Where a lock keeps its state.

    Attributes:
        port: The server's port on this machine.
        db: The number of the database.
    """

    port: int
    db: int = 1

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"redis://{HOST}:{self.port}/{self.db}"


class Used(NamedTuple):
    """What the server has used since it started.

    Attributes:
        commands: Commands it ran, those inside scripts included.
        bytes_in: Bytes it received.
        bytes_out: Bytes it sent.
        cpu: Seconds of CPU, user's and system's.
    """

    commands: float
    bytes_in: float
    bytes_out: float
    cpu: float

    def since(self, before: Used) -> Used:
        """Return what was used in between."""
        return Used(*(now - then for now, then in zip(self, before, strict=True)))


class Sent(NamedTuple):
    """A command that the server received.

    Attributes:
        at: When, on its clock (Unix seconds).
        name: The command's name.
        by_script: Whether a script called it, not a client.
    """

    at: float
    name: str
    by_script: bool


class Probe:
    """A connection of its own that asks the server about the others.

    Args:
        port: The server's port.
    """

    def __init__(self, port: int) -> None:
        self._client = redis.Redis(host=HOST, port=port, db=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def flush(self, db: int) -> None:
        """Empty a database."""
        with contextlib.closing(self._client_of(db)) as client:
            client.flushdb()

    def version(self) -> str:
        """Return the server's version."""
        return str(self._info("server")["redis_version"])

    def memory(self) -> int:
        """Return the bytes it has allocated."""
        return int(self._info("memory")["used_memory"])

    def used(self) -> Used:
        """Return what it has used so far."""
        info = {**self._info("stats"), **self._info("cpu"), **self._info("commandstats")}
        calls = (
            value["calls"]
            for name, value in info.items()
            if name.startswith("cmdstat_") and name != "cmdstat_info"
        )
        return Used(
            commands=float(sum(calls)),
            bytes_in=float(info["total_net_input_bytes"]),
            bytes_out=float(info["total_net_output_bytes"]),
            cpu=float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
        )

    def cost_of_asking(self) -> Used:
        """Return what :meth:`used` itself uses."""
        first, second = self.used(), self.used()
        return second.since(first)

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[Sent]]:
        """Note every command that arrives meanwhile; the list is filled at the end."""
        sent: list[Sent] = []
        marker = f"end of watch {time.monotonic_ns()}"
        with contextlib.closing(self._client_of(0)) as other:
            other.ping()  # connect before, not while watching
            with self._client.monitor() as monitor:  # type: ignore[no-untyped-call]
                yield sent
                other.echo(marker)
                while marker not in (command := monitor.next_command())["command"]:
                    name = command["command"].partition(" ")[0].upper()
                    sent.append(Sent(command["time"], name, command["client_type"] == "lua"))

    def _client_of(self, db: int) -> redis.Redis:
        port = self._client.connection_pool.connection_kwargs["port"]
        return redis.Redis(host=HOST, port=port, db=db)

    def _info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.info(section)
        return found

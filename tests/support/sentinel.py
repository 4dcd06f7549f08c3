"""A primary, a replica and three sentinels that watch over them; all real."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import redis

from benchmarks import own_redis as servers
from tests.support.redis_server import HOST, RESP2, RedisServer
from tests.support.tls import TlsServer

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from tests.support.tls import Identity

SERVICE = "mymaster"
_QUORUM = 2
_AT_ONCE = ("--repl-diskless-sync-delay", "0")
_DOWN_AFTER = 600  # milliseconds


class SentinelSetup:
    """Use it as a context manager; it is entered once the sentinels know each other.

    Args:
        identity: A certificate; with it the sentinels speak TLS too, on ports of their own.
        redis_tls: Whether they know the servers by their TLS ports then.

    Attributes:
        servers: The two servers; the first one is the primary at the beginning.
        ports: The sentinels' ports.
        tls_ports: Those on which they speak TLS.
    """

    def __init__(self, identity: Identity | None = None, *, redis_tls: bool = True) -> None:
        self._identity = identity
        self._redis_tls = redis_tls and identity is not None
        self.servers = [self._server(), self._server()]
        self.ports: list[int] = []
        self.tls_ports: list[int] = []
        self._login: dict[str, str] = {}
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for server in self.servers:
                stack.enter_context(server)
            self.servers[1].cli("REPLICAOF", HOST, self._port_of(self.servers[0]))
            for _ in range(3):
                process, port = self._launch()
                self._sentinels.append(process)
                self.ports.append(port)
                stack.callback(servers._stop, process)
            self.until(lambda: self.servers[1].cli("ROLE")[3] == "connected")
            self.until(self._all_know_all)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def endpoints(self) -> list[str]:
        """The sentinels' addresses."""
        return [f"{HOST}:{port}" for port in self.ports]

    def url(self, **params: object) -> str:
        """Return the URL of a lock store over the primary."""
        query = f"?{urlencode(params)}" if params else ""
        return f"redis+sentinel://{','.join(self.endpoints)}/{SERVICE}/1{query}"

    @property
    def primary(self) -> RedisServer:
        """The server that the first sentinel names."""
        port = int(self.ask(0, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return next(server for server in self.servers if self._port_of(server) == port)

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        return next(server for server in self.servers if server is not self.primary)

    def ask(self, sentinel: int, *command: str) -> Any:
        """Send a command to a sentinel."""
        with contextlib.closing(
            redis.Redis(
                host=HOST,
                port=self.ports[sentinel],
                decode_responses=True,
                **self._login,  # type: ignore[arg-type]
                **RESP2,
            )
        ) as client:
            # Raw: redis-py would make a dictionary of some of these replies.
            client.response_callbacks.clear()
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def demand(self, username: str, password: str) -> None:
        """Have the sentinels talk to nobody but this user, each other included."""
        for index in range(3):
            self.ask(index, "ACL", "SETUSER", username, "on", f">{password}", "~*", "&*", "+@all")
            self.ask(index, "SENTINEL", "CONFIG", "SET", "sentinel-user", username)
            self.ask(index, "SENTINEL", "CONFIG", "SET", "sentinel-pass", password)
        for index in range(3):
            self.ask(index, "ACL", "SETUSER", "default", "off")
        self._login = {"username": username, "password": password}

    def fail_over(self) -> None:
        """Have the sentinels promote the replica now, as an operator does."""
        before = self.primary
        self.ask(0, "SENTINEL", "FAILOVER", SERVICE)
        self.until(lambda: self.primary is not before)

    def replicate(self) -> None:
        """Wait until the replica has all that the primary has."""
        primary, replica = self.primary, self.replica
        self.until(lambda: replica.cli("ROLE")[4] >= primary.cli("ROLE")[1])

    def cut_replication(self) -> None:
        """Keep everything that happens from now on from the replica; it may still be promoted."""
        primary, replica = self.primary, self.replica
        # It loses its connection, and the next one is refused.
        replica.cli("CONFIG", "SET", "masteruser", "nobody")
        replica.cli("CONFIG", "SET", "masterauth", "nothing")
        primary.cli("CLIENT", "KILL", "TYPE", "replica")
        self.until(lambda: not primary.cli("ROLE")[2])

    def lose_primary(self) -> None:
        """Kill the primary and wait until the sentinels have promoted the replica."""
        before = self.primary
        before.kill()
        self.until(lambda: self.primary is not before)

    def until(self, done: Any, within: float = 20.0) -> None:
        """Wait until something holds."""
        give_up = time.monotonic() + within
        while True:
            with contextlib.suppress(redis.RedisError):
                if done():
                    return
            assert time.monotonic() < give_up, "the servers did not get there"
            time.sleep(0.05)

    def _all_know_all(self) -> bool:
        for index in range(3):
            flat = self.ask(index, "SENTINEL", "MASTER", SERVICE)
            state = dict(zip(flat[::2], flat[1::2], strict=True))
            if (state["num-other-sentinels"], state["num-slaves"]) != ("2", "1"):
                return False
        return True

    def _server(self) -> RedisServer:
        if self._identity is None or not self._redis_tls:
            return RedisServer(*_AT_ONCE)
        return TlsServer(self._identity, *_AT_ONCE, "--tls-replication", "yes")

    @staticmethod
    def _port_of(server: RedisServer) -> int:
        return server.tls_port if isinstance(server, TlsServer) else server.port

    def _launch(self) -> tuple[subprocess.Popen[bytes], int]:
        executable = servers._executable()
        assert executable is not None
        port = servers._free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind {HOST}\ndir {folder}\n{self._tls_lines()}"
            f"sentinel monitor {SERVICE} {HOST} {self._port_of(self.servers[0])} {_QUORUM}\n"
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER}\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    "/bin/sh",
                    "-c",
                    servers._WHILE_STDIN_IS_OPEN,
                    "sh",
                    executable,
                    str(config),
                    "--sentinel",
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        assert servers._answers(process, port), (folder / "log").read_text(errors="replace")
        return process, port

    def _tls_lines(self) -> str:
        if self._identity is None:
            return ""
        self.tls_ports.append(servers._free_port())
        options = self._identity.options(self.tls_ports[-1])
        options["tls-replication"] = "yes" if self._redis_tls else "no"
        return "".join(f"{name} {value}\n" for name, value in options.items())

"""A Redis Cluster of three primaries and three replicas, all real."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import redis
from redis.crc import key_slot

from tests.support.redis_server import HOST, RedisServer

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_SLOTS = 16384
_NODE_TIMEOUT = 1500  # milliseconds


class Node(RedisServer):
    """A server that is to become part of a cluster, and has one database therefore."""

    def __init__(self, *options: str) -> None:
        super().__init__(*options)
        self.port = _low_port()

    def client(self, db: int = 0) -> redis.Redis:
        return super().client(db)

    def cli(self, *args: str | bytes | float, db: int = 0) -> Any:
        return super().cli(*args, db=db)


def _low_port() -> int:
    """Return a free port to which 10,000 can be added: there the nodes talk to each other."""
    while True:
        port = random.randint(20_000, 50_000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind((HOST, port))
            other.bind((HOST, port + 10_000))
            return port


class ClusterSetup:
    """Use it as a context manager; it is entered once every node says that all is well.

    Attributes:
        servers: The nodes; the first three are the primaries at the beginning.
    """

    def __init__(self, replicas: int = 3) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT))
        soon = ("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
        # A replica that has received nothing yet is not listed.
        heard = ("--repl-ping-replica-period", "1")
        self.servers = [Node(*options, *soon, *heard) for _ in range(3 + replicas)]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self._join()
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
        """The addresses of the first three nodes."""
        return [f"{HOST}:{server.port}" for server in self.servers[:3]]

    def url(self, **params: object) -> str:
        """Return the URL of a lock store over this cluster."""
        query = f"?{urlencode(params)}" if params else ""
        return f"redis+cluster://{','.join(self.endpoints)}{query}"

    def node_id(self, server: RedisServer) -> str:
        """Return the name of a node."""
        return str(server.cli("CLUSTER", "MYID"))

    def owner(self, conversation_id: str) -> RedisServer:
        """Return the primary that has a conversation's record."""
        slot = self.slot(conversation_id)
        for server in self.servers:
            if not server.running:
                continue
            for first, last, primary, *_ in self.raw(server, "CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(each for each in self.servers if each.port == primary[1])
        raise AssertionError(f"nobody has slot {slot}")

    def replica_of(self, primary: RedisServer) -> RedisServer:
        """Return the replica of a primary."""
        for server in self.servers:
            if server.running and server is not primary:
                role = server.cli("ROLE")
                if role[0] == "slave" and int(role[2]) == primary.port:
                    return server
        raise AssertionError("it has no replica")

    @staticmethod
    def slot(conversation_id: str) -> int:
        """Return the slot of a conversation's record."""
        return int(key_slot(b"lock:{%b}" % conversation_id.encode()))

    def fail_over(self, primary: RedisServer) -> None:
        """Have a primary and its replica change places, as an operator does."""
        replica = self.replica_of(primary)
        replica.cli("CLUSTER", "FAILOVER")
        self.until(lambda: replica.cli("ROLE")[0] == "master")

    def begin_to_move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Open a slot for being moved: keys that the source lacks are asked for at the target."""
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", self.node_id(source))
        source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", self.node_id(target))

    def move_keys(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Move what is in the slot."""
        for key in source.cli("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            source.cli("MIGRATE", HOST, target.port, key, 0, 5000)

    def end_move(self, slot: int, target: RedisServer) -> None:
        """Give the slot to the target, and tell everybody."""
        name = self.node_id(target)
        running = [server for server in self.servers if server.running]
        for server in sorted(running, key=lambda server: server is not target):
            if server.cli("ROLE")[0] == "master":
                server.cli("CLUSTER", "SETSLOT", slot, "NODE", name)

    @staticmethod
    def raw(server: RedisServer, *command: object) -> Any:
        """Send a command and return the reply as it comes."""
        with contextlib.closing(server.client(db=0)) as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def until(self, done: Any, within: float = 30.0) -> None:
        """Wait until something holds."""
        give_up = time.monotonic() + within
        while True:
            with contextlib.suppress(redis.RedisError):
                if done():
                    return
            assert time.monotonic() < give_up, "the cluster did not get there"
            time.sleep(0.05)

    def _join(self) -> None:
        primaries, replicas = self.servers[:3], self.servers[3:]
        for index, server in enumerate(primaries):
            first, last = index * _SLOTS // 3, (index + 1) * _SLOTS // 3 - 1
            server.cli("CLUSTER", "ADDSLOTSRANGE", first, last)
        for index, server in enumerate(self.servers, 1):
            server.cli("CLUSTER", "SET-CONFIG-EPOCH", index)
        for index, server in enumerate(self.servers):
            for other in self.servers[:index]:  # all with all: gossip alone takes its time
                server.cli("CLUSTER", "MEET", HOST, other.port)
        self.until(self._all_know_all)
        for replica, primary in zip(replicas, primaries, strict=False):
            replica.cli("CLUSTER", "REPLICATE", self.node_id(primary))
        self.until(self._is_well)

    def _all_know_all(self) -> bool:
        count = len(self.servers)
        return all(
            len(str(self.raw(server, "CLUSTER", "NODES")).strip().splitlines()) == count
            for server in self.servers
        )

    def _is_well(self) -> bool:
        replicas = len(self.servers) - 3
        for server in self.servers:
            if "cluster_state:ok" not in str(self.raw(server, "CLUSTER", "INFO")):
                return False
            slots = self.raw(server, "CLUSTER", "SLOTS")
            if sum(len(entry) - 3 for entry in slots) != replicas:
                return False
        return all(server.cli("ROLE")[3] == "connected" for server in self.servers[3:])

"""What an examination finds of sentinels and of clusters."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
import redis.asyncio

from nowserving import Examination, Finding, LockStore, RedisLockStore
from tests.support.cluster import ClusterSetup
from tests.support.redis_server import HOST, RedisServer
from tests.support.sentinel import SentinelSetup

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tls import Certificates


async def examine(url: str) -> Examination:
    async with LockStore.create(url) as store:
        return await store.examine()


def of(examination: Examination, check: str) -> list[Finding]:
    return [each for each in examination.findings if each.check == check]


def verdicts(examination: Examination, check: str) -> list[str]:
    return [each.verdict for each in of(examination, check)]


async def test_sentinels_one_after_the_other_go_down() -> None:
    with SentinelSetup() as setup:
        examination = await examine(setup.url())
        assert verdicts(examination, "sentinel") == ["fine"] * 3
        for check in ("agreement", "quorum", "failover", "address", "push", "replicas"):
            assert verdicts(examination, check) == ["fine"], check
        assert verdicts(examination, "min-replicas-to-write") == ["warning"]

        setup._sentinels[0].kill()
        setup._sentinels[0].wait()
        examination = await examine(setup.url())
        assert verdicts(examination, "sentinel") == ["warning", "fine", "fine"]
        assert verdicts(examination, "quorum") == ["note"]
        assert verdicts(examination, "push") == ["fine"]
        assert examination.verdict == "warning"

        setup._sentinels[1].kill()
        setup._sentinels[1].wait()
        examination = await examine(setup.url())
        assert verdicts(examination, "quorum") == ["warning"]
        assert "nobody takes its place" in of(examination, "quorum")[0].meaning

        setup._sentinels[2].kill()
        setup._sentinels[2].wait()
        examination = await examine(setup.url(socket_timeout=2))
        assert verdicts(examination, "sentinel") == ["broken"] * 3
        assert examination.verdict == "broken"


async def test_sentinels_that_know_no_such_service_and_one_that_is_not_listed(
    sentinel_setup: SentinelSetup,
) -> None:
    url = sentinel_setup.url().replace("mymaster", "another")
    examination = await examine(url)
    assert examination.verdict == "broken"
    assert "no such service" in of(examination, "sentinel")[0].found
    one = f"redis+sentinel://{sentinel_setup.endpoints[0]}/mymaster/1"
    examination = await examine(one)
    assert "3 sentinels know each other, 1 are listed" in of(examination, "sentinel")[1].found


async def test_a_failover_that_takes_longer_than_calls_wait(sentinel_setup: SentinelSetup) -> None:
    examination = await examine(sentinel_setup.url(socket_timeout=1))
    (found,) = of(examination, "failover")
    assert found.verdict == "note"
    assert "SENTINEL SET mymaster" in found.remedy


async def test_over_tls_and_a_unix_socket(
    tls_server: tuple[RedisServer, int],
    certificates: Certificates,
    client_certificate: tuple[Path, Path],
) -> None:
    _, port = tls_server
    certificate, key = client_certificate
    query = f"ssl_ca_certs={certificates.authority}&ssl_certfile={certificate}&ssl_keyfile={key}"
    examination = await examine(f"rediss://{HOST}:{port}/1?{query}")
    assert verdicts(examination, "push") == ["fine"]
    examination = await examine(f"redis://{HOST}:{port}/1")
    assert "set use_ssl" in of(examination, "address")[0].found
    with tempfile.TemporaryDirectory() as folder, RedisServer("--unixsocket", f"{folder}/r"):
        examination = await examine(f"unix://{folder}/r?db=1")
        assert examination.store == f"Redis, {folder}/r"
        assert verdicts(examination, "push") == ["fine"]


async def test_over_a_clients_settings(cluster_setup: ClusterSetup) -> None:
    host, port = HOST, cluster_setup.servers[0].port
    async with (
        redis.asyncio.RedisCluster(host=host, port=port) as client,
        RedisLockStore(client=client) as store,
    ):
        examination = await store.examine()
    assert verdicts(examination, "push") == ["fine"] * 3


def _keys_of(cluster: ClusterSetup) -> set[str]:
    return {key for server in cluster.servers[:3] for key in server.cli("KEYS", "*", db=0)}


async def test_every_primary_of_a_cluster_is_tried(cluster_setup: ClusterSetup) -> None:
    before = _keys_of(cluster_setup)  # of other tests, not expired yet
    examination = await examine(cluster_setup.url())
    assert verdicts(examination, "slots") == ["fine"]
    for check in ("address", "permissions", "latency", "push", "clock"):
        assert verdicts(examination, check) == ["fine"] * 3, check
    ports = {each.subject.rpartition(":")[2] for each in of(examination, "push")}
    assert ports == {str(server.port) for server in cluster_setup.servers[:3]}
    assert _keys_of(cluster_setup) <= before


async def test_a_cluster_of_which_the_map_is_denied(cluster_setup: ClusterSetup) -> None:
    def allow(server: RedisServer, *rules: str) -> None:
        server.cli("ACL", "SETUSER", "locker", "reset", "on", ">secret", *rules)

    for server in cluster_setup.servers:
        allow(server, "~*", "&*", "+@all", "-cluster")
    url = cluster_setup.url().replace("redis+cluster://", "redis+cluster://locker:secret@")
    examination = await examine(url)
    assert examination.verdict == "broken"
    assert all("+cluster|slots" in each.found for each in of(examination, "address"))


@pytest.mark.parametrize("everywhere", [True, False])
async def test_a_slot_that_belongs_to_nobody(everywhere: bool) -> None:  # noqa: FBT001 - a case
    with ClusterSetup(replicas=0) as cluster:
        for server in cluster.servers if everywhere else cluster.servers[:1]:
            server.cli("CLUSTER", "DELSLOTS", 5)
        examination = await examine(cluster.url(socket_timeout=2))
    (found,) = of(examination, "slots")
    assert found.verdict == "broken"
    assert "1 of 16384 slots belong to nobody (5)" in found.found
    assert verdicts(examination, "agreement") == ([] if everywhere else ["warning"])
    assert len(of(examination, "address")) == 3


async def test_a_node_that_is_gone() -> None:
    with ClusterSetup(replicas=0) as cluster:
        gone = cluster.servers[0]
        gone.kill()
        examination = await examine(cluster.url(socket_timeout=2))
    assert any(str(gone.port) in each.subject for each in of(examination, "seed"))
    assert any(
        str(gone.port) in each.subject and each.verdict == "broken"
        for each in of(examination, "address")
    )
    assert sorted(verdicts(examination, "address")) == ["broken", "fine", "fine"]

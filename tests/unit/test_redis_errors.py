"""What is made of the errors that Redis answers, without a Redis."""

from __future__ import annotations

import asyncio

import pytest

from nowserving.stores._remote.call import Call
from nowserving.stores.redis.connection.diagnosis import unquoted
from nowserving.stores.redis.passing import concerns_writes, passes

SECRET = "YUdqii1EooK9"  # noqa: S105 - a ticket's


@pytest.mark.parametrize(
    "text",
    [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "UNBLOCKED force unblock from blocking operation, instance state changed",
        "ERR max number of clients reached",
        "ERR max number of clients + cluster connections reached",
        "READONLY You can't write against a read only replica. script: a1, on @user_script:5.",
        "user_script:5: -READONLY You can't write against a read only replica.",
        "NOREPLICAS Not enough good replicas to write.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
    ],
)
def test_what_passes_by_itself(text: str) -> None:
    assert passes(text)
    writes = any(code in text for code in ("READONLY", "NOREPLICAS", "MISCONF"))
    assert concerns_writes(text) == writes


@pytest.mark.parametrize(
    "text",
    [
        "BUSYKEY Target key name already exists.",
        "NOPERM this user has no permissions to run the 'hset' command",
        "NOAUTH Authentication required.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR user_script:5: CORRUPT its field READONLY is not a number",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not passes(text)


async def test_a_tickets_secret_is_not_repeated() -> None:
    args = ("redeem", 5, SECRET, "owner", 30)
    call = Call(b"key", args, args, asyncio.get_running_loop().create_future(), 0.0, 1.0)
    redis_says = f"ERR unknown command 'EVALSHA', with args beginning with: 'a1' '1' '{SECRET}'"
    assert unquoted(redis_says, [call]) == "ERR unknown command 'EVALSHA'"
    proxy_says = f"ERR no backend for EVALSHA a1 1 redeem 5 {SECRET}"
    assert unquoted(proxy_says, [call]) == "ERR, with words of the command in it"
    assert unquoted("OOM command not allowed", [call]) == "OOM command not allowed"

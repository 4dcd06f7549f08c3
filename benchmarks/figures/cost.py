"""What one uncontended cycle costs the server, the network and the client."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures.base import Bench, Figure, Measure
from benchmarks.registry import (
    CONTENDERS,
    COREDIS,
    EVALSHA,
    GRELMICRO,
    NAIVE,
    OURS,
    REDIS_LOCK,
    REDIS_PY,
)
from benchmarks.server import Probe

if TYPE_CHECKING:
    from benchmarks.crew import Gate
    from benchmarks.server import Address

_MICROSECONDS = 1e6
_WATCHED = 50
"""Cycles that are watched command by command; watching costs time, so it is done apart."""


async def _cost(contender: str, address: Address, count: int, _gate: Gate) -> dict[str, float]:
    async with CONTENDERS[contender].opened(address) as driver:
        names = [f"conversation-{i % 100}" for i in range(count)]
        await driver.cycles(names[:_WATCHED])
        with Probe(address.port) as probe:
            with probe.watching() as sent:
                await driver.cycles(names[:_WATCHED])
            asking = probe.cost_of_asking()
            before, cpu = probe.used(), time.process_time()
            await driver.cycles(names)
            cpu = time.process_time() - cpu
            used = probe.used().since(before).since(asking)
    return {
        "sent": sum(not command.by_script for command in sent) / _WATCHED,
        "ran": used.commands / count,
        "bytes_in": used.bytes_in / count,
        "bytes_out": used.bytes_out / count,
        "server_cpu": used.cpu / count * _MICROSECONDS,
        "client_cpu": cpu / count * _MICROSECONDS,
    }


def _measure(bench: Bench, contender: str, _part: str) -> dict[str, float]:
    (cost,) = bench.run(partial(_cost, contender, bench.address, bench.plan.cycles))
    return cost


COST = Figure(
    name="cost",
    title="Cost of an uncontended cycle",
    text=(
        "Commands the client sent (as the server's `MONITOR` saw them), commands the server ran "
        "(those inside scripts included), bytes on the wire, and CPU time of server and client."
    ),
    measures=(
        Measure("sent", "commands sent", "a cycle"),
        Measure("ran", "commands run", "a cycle"),
        Measure("bytes_in", "bytes to the server", "B"),
        Measure("bytes_out", "bytes from the server", "B"),
        Measure("server_cpu", "server CPU", "µs"),
        Measure("client_cpu", "client CPU", "µs"),
    ),
    contenders=(OURS, REDIS_PY, REDIS_LOCK, COREDIS, GRELMICRO, NAIVE, EVALSHA),
    measure=_measure,
)

"""A cluster: which slots are whose, and whether its nodes agree on that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.crc import key_slot

from nowserving.protocol.examination import Finding
from nowserving.stores.redis.examining.interview import Interview, Refused
from nowserving.stores.redis.examining.place import Place
from nowserving.stores.redis.examining.server import unreachable
from nowserving.stores.redis.topologies.slots import SLOTS, SlotMap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nowserving.stores.redis.connection.dial import Node
    from nowserving.stores.redis.topologies.nodes import Nodes

_MOST_KEYS = 200_000


class Map(NamedTuple):
    """What one node says of the slots.

    Attributes:
        node: The node.
        entries: Its ``CLUSTER SLOTS``: first, last, and the nodes that have them.
        state: What ``CLUSTER INFO`` says of the cluster; empty where that is denied.
        why: Why it says nothing.
    """

    node: Node
    entries: Sequence[Any] = ()
    state: str = ""
    why: str = ""

    @property
    def where(self) -> str:
        """The node's address."""
        return f"{self.node[0]}:{self.node[1]}"

    def primaries(self) -> dict[Node, list[tuple[int, int]]]:
        """Return the slots of each primary."""
        found: dict[Node, list[tuple[int, int]]] = {}
        for first, last, primary, *_ in self.entries:
            node = (primary[0] or self.node[0], int(primary[1]))
            found.setdefault(node, []).append((int(first), int(last)))
        return found


async def examine(nodes: Nodes, key: Callable[[int], bytes]) -> tuple[list[Finding], list[Place]]:
    """Return what is found of the map, and the primaries.

    Args:
        nodes: The nodes that are known.
        key: Returns one of many keys, of no conversation, by its number.
    """
    asked = await asyncio.gather(*(_map_of(nodes, each) for each in nodes.map.candidates()))
    silent = [each for each in asked if each.why]
    maps = [each for each in asked if not each.why]
    found = [_silent(each, bool(maps)) for each in silent]
    known = {each.node for each in asked}
    further = {node for each in maps for node in each.primaries()} - known
    maps += [
        each
        for each in await asyncio.gather(*(_map_of(nodes, one) for one in further))
        if not each.why
    ]
    if not maps:
        return found, []
    best = max(maps, key=lambda each: _covered(each.entries))
    found.append(_coverage(min(maps, key=_health)))
    found += _agreement(maps)
    return found, _places(nodes, best, key)


async def _map_of(nodes: Nodes, node: Node) -> Map:
    server = nodes.server(node)
    try:
        interview = await Interview.with_server(server)
        try:
            entries = await interview.ask("CLUSTER", "SLOTS")
            info = await interview.ask("CLUSTER", "INFO")
        finally:
            interview.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, others may answer
        return Map(node, why=str(server.diagnose(error)))
    if isinstance(entries, Refused):
        if entries.code == "ERR" and not entries.unknown:
            return Map(
                node, why="it is no node of a cluster (redis:// instead of redis+cluster://)"
            )
        return Map(node, why=f"CLUSTER SLOTS is {entries.words}: ACL SETUSER <user> +cluster|slots")
    if not isinstance(entries, list) or not entries:
        return Map(node, why="it knows no slots: it belongs to no cluster, or was just reset")
    told = "" if isinstance(info, Refused) else str(info)
    state = told.partition("cluster_state:")[2].split("\r\n")[0].strip()
    return Map(node, entries, state)


def _silent(one: Map, others: bool) -> Finding:  # noqa: FBT001 - of two functions here
    if not others:
        return unreachable(one.where, one.why)
    return Finding(
        "seed",
        one.where,
        "warning",
        one.why,
        "The cluster is found by the others. If they are lost as well, it is not.",
        "Start the node, or take it out of endpoints.",
    )


def _covered(entries: Sequence[Any]) -> int:
    return sum(int(last) - int(first) + 1 for first, last, *_ in entries)


def _health(one: Map) -> tuple[bool, int]:
    return one.state in {"", "ok"}, _covered(one.entries)


def _coverage(one: Map) -> Finding:
    have = _covered(one.entries)
    primaries = one.primaries()
    figures = {"slots": have, "primaries": len(primaries)}
    if have == SLOTS and one.state in {"", "ok"}:
        return Finding(
            "slots",
            one.where,
            "fine",
            f"all {SLOTS} slots are covered, by {len(primaries)} primaries",
            "Every conversation has its node.",
            figures=figures,
        )
    missing = SLOTS - have
    said = f"all {SLOTS} slots are covered"
    if missing:
        said = f"{missing} of {SLOTS} slots belong to nobody ({_gaps(one)})"
    state = f"; cluster_state is {one.state!r}" if one.state not in {"", "ok"} else ""
    return Finding(
        "slots",
        one.where,
        "broken",
        said + state,
        "Conversations in these slots have no line: calls raise StoreUnavailable. With "
        "cluster-require-full-coverage (the default) that is so for all conversations.",
        "redis-cli --cluster check, then --cluster fix; or start the primaries that are gone.",
        figures,
    )


def _gaps(one: Map) -> str:
    ranges = sorted((int(first), int(last)) for first, last, *_ in one.entries)
    gaps, behind = [], 0
    for first, last in [*ranges, (SLOTS, SLOTS)]:
        if first > behind:
            gaps.append(str(behind) if first == behind + 1 else f"{behind}-{first - 1}")
        behind = last + 1
    return ", ".join(gaps[:5]) + (", ..." if len(gaps) > 5 else "")  # noqa: PLR2004 - a few do


def _agreement(maps: Sequence[Map]) -> list[Finding]:
    views: dict[tuple[Any, ...], list[str]] = {}
    for each in maps:
        owners = tuple(
            sorted((slots, node) for node, all_of in each.primaries().items() for slots in all_of)
        )
        views.setdefault(owners, []).append(each.where)
    if len(views) == 1:
        return []
    sides = " against ".join(", ".join(side) for side in views.values())
    return [
        Finding(
            "agreement",
            "the cluster",
            "warning",
            f"the nodes do not agree on who has which slots: {sides}",
            "Calls are redirected until they find the right node. If the nodes are cut off from "
            "each other, two of them may serve the same conversation.",
            "Slots may just be moving: look again. See CLUSTER NODES on each side, and whether "
            "they reach each other on their bus ports.",
        )
    ]


def _places(nodes: Nodes, best: Map, key: Callable[[int], bytes]) -> list[Place]:
    primaries = best.primaries()
    owner = SlotMap(())
    owner.replace(best.entries, best.node)
    keys: dict[Node, bytes] = {}
    for number in range(_MOST_KEYS):
        candidate = key(number)
        if _is_covered(best, key_slot(candidate)):
            keys.setdefault(owner.owner(candidate), candidate)
        if len(keys) == len(primaries):
            break
    listed = list(keys)
    return [
        Place(
            nodes.server(node),
            f"{node[0]}:{node[1]}",
            keys[node],
            nodes.server(listed[(index + 1) % len(listed)]),  # heard at another node
        )
        for index, node in enumerate(listed)
    ]


def _is_covered(best: Map, slot: int) -> bool:
    return any(int(first) <= slot <= int(last) for first, last, *_ in best.entries)

"""Steps that can be taken with a line: random ones, and histories that were decided in two ways.

Everything happens in eighths of a second, which integers and floats hold exactly.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Step = dict[str, Any]

TICK = 0.125
OURS, THEIRS = "us", "them"
"""The nonces of two processes' queues; the first is who finishes tickets by their number."""

ticks = st.sampled_from([1, 1, 2, 8, 8, 17, 40]).map(lambda count: count * TICK)
lifetimes = st.sampled_from([8, 16, 24, 72]).map(lambda count: count * TICK)
messages = st.sampled_from([None, None, "a", "b"])
remembered = st.sampled_from([None, None, 4, 80]).map(lambda count: count and count * TICK)
labels = st.sampled_from([None, None, None, "-", "a label"])
owners = st.integers(0, 9).map(lambda index: f"{(OURS, THEIRS)[index % 2]}~{index % 3}.{index}")
numbers = st.integers(0, 5)  # counted from the last one issued
picks = st.integers(0, 30)  # one of the tickets so far, counted round and round
shown = st.sampled_from(["its own", "none", "wrong"])  # of the secret


def verb(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries({"verb": st.just(name), **arguments})


takes = verb(
    "take",
    owner=owners,
    lifetime=lifetimes,
    claimed=st.sampled_from([True, True, True, False]),
    renewed=st.booleans(),
    when_busy=st.sampled_from(["queue", "queue", "queue", "reject", "latest", "interrupt"]),
    limit=st.sampled_from([None, None, None, 0, 1, 2]),
    full=st.sampled_from(["reject", "reject", "drop_oldest"]),
    settle=st.sampled_from([None, None, 1, 8]).map(lambda count: count and count * TICK),
    settle_max=st.sampled_from([None, 8, 10]).map(lambda count: count and count * TICK),
    message=messages,
    remember_for=remembered,
    label=labels,
)
leaves = verb(
    "leave",
    which=picks,
    outcome=st.sampled_from(["done", "done", "failed", "interrupted", "abandoned"]),
    known=st.sampled_from([None, None, None, (), (1, 3), (2,)]),
)
leaves_unanswered = verb("leave_unanswered", owner=owners)
renews = verb("renew", which=picks, lifetime=st.one_of(st.just(0.0), lifetimes))
renews_unanswered = verb("renew_unanswered", owner=owners, lifetime=lifetimes)
polls = verb("poll", which=picks)
redeems = verb(
    "redeem",
    which=picks,
    shows=shown,
    owner=owners,
    lifetime=lifetimes,
    message=messages,
    remember_for=remembered,
    label=labels,
)
parks = verb("park", which=picks, shows=shown, lifetime=lifetimes)
absorbs = verb("absorb", which=picks, most=st.sampled_from([0, 1, 2, 3, 250]))
finishes = verb("finish", which=picks, shows=shown, keep=st.booleans())
saves = verb(
    "save",
    seen_below=numbers,
    lefts=st.dictionaries(
        numbers, st.sampled_from([-8, 1, 8, 24]).map(lambda count: count * TICK), max_size=4
    ),
)
releases = verb("release", which=picks, reason=st.sampled_from(["", "no reason: at all"]))
passings = verb("time", seconds=ticks)
_VERBS = [
    *[takes] * 12,
    *[leaves] * 5,
    *[passings] * 5,
    *[redeems] * 3,
    *[parks] * 2,
    *[absorbs] * 3,
    *[renews, leaves_unanswered, releases] * 2,
    *[polls, renews_unanswered, finishes, saves],
    *[verb("line"), verb("delete")],
]
steps = st.lists(
    st.integers(0, len(_VERBS) - 1).flatmap(_VERBS.__getitem__), min_size=10, max_size=50
)


def take(owner: str, lifetime: float = 9.0, **how: Any) -> Step:
    usual = {"claimed": True, "renewed": False, "when_busy": "queue", "limit": None}
    usual |= {"full": "reject", "remember_for": None, "settle": None, "settle_max": None}
    return {"verb": "take", "owner": owner, "lifetime": lifetime, "message": None, **usual, **how}


def said(verb: str, **arguments: Any) -> Step:
    return {"verb": verb, **arguments}


A, B, C = "us~0.0", "them~0.1", "us~1.2"
A_SECOND = said("time", seconds=1.0)
HISTORIES: dict[str, list[Step]] = {
    "a holder that has expired is deleted": [take(A, 1.0), A_SECOND, said("delete"), take(B)],
    "a waiter that has expired is finished": [
        *[take(A), take(B, 1.0), A_SECOND],
        said("finish", which=1, shows="its own", keep=True),
    ],
    "a waiter that has expired is missing in a picture": [
        *[take(A), take(B, 1.0), A_SECOND],
        said("save", seen_below=2, lefts={0: 1.0}),
    ],
    "a waiter that has expired leaves": [
        *[take(A), take(B, 1.0, message="m"), A_SECOND],
        said("leave", which=1, outcome="done"),
        take(C, message="m"),
    ],
    "a take is renewed that has not arrived": [
        take(A),
        said("renew_unanswered", owner=B, lifetime=1.0),
    ],
    "nobody's ticket is served, and another one refused": [
        said("save", seen_below=0, lefts={0: 9.0}),
        take(A, when_busy="reject"),
    ],
    "a ticket is redeemed for the message of one that has expired": [
        *[take(A, claimed=False), take(B, 1.0, message="m"), A_SECOND],
        said("redeem", which=0, shows="its own", owner=C, lifetime=9.0, message="m"),
        take(C, message="m"),
    ],
    "a take is repeated whose ticket has expired": [
        *[take(A), take(B, 1.0), A_SECOND, take(B, when_busy="latest"), take(B)],
    ],
    "a waiter expires, and somebody supersedes the others": [
        *[take(A, 1.0), take(B, 1.0), take(C), A_SECOND, take("us~1.5", when_busy="latest")],
        take(B),
    ],
    "a redeeming comes late": [
        *[take(A, claimed=False), said("leave_unanswered", owner=f"{C}r")],
        said("redeem", which=0, shows="none", owner=C, lifetime=9.0, message=None),
    ],
    "a redeeming comes late, after its ticket was parked": [
        *[take(A), take(B, claimed=False)],
        said("redeem", which=1, shows="its own", owner=C, lifetime=9.0, message=None),
        said("park", which=2, shows=B, lifetime=1.0),
        said("redeem", which=1, shows="its own", owner=C, lifetime=9.0, message=None),
        said("park", which=2, shows=B, lifetime=2.0),
    ],
    "a ticket is parked that is served": [
        *[take(A, claimed=False, message="m"), take(B)],
        said("redeem", which=0, shows="none", owner=C, lifetime=9.0, message=None),
        *[said("park", which=2, shows="none", lifetime=1.0), A_SECOND, take("us~1.5", message="m")],
    ],
    "a ticket is parked that was finished, and its number is somebody else's": [
        *[take(A), said("finish", which=0, shows="its own", keep=False), take(B, claimed=False)],
        said("park", which=0, shows="none", lifetime=9.0),
        said("renew", which=0, lifetime=0.0),
    ],
    "a picture has a number that was skipped": [
        said("save", seen_below=0, lefts={0: 9.0, 2: 9.0}),
        said("save", seen_below=0, lefts={0: 9.0, 1: 9.0, 2: 9.0}),
    ],
    "a picture has a ticket that has expired": [
        *[take(A), take(B, 1.0), A_SECOND],
        said("save", seen_below=2, lefts={0: 9.0, 1: 9.0}),
    ],
    "a picture has an own ticket that has expired": [
        *[take(A), said("leave", which=0, outcome="done")],
        said("save", seen_below=0, lefts={0: -1.0, 3: -1.0}),
    ],
}

"""The Lua script as it is not shipped: without quick steps, in small pieces, on our own clock."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from nowserving.stores.redis.script import PROTOCOL, Script, load_script

if TYPE_CHECKING:
    import redis

CLOCK = "clock"
"""The key with seconds and microseconds, by which :func:`on_our_clock` goes."""

_NOTING = """
local function pexpire(key, ms)
  redis.call('PEXPIRE', key, ms)
  redis.call('SET', 'ends:' .. key, string.format('%.0f', now + ms * 1000))
end

local function publish(key, channel, message)
  redis.call('PUBLISH', channel, message)
  redis.call('RPUSH', 'told:' .. key, channel, message)
end

local function note_step(key, verb, reply)
  local said = not reply and 'handed on' or verb == 'take' and string.sub(reply, 1, 1) or reply
  redis.call('HINCRBY', 'steps:' .. key, verb .. ' ' .. said, 1)
end

"""

_HANDS_ON = """
quick = {
  take = function(key, owner, _, _, _, _, message)
    return nil, read(key, 'x:' .. owner, message == '-' and 'graves' or field_of(message))
  end,
  leave = function(key, number)
    return nil, read(key, number, int(tonumber(number) + 1))
  end,
}
"""


def of_protocol(number: int) -> Script:
    """Return the script as a release with another protocol number has it."""
    ours, theirs = (
        f"local PROTOCOL, NEXT_PROTOCOL = {one}, '{one + 1}'\n" for one in (PROTOCOL, number)
    )
    return _changed(load_script(), (ours, theirs))


def sweeping_one_by_one(script: Script | None = None) -> Script:
    """Return the script that sweeps one ticket in a call."""
    return _changed(script or load_script(), ("local COST = 9", "local COST = 9000000"))


def in_small_pieces(script: Script | None = None) -> Script:
    """Return the script that walks two numbers of a line in a call, and sweeps one ticket."""
    return _changed(
        script or load_script(),
        ("effort, LEAST_EFFORT = 2000, 300", "effort, LEAST_EFFORT = 1, 1"),
        ("local PIECE = 200", "local PIECE = 2"),
        ("local PAGE = 500", "local PAGE = 2"),
    )


def without_quick_steps(script: Script | None = None) -> Script:
    """Return the script whose quick steps hand everything on."""
    return _changed(script or load_script(), ("-- dispatch: ", f"{_HANDS_ON}-- dispatch: "))


def on_our_clock(script: Script | None = None) -> Script:
    """Return the script that knows no other time than the one under the key ``clock``."""
    clock = f"redis.call('HMGET', '{CLOCK}', 'seconds', 'microseconds')"
    return _changed(
        script or load_script(),
        ("redis.call('TIME')", clock),
        # A moment of our clock is none of Redis's.
        (
            "redis.call('PEXPIRE', its_key, int(math.ceil((done",
            "redis.call('PEXPIRE', its_key, int(600000 + math.ceil((done",
        ),
    )


def noting(script: Script) -> Script:
    """Return the script that notes what it does; see :func:`noted`."""
    return _changed(
        script,
        ("local function int(n)", f"{_NOTING}local function int(n)"),
        (
            "    if reply then return reply end\n",
            "    note_step(key, name, reply)\n    if reply then return reply end\n",
        ),
        ("    redis.call('PEXPIRE', key, int(", "    pexpire(key, int("),
        ("    redis.call('PEXPIRE', rec.key, ", "    pexpire(rec.key, "),
        ("    redis.pcall('PUBLISH', ", "    publish(key, "),
        ("redis.pcall('PUBLISH', rec.mail", "publish(rec.key, rec.mail"),
    )


class Noted(NamedTuple):
    """What a script has noted of a record.

    Attributes:
        steps: How often which verb's quick step has said what, or was handed on.
        ends: Until when the record is kept, on our clock in microseconds; 0 for no TTL.
        told: Channels and messages, each behind the other.
    """

    steps: dict[str, int]
    ends: int
    told: list[str]


def noted(client: redis.Redis, key: str) -> Noted:
    """Return what the script has noted of a record so far."""
    with client.pipeline() as pipe:
        pipe.hgetall(f"steps:{key}")
        pipe.get(f"ends:{key}")
        pipe.lrange(f"told:{key}", 0, -1)
        steps, ends, told = pipe.execute()
    return Noted({step: int(count) for step, count in steps.items()}, int(ends or 0), told)


def set_clock(client: redis.Redis, now: int) -> None:
    """Set our clock to ``now``, in microseconds."""
    seconds, microseconds = divmod(now, 1_000_000)
    client.hset(CLOCK, mapping={"seconds": seconds, "microseconds": microseconds})
    client.expire(CLOCK, 600)


def _changed(script: Script, *changes: tuple[str, str]) -> Script:
    source = script.source
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    digest = hashlib.sha1(source.encode(), usedforsecurity=False)
    return Script(source, digest.hexdigest())

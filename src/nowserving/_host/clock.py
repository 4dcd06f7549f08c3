"""The clock by which leases are counted: it goes on while the machine is suspended."""

from __future__ import annotations

import time
from functools import partial

# ``time.monotonic`` stands still in a suspended machine, while every ticket in a store that runs
# elsewhere ages. A lease counted by it would look alive on waking. (On macOS, CLOCK_MONOTONIC as
# ``clock_gettime`` reads it counts the sleep; Windows's ``time.monotonic`` does, too.)
_ID = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)

monotonic = time.monotonic if _ID is None else partial(time.clock_gettime, _ID)
"""Return seconds since some moment of the past; never set back, sleep included where it can be.

Timers of an event loop go by ``time.monotonic``: they fire late after a suspension, which is why
nothing may be decided by a timer alone.
"""

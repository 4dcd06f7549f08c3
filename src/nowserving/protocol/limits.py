"""Bounds that turns and every store agree on."""

LONGEST = 315_360_000
"""The most seconds that any duration may be: ten years. A store writes moments as microseconds and
keeps records for three lifetimes, in numbers that are exact up to 2**53: there a century would be
too long. Clocks, timers and ``PEXPIRE`` have limits of their own, all of them far above this."""

MOST_AT_ONCE = 500
"""Tickets in one question, verbs in one round trip: a store is never blocked for long."""

LONGEST_REMEMBERED = 604_800
"""Seconds (seven days) for which a message that is done is remembered at the most."""

MOST_LABEL_BYTES = 200
"""How long a label may be, as UTF-8, and so may be the reason of a release."""

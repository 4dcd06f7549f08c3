"""What is the same for every peer, so that none wins by its setting."""

LIFETIME = 60
"""Seconds a lock lives, as ours does by default."""

LOOK_EVERY = 0.001
"""Seconds between two looks of a lock that polls: the least that any of them allows."""

CONNECTIONS = 2000
"""The most connections of a client's pool: enough for every crowd."""

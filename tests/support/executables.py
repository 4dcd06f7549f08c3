"""Servers beside the usual one, over which everything must hold as well."""

from __future__ import annotations

import os
import shutil

LONG = os.environ.get("NOWSERVING_TESTS") == "long"
"""Whether this is the run that may take its time."""

VALKEY = os.environ.get("NOWSERVING_VALKEY_SERVER") or shutil.which("valkey-server")
"""A ``valkey-server``; ``scripts/test-long`` names one where none is on the PATH."""

OLDEST_REDIS = os.environ.get("NOWSERVING_OLDEST_REDIS_SERVER") or None
"""A ``redis-server`` of the oldest version that we support; only ``scripts/test-long`` has it."""

OTHERS = {
    name: executable
    for name, executable in {"valkey": VALKEY, "oldest redis": OLDEST_REDIS}.items()
    if executable is not None
}
"""Those that are there, by name."""

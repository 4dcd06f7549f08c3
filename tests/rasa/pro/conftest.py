"""The Python, redis-py and Sanic of Rasa Pro; ``scripts/test-rasa`` makes the environment."""

from __future__ import annotations

import importlib.util
import sys

# Rasa 3.6 has a Sanic of its own, from before Sanic had a manager of worker processes.
_PRO = sys.version_info >= (3, 11) and importlib.util.find_spec("sanic") is not None

collect_ignore_glob = [] if _PRO else ["test_*.py"]

"""A WSGI app whose turns Prometheus is told of; ``STORE_URL`` names the store."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from nowserving import LockStore
from nowserving.integrations import prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

store = LockStore.create(os.environ["STORE_URL"])
prometheus.observe(store, "bot")


def app(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer with the metrics, or take a turn and say in which process."""
    path = environ["PATH_INFO"]
    if path == "/metrics/":
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        with store.lock(path):
            body = json.dumps(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

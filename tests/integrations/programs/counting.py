"""A program whose children are spawned; the folder of its figures is its argument."""

from __future__ import annotations

import multiprocessing
import os
import sys

if len(sys.argv) > 1:  # its children inherit the variable
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]

from nowserving import InMemoryLockStore
from nowserving.integrations import prometheus

store = InMemoryLockStore()
prometheus.observe(store)


def work(times: int) -> None:
    """Take some turns."""
    for _ in range(times):
        with store.lock("anna"):
            pass


if __name__ == "__main__":
    work(3)
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=work, args=(5,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    work(1)

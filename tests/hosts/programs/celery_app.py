"""A Celery app whose tasks take turns; it gives itself the work as soon as its worker is ready.

``STORE_URL`` names the store, ``FOLDER`` is for the messages, and for the file ``notes`` in which
each step of a task is written down.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from tests.support.celery_broker import broker_in
from tests.support.watched import create, serve_figures

folder = Path(os.environ["FOLDER"])
app = Celery(
    "turns",
    **broker_in(folder),
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
store = create(os.environ["STORE_URL"])
notes = os.open(folder / "notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(step: str, name: str, **facts: object) -> None:
    """Write a step of a task down, in one step: the order of the lines is that of the steps."""
    line = {"step": step, "conversation": name, **facts}
    os.write(notes, json.dumps(line).encode() + b"\n")


@app.task
def handle(name: str, message: int, hold: float) -> None:
    """Handle a message: a turn of its own conversation, within one of its sender."""
    with (
        store.lock(f"sender {message}"),
        store.lock(name, 0.6, timeout=10, auto_renew=True) as lock,
    ):
        note("entered", name)
        time.sleep(hold)
        note("left", name, lost=lock.lost)


@worker_ready.connect
def send(**_: Any) -> None:
    """Give out a long turn, and many short ones of the same and of other conversations."""
    serve_figures()
    handle.delay("a", 0, 2.0)
    for message in range(1, 12):
        handle.delay("abc"[message % 3], message, 0.02)

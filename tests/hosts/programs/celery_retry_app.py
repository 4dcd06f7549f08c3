"""A Celery app whose tasks come again later when it is not their turn, and hold no worker then.

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

from nowserving import LockStore, LockTimeout
from tests.support.celery_broker import broker_in

folder = Path(os.environ["FOLDER"])
app = Celery(
    "retries",
    **broker_in(folder),
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
store = LockStore.create(os.environ["STORE_URL"])
notes = os.open(folder / "notes", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)


def note(step: str, name: str, **facts: object) -> None:
    """Write a step of a task down, in one step: the order of the lines is that of the steps."""
    line = {"step": step, "conversation": name, **facts}
    os.write(notes, json.dumps(line).encode() + b"\n")


@app.task(bind=True, max_retries=None)
def handle(self: Any, name: str, message: int, ticket: str) -> None:
    """Handle a message in its turn. The first busy one takes until the idle one is done."""
    try:
        with store.lock(name, 30.0, ticket=ticket, timeout=0, keep_place=True):
            note("entered", name, message=message, tries=self.request.retries)
            give_up = time.monotonic() + 15.0
            while message == 0 and not is_idle_done() and time.monotonic() < give_up:
                time.sleep(0.02)
            note("left", name, message=message)
    except LockTimeout as not_yet:
        raise self.retry(countdown=0.2) from not_yet


def is_idle_done() -> bool:
    """Return whether the message of the idle conversation is done, after some of the others."""
    written = (folder / "notes").read_text()
    return any(
        step["conversation"] == "idle" and step["step"] == "left"
        for step in map(json.loads, written.splitlines())
    )


@worker_ready.connect
def send(**_: Any) -> None:
    """Give out four messages of a busy conversation, and behind them one of an idle one."""
    for message, name in enumerate(["busy", "busy", "busy", "busy", "idle"]):
        handle.delay(name, message, str(store.issue_ticket(name)))

"""The pictures of docs/dashboard.md: a made-up bot at work, seen by a real browser.

``PYTHONPATH=src python -m tests.support.pictures`` takes them anew, in two minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nowserving import LockError, LockStore
from tests.support.browser import Browser, browser
from tests.support.crew import ROOT, environment
from tests.support.dashboard import Dashboard

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = ROOT / "docs" / "img"
STORE = "sqlite:///locks.db"  # in a folder of its own
WORKERS = 4
RUNS_FOR = 100.0  # seconds; the plots want some past

CLOSELY = "web:4f2a-anna"
_OTHERS = (
    "whatsapp:+15550142",
    "teams:room 12",
    "web:0b31-bert",
    "slack:C024BE91L",
    "telegram:880123",
    "web:77aa-carla",
    "عميل:٤٢",
    "web:<b>9d9d</b>",
    "whatsapp:+15550199",
    "pay\u202eexe.gnp",
    "web:c0de-dana",
)
_SHARE = 0.15  # of the messages
_ONE_MORE = signal.SIGUSR1


async def bot(seed: int) -> None:
    """Answer messages that come in bursts, until somebody ends the process."""
    draw = random.Random(seed)
    async with LockStore.create(f"{STORE}?history=300&auto_renew=true&lock_lifetime=30") as store:
        answering: set[asyncio.Task[None]] = set()
        numbers = itertools.count(1)

        def begin(name: str) -> None:
            task = asyncio.create_task(answer(store, name, f"m{seed}{next(numbers):03}", draw))
            answering.add(task)
            task.add_done_callback(answering.discard)

        asyncio.get_running_loop().add_signal_handler(_ONE_MORE, begin, CLOSELY)
        while True:
            await asyncio.sleep(draw.expovariate(0.45))
            name = CLOSELY if draw.random() < _SHARE else draw.choice(_OTHERS)
            for _ in range(draw.choice((1, 1, 1, 2, 4))):
                begin(name)
                await asyncio.sleep(draw.uniform(0.1, 0.6))


async def answer(store: LockStore, name: str, message: str, draw: random.Random) -> None:
    """Answer one message, as slowly as a language model does."""
    label = f"trace {draw.randrange(16**6):06x}"
    with contextlib.suppress(LockError):
        async with store.lock(name, label=label, message_id=message):
            await asyncio.sleep(draw.uniform(0.5, 2.6))


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        os.chdir(folder)
        Path("locks.db").touch()
        workers = []
        for seed in range(WORKERS):
            words = [sys.executable, "-m", "tests.support.pictures", str(seed)]
            workers.append(subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL))
            stack.callback(workers[-1].kill)
        dashboard = stack.enter_context(Dashboard(STORE, "--allow-release", folder=Path(folder)))
        page = stack.enter_context(browser())
        page.look(height=800)
        page.get(dashboard.page)
        time.sleep(RUNS_FOR)
        asyncio.run(interfere())
        time.sleep(6)

        def one_more_each() -> None:
            for worker in workers:
                worker.send_signal(_ONE_MORE)

        take(page, one_more_each)


async def interfere() -> None:
    """Release a turn whose body does not look at that: what runs on is red."""
    async with LockStore.create(STORE) as store:
        await store.release(CLOSELY, reason="released for the picture")


def take(page: Browser, one_more_each: Callable[[], None]) -> None:
    """Take the pictures of a page that is open."""
    page.picture(FOLDER / "dashboard-light.png")
    page.look(dark=True, height=800)
    time.sleep(1.5)
    page.picture(FOLDER / "dashboard-dark.png")
    page.look(width=390, height=844)
    time.sleep(1.5)
    page.run("document.getElementById('lines-title').scrollIntoView()")
    page.picture(FOLDER / "dashboard-phone.png")
    page.look(width=1280, height=1080)
    for _ in range(2):
        one_more_each()
        time.sleep(0.3)
    page.run("location.hash = arguments[0]", f'#conversation="{CLOSELY}"')
    time.sleep(1.2)
    page.run("document.activeElement.blur(); document.querySelector('.split').scrollIntoView()")
    time.sleep(1.0)
    page.picture(FOLDER / "dashboard-detail.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(bot(int(sys.argv[1])))
    else:
        main()

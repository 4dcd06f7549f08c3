"""A server in miniature, with a long line: ``python line_server.py STORE_URL WHO WHERE``.

``WHO`` stands in line: "tasks" or "threads". ``WHERE`` is how its process was started: "here",
"os.fork" as gunicorn does it, or by multiprocessing with "fork" or "spawn". At a SIGTERM it has a
second of patience and ends as a server does then: it leaves what still runs where it is.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from tests.support.watched import create

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 1.0
IN_LINE = 21  # one of them holds the lock


def serve_tasks(url: str) -> None:
    store = create(url)

    async def hold() -> None:
        async with store.lock("c"):
            await asyncio.sleep(3600)

    async def serve() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        tasks = [asyncio.create_task(hold()) for _ in range(IN_LINE)]
        await stop.wait()
        await asyncio.wait(tasks, timeout=GRACE)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(serve())
    loop.close()


def serve_threads(url: str) -> None:
    store = create(url)

    def hold() -> None:
        with store.lock("c"):
            time.sleep(3600)

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    for _ in range(IN_LINE):
        threading.Thread(target=hold, daemon=True).start()
    stop.wait()
    time.sleep(GRACE)


def in_another_process(how: str, serve: Callable[[str], None], url: str) -> None:
    """Start it there and wait for its end; a SIGTERM is passed on to it."""
    if how == "os.fork":
        pid = os.fork()
        if pid == 0:
            serve(url)
            sys.exit(0)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        os.waitpid(pid, 0)
        return
    multiprocessing.set_start_method(how)
    process = multiprocessing.Process(target=serve, args=(url,))
    process.start()
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    process.join()


def main(url: str, who: str, where: str) -> None:
    serve = serve_tasks if who == "tasks" else serve_threads
    if where == "here":
        serve(url)
        return
    create(url).get_lock("c")  # the parent has been using a store of its own
    in_another_process(where, serve, url)


if __name__ == "__main__":
    main(*sys.argv[1:])

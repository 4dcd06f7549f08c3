"""Other libraries than asyncio: under one of them nothing here can work, and that is said."""

from __future__ import annotations

import sys


def refuse_other_libraries() -> None:
    """Raise where trio, or another library than asyncio, runs the calling coroutine.

    To be called where something asynchronous begins: a turn, a ticket, a close.

    Raises:
        RuntimeError: If so; it says what to do.
    """
    sniffio = sys.modules.get("sniffio")  # each of them brings it along, and none is imported here
    if sniffio is None:
        return
    try:
        library = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return
    if library != "asyncio":
        raise RuntimeError(
            f"nowserving runs on asyncio, and this coroutine runs under {library}. Take the lock "
            "in a thread, where a plain `with store.lock(...)` needs no event loop (in trio: "
            "`await trio.to_thread.run_sync(...)`), or run the program on asyncio (anyio can)."
        )

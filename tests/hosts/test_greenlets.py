"""gevent and eventlet: their greenlets are threads to a program, and one thread to the machine."""

from __future__ import annotations

import textwrap

import pytest

from tests.support import programs

PATCHES = {
    "gevent": """
        from gevent import monkey
        monkey.patch_all()
    """,
    "eventlet": """
        import eventlet
        eventlet.monkey_patch()
    """,
}

IMPORTS = """
from nowserving import LockStore, LockTimeout
"""

# Plain threads: both patch them into greenlets. Nothing here knows which of the two does.
WORK = {
    "turns in turns": """
        def work(me):
            time.sleep(me / 50)
            with store.lock(f"mine {me}"), store.lock("everybody's"):
                inside.append(me)
                order.append(me)
                time.sleep(0.1)
                assert inside == [me], inside
                inside.clear()
        run(work, 6)
        assert order == [0, 1, 2, 3, 4, 5], order
        assert store.get_lock("everybody's") is None
    """,
    "a turn of many lifetimes": """
        def work(me):
            time.sleep(me / 20)
            with store.lock("c", 0.6, auto_renew=True) as lock:
                inside.append(me)
                time.sleep(2.0 if me == 0 else 0.0)
                assert inside == [me], inside
                assert not lock.lost
                inside.clear()
        run(work, 3)
    """,
    "nobody waits longer than he wants": """
        def work(me):
            time.sleep(me / 20)
            began = time.monotonic()
            try:
                with store.lock("c", timeout=0.3):
                    time.sleep(1.0)
            except LockTimeout:
                order.append(me)
                assert 0.2 < time.monotonic() - began < 0.8
        run(work, 3)
        assert sorted(order) == [1, 2], order
    """,
    "the others go on": """
        def wait(me):
            with store.lock("c"):
                time.sleep(0.5)
        def tick(me):
            for _ in range(20):
                began = time.monotonic()
                time.sleep(0.02)
                order.append(time.monotonic() - began)
        run(lambda me: wait(me) if me < 2 else tick(me), 3)
        assert max(order) < 0.3, order
    """,
}

PROGRAM = """
store = LockStore.create(sys.argv[1])
inside, order, failed = [], [], []

def run(work, count):
    import threading, traceback
    def safely(me):
        try:
            work(me)
        except BaseException:
            failed.append(traceback.format_exc())
    threads = [threading.Thread(target=safely, args=(me,)) for me in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[0]
"""


@pytest.mark.parametrize("order", ["patched before", "patched after"])
@pytest.mark.parametrize("library", PATCHES)
@pytest.mark.parametrize("name", WORK)
def test_greenlets(url: str, library: str, order: str, name: str) -> None:
    parts = [PATCHES[library], IMPORTS, PROGRAM, WORK[name], "store.close(); last_line()"]
    if order == "patched after":
        parts[:2] = reversed(parts[:2])
    program = "".join(map(textwrap.dedent, parts))
    ended = programs.run(program, url, warnings="ignore").quietly()
    assert ended.to_exit < 2.0

"""Processes that absorb are killed and frozen, and lose replies: what becomes of each message."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nowserving import DuplicateMessage, LockStore
from tests.support.absorber import LIFETIME
from tests.support.crew import ROOT, environment
from tests.support.executables import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.proxy import Proxy
    from tests.support.redis_server import RedisServer

_HISTORIES = 30 if LONG else 2
_EACH = 14
"""Messages of a worker."""

_PROGRAM = Path(ROOT) / "tests" / "support" / "absorber.py"
_OF_ITS_OWN = {"LockTimeout", "LockError", "LockLost", "StoreUnavailable"}
"""What may be told to the sender of a message that a holder has handled which had absorbed it: it
gave up, or its own ticket expired, while the holder worked."""


@dataclass
class _Said:
    """What all workers have said.

    Attributes:
        worked: For each message whose turn came to a good end what it had absorbed.
        left: Whose turn has ended so.
        told: What else senders were told: the name of the error.
        words: And its words.
        killed: The messages of workers that were killed.
    """

    worked: dict[str, list[str]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)

    def read(self, text: str) -> None:
        """Read what a worker has said; it may have been killed while it spoke."""
        for line in text.split("\n")[:-1]:
            what, message, *rest = json.loads(line)
            if what == "worked":
                self.worked[message] = rest[0]
            elif what == "left":
                self.left.add(message)
            else:
                self.told[message], self.words[message] = rest

    def tell_of(self, message: str) -> str:
        """Return all that is known of a message, for whoever reads of a failure."""
        turns = [turn for turn in self.worked if message in {turn, *self.worked[turn]}]
        ends = {
            turn: (turn in self.left, self.words.get(turn), turn in self.killed) for turn in turns
        }
        return f"{message}: told {self.told.get(message)}; turns (left, told, killed): {ends}"

    def check(self, message: str) -> bool | None:
        """Check what became of a message; return whether it is done, None if nobody can tell."""
        turns = [turn for turn in self.worked if message in {turn, *self.worked[turn]}]
        done = [turn for turn in turns if turn in self.left]
        # Whoever was killed at the end of a turn may have left or not.
        maybe = [t for t in turns if t in self.killed and t not in self.left | self.told.keys()]
        told = self.told.get(message)
        what = self.tell_of(message)
        if told == "LockAbsorbed":
            assert len(done) == 1 or (not done and maybe), what
            return True
        if message in self.left:
            assert done == [message], what
            return True
        assert len(done) <= 1, what
        if message in self.killed and told is None:
            return True if done else None
        assert told is not None, what
        if told not in _OF_ITS_OWN:
            assert not done, what
        return True if done else None if maybe else False


@contextlib.contextmanager
def _worker(url: str, seed: int, messages: list[str]) -> Iterator[subprocess.Popen[str]]:
    job = json.dumps({"url": url, "seed": seed, "messages": messages})
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM), job],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # warnings of leases that were lost
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _disturb(
    rng: random.Random, workers: list[subprocess.Popen[str]], proxy: Proxy, until: float
) -> set[int]:
    """Kill one worker, freeze others past their lease, lose replies; return who was killed."""
    killed: set[int] = set()
    while time.monotonic() < until:
        time.sleep(rng.random() * 0.2)
        proxy.cut(rng.choice(["absorb", "leave", "take"]), rng.choice(["reply", "request"]))
        which = rng.randrange(len(workers))
        if which in killed or workers[which].poll() is not None:
            continue
        what = rng.random()
        if what < 0.15 and not killed:
            workers[which].kill()
            killed.add(which)
        elif what < 0.3:
            workers[which].send_signal(signal.SIGSTOP)
            time.sleep(LIFETIME * rng.choice([0.5, 1.3]))
            workers[which].send_signal(signal.SIGCONT)
    return killed


@pytest.mark.parametrize("seed", range(_HISTORIES))
def test_each_message_is_handled_once_or_its_sender_is_told(
    server: RedisServer, proxy: Proxy, seed: int
) -> None:
    rng, said = random.Random(seed), _Said()
    shares = [[f"{worker}-{index}" for index in range(_EACH)] for worker in range(3)]
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(_worker(proxy.url(socket_timeout=1), seed * 10 + number, share))
            for number, share in enumerate(shares)
        ]
        killed = _disturb(rng, workers, proxy, time.monotonic() + 3.0)
        for number, worker in enumerate(workers):
            text, _ = worker.communicate(timeout=60)
            assert number in killed or worker.returncode == 0
            if number in killed:
                said.killed.update(shares[number])
            said.read(text)
    ends = Counter(said.told.values()) + Counter({"left": len(said.left)})
    assert ends["left"] > 0, ends
    with LockStore.create(server.url()) as store:
        for message in [message for share in shares for message in share]:
            is_done = said.check(message)
            if is_done is not None:
                assert _is_known(store, message) == is_done, said.tell_of(message)


def _is_known(store: LockStore, message: str) -> bool:
    try:
        with store.lock("c", 5.0, message_id=message, timeout=10.0):
            return False
    except DuplicateMessage as known:
        return known.state == "done"

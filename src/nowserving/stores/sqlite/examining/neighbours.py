"""The processes beside this one: whether they live, and whether they can be told."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import statistics
import time
from typing import TYPE_CHECKING

from nowserving._host.identity import nonce
from nowserving.protocol.examination import Finding
from nowserving.stores.sqlite.peers import HAS_LOCKS, names_in, state_of
from nowserving.stores.sqlite.post import bind
from nowserving.stores.wording import count, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving.stores.sqlite.examining.database import Process

_DATAGRAMS = 20
_WITHIN = 1.0
"""Seconds for a datagram to ourselves."""

_NOT_WOKEN = (
    "Its waiters are not woken by processes like this one: they look every wait_time_in_seconds."
)


def examine(folder: str, known: Mapping[str, Process]) -> list[Finding]:
    """Return what is found of the peers' folder.

    Args:
        folder: The folder.
        known: The processes that the database knows, by name.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - paths are texts here
        return [
            Finding(
                "processes",
                folder,
                "note",
                "nobody uses the store right now: the folder is not there",
                "The first process makes it.",
            )
        ]
    if not HAS_LOCKS:
        return [
            Finding(
                "processes",
                folder,
                "warning",
                "this system has no flock",
                "A dead process's tickets stay in line until their lifetime is over.",
                "Take Linux or macOS, or short lifetimes with auto_renew.",
            )
        ]
    states = {name: state_of(folder, name) for name in names_in(folder)}
    alive = [name for name, is_alive in states.items() if is_alive]
    found = [_processes(folder, alive, len(states) - len(alive), known)]
    found += [each for name in alive if (each := _reached(folder, known.get(name)))]
    return [*found, _push(folder)]


def _processes(folder: str, alive: list[str], dead: int, known: Mapping[str, Process]) -> Finding:
    those = sorted((known[name].host, known[name].pid) for name in alive if name in known)
    named = ", ".join(f"{pid} on {host}" for host, pid in those)
    found = f"{count(len(alive), 'store')} in use" + (f" (process {named})" if named else "")
    figures = {"alive": len(alive), "dead": dead}
    if dead:
        return Finding(
            "processes",
            folder,
            "note",
            f"{found}; {dead} died and left their files",
            "Whoever waits next takes their tickets out of line, at once.",
            figures=figures,
        )
    meaning = "When one of them dies its tickets are skipped within 0.1 s."
    return Finding("processes", folder, "fine", found, meaning, figures=figures)


def _reached(folder: str, process: Process | None) -> Finding | None:
    """Return what keeps a process from being told; None if nothing does."""
    if process is None:  # it has not written anything yet
        return None
    subject = f"{folder}: process {process.pid} on {process.host}"
    if not process.address:
        return Finding(
            "sockets",
            subject,
            "warning",
            "it has no socket",
            _NOT_WOKEN,
            "See its log: the folder's file system may take no sockets. Put the file elsewhere.",
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.connect(process.address)  # says whether it may be written to, and sends nothing
    except OSError as error:
        return Finding(
            "sockets",
            subject,
            "warning",
            f"its socket can't be reached ({error.strerror})",
            _NOT_WOKEN,
            _remedy(error, process.address),
        )
    return None


def _remedy(error: OSError, address: bytes) -> str:
    if error.errno == errno.EACCES:
        return "Let the processes' users write to each other's sockets: one group, umask 0002."
    if address.startswith(b"\0"):
        return (
            "The path of the file is longer than 100 bytes, so its socket is seen within one "
            "network namespace only. Shorten the path, or run the containers in one namespace."
        )
    return "Somebody may have deleted it; the process makes it anew within seconds of its use."


def _push(folder: str) -> Finding:
    """Send datagrams to ourselves, by a socket in the same folder."""
    place = f"{folder}/doctor-{nonce()}.sock"
    try:
        with contextlib.ExitStack() as stack:
            ear, address = bind(place)
            stack.enter_context(ear)
            stack.callback(_remove, place)
            ear.settimeout(_WITHIN)
            mouth = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            times = [_sent(mouth, ear, address) for _ in range(_DATAGRAMS)]
    except OSError as error:
        return Finding(
            "push",
            folder,
            "warning",
            f"no socket can be used there ({error.strerror or error})",
            "Waiters of other processes are not woken, but look every wait_time_in_seconds: a turn "
            "begins up to that much late.",
            "Put the file on a file system that takes sockets, in a folder that can be written.",
        )
    median, worst = statistics.median(times), max(times)
    kind = "" if address.startswith(b"/") else ", by a name outside of the file system"
    return Finding(
        "push",
        folder,
        "fine",
        f"median {span(median)}, worst {span(worst)} of {len(times)} datagrams{kind}",
        "Whoever is next is woken at once, whichever process it is in.",
        figures={"median_seconds": round(median, 6), "worst_seconds": round(worst, 6)},
    )


def _sent(mouth: socket.socket, ear: socket.socket, address: bytes) -> float:
    began = time.perf_counter()
    mouth.sendto(b"[]", address)
    ear.recv(16)
    return time.perf_counter() - began


def _remove(place: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(place)  # noqa: PTH108

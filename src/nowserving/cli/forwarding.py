"""Signals that ``nowserving run`` gets, told to its event loop with where they came from.

What a terminal sends (Ctrl-C) goes to all that run in it, the command included; if it were handed
on, the command would get it twice. What a person or a supervisor sends to ``run`` alone, the
command knows only if it is handed on. Only the kernel can tell one from the other, and does so to
whoever waits for signals: here that is a thread.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def _known(*names: str) -> frozenset[signal.Signals]:
    return frozenset(each for each in signal.Signals if each.name in names)


ENDING = _known("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
"""Signals that end a command, unless it says otherwise."""

_OTHERS = _known("SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGCONT")
_OF_A_TERMINAL = _known("SIGINT", "SIGQUIT", "SIGTSTP", "SIGHUP")


def block() -> set[signal.Signals]:
    """Keep the signals that are handed on for :func:`listen`, in this thread and those it starts.

    One that is ignored stays so, as under ``nohup``.

    Returns:
        What was blocked before.
    """
    return {signal.Signals(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, _heard())}


def listen(loop: asyncio.AbstractEventLoop, told: Callable[[signal.Signals, bool], None]) -> None:
    """Tell an event loop of each signal, for as long as the process lives.

    Args:
        loop: The event loop.
        told: Called in it with the signal, and whether it came from a terminal.
    """

    def wait() -> None:
        heard = _heard()
        while True:
            signum, of_terminal = _next(heard)
            try:
                loop.call_soon_threadsafe(told, signum, of_terminal)
            except RuntimeError:  # the loop is closed: nobody is there any more
                return

    threading.Thread(target=wait, name="nowserving-signals", daemon=True).start()


def stop() -> None:
    """Stop this process as Ctrl-Z does, until somebody lets it go on.

    The kernel decides whether that is right: with nobody there who could let it go on, it is not.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    signal.raise_signal(signal.SIGTSTP)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _heard() -> set[signal.Signals]:
    return {each for each in ENDING | _OTHERS if signal.getsignal(each) is not signal.SIG_IGN}


def _next(heard: set[signal.Signals]) -> tuple[signal.Signals, bool]:
    if hasattr(signal, "sigwaitinfo"):
        info = signal.sigwaitinfo(heard)
        return signal.Signals(info.si_signo), info.si_code > 0  # SI_KERNEL; SI_USER is 0
    signum = signal.Signals(signal.sigwait(heard))  # macOS does not tell
    return signum, signum in _OF_A_TERMINAL

"""What the thread works with: the database, what stands beside it, and how transactions are made.

==============================  ===================================================================
What happens right there        what becomes of it
==============================  ===================================================================
the process is killed in a      SQLite undoes it; its peers find its file unlocked, and have its
transaction, or right after     tickets expire
it stands still in one          others wait for as long as they may; then ``StoreUnavailable``
it forks                        the fork waits for the transaction, and the connection is closed:
                                SQLite's locks and counters must not be copied (``before_fork``)
it is killed before it tells    the next one in line is served, and does not know: its poll tells
whoever is served               it, after ``wait_time_in_seconds`` at most
the file is deleted, or         the next transaction opens what stands there; the tickets are gone,
replaced                        and their owners are told so
what stands beside is deleted   the process makes it anew within seconds, while it is used
==============================  ===================================================================
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nowserving._host.process import this_process
from nowserving.stores._lines import Tokens
from nowserving.stores.sqlite.database import Database
from nowserving.stores.sqlite.ground import Ground
from nowserving.stores.sqlite.kept import KeptLines
from nowserving.stores.sqlite.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving.protocol.status import TicketStatus
    from nowserving.stores.sqlite.post import Bells

    Step = Callable[[Verbs], Any]

Notice = tuple[str, "TicketStatus"]

_FORK_WAITS = 2.0
"""Seconds for which a fork waits for the end of a transaction."""


class Access:
    """The way to one database; to be used by one thread, but for what forks call.

    Args:
        path: The database's file.
        name: The name of this process.
        bells: Whom to tell of news.
    """

    def __init__(self, path: str, name: str, bells: Bells) -> None:
        self.name = name
        self._path = path
        self._bells = bells
        self._tokens = Tokens()
        self._steady = threading.Lock()  # held while the connection is used
        self._database: Database | None = None
        self._kept = KeptLines()
        self._ground: Ground | None = None
        self._addresses: dict[str, bytes] = {}
        self._is_noted = False  # this process, in the database that is open

    # Transactions

    def transact(self, steps: list[Step]) -> tuple[list[Any], list[Notice]]:
        """Do some steps in one transaction, and tell other processes what concerns them.

        Returns:
            What each step has returned, and what the owners in this process are to be told.

        Raises:
            sqlite3.Error: If it could not be done; nothing was, then.
            LockError: If there can be no database.
            OSError: If something beside it can't be made.
        """
        while True:
            ground = self._stand()
            with ground.turnstile, self._steady:
                database = self._database
                if database is None:  # a fork came between
                    continue
                if not database.is_set_up:
                    database.set_up()
                first: list[Step] = [] if self._is_noted else [self._note_process]
                results, mail = self._in_transaction(database, first + steps)
                self._is_noted = True
            own = mail.pop(self.name, [])
            for process, notices in mail.items():
                address = self._addresses.get(process)
                if address is not None:
                    ground.sender.send(address, notices)
            return results[len(first) :], own

    def _in_transaction(
        self, database: Database, steps: list[Step]
    ) -> tuple[list[Any], dict[str, list[Notice]]]:
        if not database.begin():
            self._kept.clear()
        verbs = Verbs(database, self._tokens, self._kept, time.time())
        try:
            results = [step(verbs) for step in steps]
            mail: dict[str, list[Notice]] = {}
            for owner, news in verbs.write():
                process, dot, _ = owner.partition(".")
                if not dot:
                    continue  # a ticket that nobody has claimed
                mail.setdefault(process, []).append((owner, news))
                if process not in self._addresses:
                    address = verbs.address_of(process)
                    if address:
                        self._addresses[process] = address
            database.commit()
        except BaseException:
            verbs.undo()
            with suppress(sqlite3.Error):
                database.roll_back()
            raise
        verbs.keep()
        return results, mail

    def _stand(self) -> Ground:
        """Return what stands beside the database; both are made where they are not."""
        with self._steady:
            if self._database is not None and not self._database.is_in_place():
                self._drop_database()
            if self._database is None:
                self._database = Database(os.path.realpath(self._path))
            path = self._database.path
        if self._ground is None:  # only now: it is a database, and ours
            self._ground = Ground(path, self.name, self._bells)
        return self._ground

    def _note_process(self, verbs: Verbs) -> None:
        address = b"" if self._ground is None else self._ground.mailbox.address
        verbs.add_process(self.name, this_process(), address)

    def drop_database(self) -> None:
        """Close the database; the next transaction opens it again."""
        with self._steady:
            self._drop_database()

    def _drop_database(self) -> None:
        database, self._database = self._database, None
        self._is_noted = False
        self._kept.clear()
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def make_room(self) -> None:
        """Look for room on a full disk."""
        with self._steady:
            if self._database is not None:
                self._database.make_room()

    # Beside the database

    def is_open(self) -> bool:
        """Return whether anything was opened."""
        return self._ground is not None

    def has_pending(self) -> bool:
        """Return whether something is still to be told to a process that was full."""
        return self._ground is not None and bool(self._ground.sender.pending)

    def tell_again(self) -> None:
        """Try that again."""
        if self._ground is not None:
            self._ground.sender.try_again()

    def find_dead(self) -> list[str]:
        """Return the names of processes that are dead; touches no database."""
        return [] if self._ground is None else self._ground.peers.find_dead()

    def bury(self, name: str) -> None:
        """Forget a dead process, whose tickets have expired by now."""
        if self._ground is not None:
            self._ground.peers.bury(name)
        self._addresses.pop(name, None)

    def mend(self) -> None:
        """Make anew what somebody has deleted beside the database."""
        if self._ground is not None:
            with suppress(OSError):
                self._ground.mend()

    def leave(self) -> None:
        """Let go of everything; the next transaction makes it anew."""
        ground, self._ground = self._ground, None
        if ground is not None:
            ground.close()
        self.drop_database()

    # Around a fork, on the thread that forks

    def before_fork(self) -> bool:
        """Close the connection, between two transactions; return whether that could be done.

        SQLite keeps a process's locks on a file in memory of the process. A child would inherit
        locks that it does not have, and its own first connection would rely on them.
        """
        rests = self._steady.acquire(timeout=_FORK_WAITS)
        if rests:
            self._drop_database()
        return rests

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._steady.release()

    def forked(self) -> None:
        """Close what a child has inherited; it is not to be used any more."""
        if self._ground is not None:
            self._ground.forked()

"""What a process has beside the database: its lock and its socket in the folder of its peers."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from nowserving.stores.sqlite.peers import Peers, Turnstile
from nowserving.stores.sqlite.post import Mailbox, Sender

if TYPE_CHECKING:
    from nowserving.stores.sqlite.post import Bells

logger = logging.getLogger("nowserving.stores.sqlite.ground")


class Ground:
    """The folder ``<database>-peers``, made where it is not.

    Args:
        path: The database's file, without symbolic links in its path: all processes have to meet.
        name: The name of this process.
        bells: Whom to tell of news.

    Raises:
        OSError: If the folder can't be made.
    """

    def __init__(self, path: str, name: str, bells: Bells) -> None:
        self._folder = f"{path}-peers"
        self._bells = bells
        os.makedirs(self._folder, exist_ok=True)  # noqa: PTH103
        self.turnstile = Turnstile(self._folder)
        self.sender = Sender()
        self.peers = Peers(self._folder, name)
        try:
            self.peers.join()
        except OSError as error:
            logger.warning(
                "No file can be locked in %s (%s): the tickets of a process that dies stay in line "
                "until their lifetime is over.",
                self._folder,
                error,
            )
        self.mailbox = Mailbox(self.peers.socket_path(), bells)

    def mend(self) -> None:
        """Make anew what somebody has deleted.

        At no time is this process without a lock: it has tickets.

        Raises:
            OSError: If that can't be done.
        """
        os.makedirs(self._folder, exist_ok=True)  # noqa: PTH103
        self.turnstile.mend()
        self.peers.join()
        if not self.mailbox.is_in_place():
            lost, self.mailbox = self.mailbox, Mailbox(self.peers.socket_path(), self._bells)
            lost.close()

    def close(self) -> None:
        """Let go of all of it."""
        self.mailbox.close()
        self.sender.close()
        self.peers.leave()
        self.turnstile.close()

    def forked(self) -> None:
        """Close what a child has inherited."""
        self.mailbox.forked()
        self.sender.close()
        self.peers.forked()
        self.turnstile.close()

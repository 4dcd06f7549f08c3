"""Every error that nowserving raises on purpose.

``LockError`` is the root of all that can go wrong between taking a ticket and leaving the
line. Its children say what happened and carry what is known about it, so that a caller can
answer the user ("you are third in line") without parsing a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class RasaException(Exception):  # noqa: N818 - the reference's name
    """Root of the reference API's exceptions (``rasa.shared.exceptions.RasaException``)."""


class ConnectionException(RasaException):
    """A store could not be reached while it was being created."""


class ConfigurationError(RasaException, ValueError):
    """A store's configuration (endpoint, URL, argument) names something unknown or unusable."""


class LockError(RasaException):
    """A lock could not be acquired, or what happened to it afterwards.

    Args:
        message: What happened, in a sentence that names the conversation.
        conversation_id: The conversation whose lock it is about, where one is known.
        number: The number of the ticket it is about, where one was issued.
        position: How many live tickets were ahead, where that is known.
        waited: Seconds spent waiting before the error, where there was a wait.
    """

    def __init__(
        self,
        message: str = "",
        *,
        conversation_id: str | None = None,
        number: int | None = None,
        position: int | None = None,
        waited: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.conversation_id = conversation_id
        self.number = number
        self.position = position
        self.waited = waited

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # An exception with keyword arguments does not pickle by itself, and errors do travel
        # between worker processes.
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))


class Holder(str):  # noqa: SLOT000 - errors travel, and what they carry has to pickle
    """Who holds a lock that somebody did not get: its owner id, and what else is known of it.

    It was asked for when the error was raised, for 50 ms at most; what is not known is None. An
    owner id says only that two holders are the same one, or are not; it is empty where the ticket
    that is served has none yet, because nobody has redeemed it.

    Attributes:
        label: What its turn is called (``lock(label=...)``).
        host: The host of its process.
        pid: The id of that process.
        since: Unix seconds at which its turn began, by the store's clock.
        message_id: The message that it works on.
    """

    label: str | None
    host: str | None
    pid: int | None
    since: float | None
    message_id: str | None

    def __new__(
        cls,
        owner: str = "",
        *,
        label: str | None = None,
        since: float | None = None,
        message_id: str | None = None,
    ) -> Self:
        """Make the holder with this owner id; its process is told when that is known."""
        holder = super().__new__(cls, owner)
        holder.label, holder.since, holder.message_id = label, since, message_id
        holder.host = holder.pid = None
        return holder


class LockTimeout(LockError):  # noqa: N818 - the project's vocabulary (docs/design.md)
    """The wait took longer than ``timeout``; the ticket was given back.

    With ``keep_place=True`` it was not: it stands in line with ``position`` tickets ahead, to be
    redeemed again. A ``position`` of 0 says that its turn has come by now, or comes as soon as the
    line has settled.

    Attributes:
        holder: Who held the lock when the wait was over; None if nobody did, or if that is not
            known: always so where the store has not answered.
    """

    holder: Holder | None = None


class LockBusy(LockError):  # noqa: N818
    """The line was not joined: it is held (``when_busy="reject"``) or full (``max_waiting``).

    Attributes:
        holder: Owner id of the ticket that is being served, where it has one, and what else is
            known of it.
        held_since: Unix seconds at which that turn began, by the store's clock.
    """

    holder: Holder | None = None
    held_since: float | None = None


class LockSuperseded(LockError):  # noqa: N818
    """A newer message of the conversation took this waiter's place (``latest``, ``interrupt``).

    Attributes:
        holder: Who held the lock then; None if nobody did, or if that is not known.
    """

    holder: Holder | None = None


class LockReleased(LockError):  # noqa: N818
    """Somebody has released this waiter's ticket, or one not redeemed yet (``store.release``).

    Attributes:
        reason: What was given as the reason; empty if nothing was.
    """

    reason: str = ""


class LockAbsorbed(LockError):  # noqa: N818
    """The holder took this waiter's message into its own turn (``absorb``), and that ended well.

    Attributes:
        by: The number of that holder's ticket; None if that is not known.
    """

    by: int | None = None


class LockInterrupted(LockError):  # noqa: N818
    """A newer message asked this holder to stop, and its body was cancelled (``interrupt``)."""


class LockLost(LockError):  # noqa: N818
    """The holder's ticket expired or was released by someone else while its body still ran."""


class LockReentered(LockError):  # noqa: N818
    """A task asked for the lock of a conversation that it holds already."""


class DuplicateMessage(LockError):  # noqa: N818
    """The same ``message_id`` is known in this conversation.

    Attributes:
        state: ``"waiting"``, ``"working"`` or ``"done"``: how far the first delivery is.
    """

    state: str = ""


class StoreUnavailable(LockError):  # noqa: N818
    """The store did not answer in time or refused the command; the cause is chained."""


class StoreClosed(LockError):  # noqa: N818
    """The store was closed before or during the wait."""


class CorruptLock(LockError):  # noqa: N818
    """Something that nowserving did not write stands where a conversation's record belongs.

    Attributes:
        key: The key or row that holds the foreign data, which is left untouched.
    """

    key: str = ""


class IncompatibleRecord(LockError):  # noqa: N818
    """A newer nowserving wrote the conversation's record; nothing was touched.

    Upgrade this process, or give the newer ones a ``key_prefix`` of their own meanwhile.

    Attributes:
        key: The key or row of the record.
        found: The protocol number of the record.
        supported: The highest one that this process can read.
    """

    key: str = ""
    found: int = 0
    supported: int = 0


def _rebuild(kind: type[LockError], message: str, state: dict[str, object]) -> LockError:
    error = kind(message)
    error.__dict__.update(state)
    return error

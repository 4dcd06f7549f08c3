"""The lock stores as Rasa's own: for the ``lock_store`` section of a bot's ``endpoints.yml``.

``type: nowserving.integrations.rasa.RedisLockStore`` is all that a bot needs. The classes here are
the stores of nowserving that are also ``rasa.core.lock_store.LockStore``. Nothing else of
nowserving imports Rasa.
"""

from __future__ import annotations

import nowserving
from nowserving import errors

try:
    import rasa.core.lock_store as theirs
    import rasa.shared.exceptions as their_errors
except ImportError as error:
    raise ImportError(
        "nowserving.integrations.rasa is for Rasa servers and needs Rasa in this environment "
        "(pip install rasa, or rasa-pro); everywhere else use the stores of nowserving itself, "
        f"for example nowserving.RedisLockStore. What failed: {error}",
        name=error.name,
    ) from error

__all__ = ["InMemoryLockStore", "RedisLockStore", "SQLiteLockStore"]


def _adopt(ours: type[Exception], parent: type[Exception]) -> None:
    """Make an error of ours, and all that derives from it, one of Rasa's as well.

    A second family of errors would have to be put in place wherever one of ours is raised, and one
    place would be forgotten. So ours get a further parent: who catches Rasa's error catches them,
    who catches ours goes on to, and an error made before is one of Rasa's from now on.
    """
    if not issubclass(ours, parent):
        ours.__bases__ = (*ours.__bases__, parent)


_adopt(errors.LockError, theirs.LockError)
_adopt(errors.ConnectionException, their_errors.ConnectionException)
_adopt(errors.ConfigurationError, their_errors.RasaException)


class _AnyConversation(nowserving.LockStore):
    """Rasa answers a message without a sender id, so here it is a conversation like any other."""

    def _name(self, conversation_id: object) -> str:
        return "" if conversation_id == "" else super()._name(conversation_id)


# What mypy must overlook: the two `create` differ in what they take. Rasa calls that of its own.


class RedisLockStore(  # type: ignore[misc]
    _AnyConversation, nowserving.RedisLockStore, theirs.LockStore
):
    """``nowserving.RedisLockStore`` for Rasa; any number of servers and Sanic workers.

    Rasa makes it as ``RedisLockStore(endpoint_config=...)``; the section's keys are the arguments
    of :class:`nowserving.RedisLockStore`, with ``url`` for ``host`` or for a whole URL.
    """


class SQLiteLockStore(  # type: ignore[misc]
    _AnyConversation, nowserving.SQLiteLockStore, theirs.LockStore
):
    """``nowserving.SQLiteLockStore`` for Rasa; any number of servers and workers of one machine.

    Rasa makes it as ``SQLiteLockStore(endpoint_config=...)``, with ``path`` or a whole URL.
    """


class InMemoryLockStore(  # type: ignore[misc]
    _AnyConversation, nowserving.InMemoryLockStore, theirs.LockStore
):
    """``nowserving.InMemoryLockStore`` for Rasa: one server with one Sanic worker."""

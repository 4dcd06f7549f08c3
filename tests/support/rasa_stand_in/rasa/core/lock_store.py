"""Rasa's lock store: the base class, the error, and the factory for classes named by path."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rasa.shared.exceptions import ConnectionException, RasaException

if TYPE_CHECKING:
    from rasa.utils.endpoints import EndpointConfig


class LockError(RasaException):
    """A lock could not be acquired."""


class LockStore:
    """Base class of Rasa's lock stores."""

    @staticmethod
    def create(obj: LockStore | EndpointConfig) -> LockStore:
        """Return a lock store, or make the one whose class a configuration names by its path."""
        if isinstance(obj, LockStore):
            return obj
        module, _, name = str(obj.type).rpartition(".")
        try:
            made = getattr(importlib.import_module(module), name)(endpoint_config=obj)
        except ConnectionError as error:
            raise ConnectionException("no connection") from error
        assert made is not None
        return made  # type: ignore[no-any-return]

"""A credential provider whose errors can't tell its secrets."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.credentials import CredentialProvider


class CredentialsUnavailable(Exception):  # noqa: N818 - the project's vocabulary
    """A provider gave none.

    Only the kind of its error is told: what it says may hold a token, or where to get one.

    Attributes:
        passing: Whether it may work the next time: it could not reach whom it asks.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the credential provider raised {type(error).__name__}")
        self.passing = isinstance(error, (OSError, asyncio.TimeoutError))


class Guarded(CredentialProvider):
    """Asks another provider.

    Args:
        provider: redis-py's, or whatever has its methods.
    """

    def __init__(self, provider: Any) -> None:  # noqa: ANN401 - the caller's
        self._provider = provider

    def get_credentials(self) -> Any:  # noqa: ANN401 - as the caller's
        """Return user and password, or the password alone."""
        try:
            return self._provider.get_credentials()
        except Exception as error:  # noqa: BLE001 - a provider raises what it likes
            failure = CredentialsUnavailable(error)
        raise failure  # here, where its own error is no context of it

    async def get_credentials_async(self) -> Any:  # noqa: ANN401
        """Return them as newer versions of redis-py ask for them."""
        try:
            return await self._provider.get_credentials_async()
        except Exception as error:  # noqa: BLE001
            failure = CredentialsUnavailable(error)
        raise failure

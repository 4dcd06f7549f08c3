"""Who a connection says it is, and a credential provider whose errors can't tell its secrets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.credentials import CredentialProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

_PASSWORD_ALONE, _WITH_USER = 1, 2


@dataclass(frozen=True)
class Login:
    """How a connection introduces itself. Its ``repr`` holds no secret.

    Attributes:
        db: The number of the database; 0 is where each connection begins.
        username: The ACL user; None for the default one.
        password: Its password.
        credential_provider: Whom to ask for both at each connection.
        client_name: The connection's name, as ``CLIENT LIST`` shows it.
    """

    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credential_provider: object = field(default=None, repr=False)
    client_name: str | None = None

    async def commands(self) -> list[tuple[Any, ...]]:
        """Return what to say.

        Raises:
            CredentialsUnavailable: If the credential provider gives none.
        """
        said: list[tuple[Any, ...]] = []
        if self.credential_provider is not None:
            said.append(("AUTH", *await ask_provider(self.credential_provider)))
        elif self.username:
            said.append(("AUTH", self.username, self.password or ""))
        elif self.password:
            said.append(("AUTH", self.password))
        if self.client_name:
            said.append(("CLIENT", "SETNAME", self.client_name))
        if self.db:
            said.append(("SELECT", self.db))
        return said

    @property
    def user(self) -> str:
        """The user, for messages."""
        return "the default user" if self.username is None else f"user {self.username!r}"


class CredentialsUnavailable(Exception):  # noqa: N818 - the project's vocabulary
    """A provider gave none.

    Only the kind of its error is told: what it says may hold a token, or where to get one.

    Args:
        what: What the provider did instead.
        passing: Whether it may work the next time: it could not reach whom it asks.

    Attributes:
        passing: The same.
    """

    def __init__(self, what: str, *, passing: bool = False) -> None:
        super().__init__(f"the credential provider {what}")
        self.passing = passing


async def ask_provider(provider: Any) -> Sequence[str]:  # noqa: ANN401 - the caller's
    """Return user and password, or the password alone.

    Args:
        provider: redis-py's, or whatever has its methods.

    Raises:
        CredentialsUnavailable: If it gives none.
    """
    try:
        found = await _credentials(provider)
    except Exception as error:  # noqa: BLE001 - a provider raises what it likes
        passing = isinstance(error, (OSError, asyncio.TimeoutError))
        failure = CredentialsUnavailable(f"raised {type(error).__name__}", passing=passing)
    else:
        if isinstance(found, (tuple, list)) and len(found) in {_PASSWORD_ALONE, _WITH_USER}:
            return found
        failure = CredentialsUnavailable("gave neither (user, password) nor (password,)")
    raise failure  # here, where its own error is no context of it


async def _credentials(provider: Any) -> object:  # noqa: ANN401
    # redis-py 4 has no such method; where later versions only inherit it, it warns that it is not
    # overridden, at each connection.
    inherited = getattr(CredentialProvider, "get_credentials_async", None)
    if getattr(type(provider), "get_credentials_async", inherited) is inherited:
        return provider.get_credentials()
    return await provider.get_credentials_async()

"""Configurations: Rasa's ``EndpointConfig``, and how a section of settings is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from nowserving.config import readers
from nowserving.config.urls import StoreUrl, scheme_of
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nowserving.config.readers import Reader

_VARIABLE = re.compile(r"\$\{\w+\}")
_EMPTY = (None, "")


class Endpoint(Protocol):
    """What an endpoint configuration must have: Rasa's has it, and so has ours."""

    type: str | None
    url: str | None
    kwargs: dict[str, Any]


class EndpointConfig:
    """What an ``endpoints.yml`` section says (``rasa.utils.endpoints.EndpointConfig``).

    Args:
        url: The server's host, or a store's URL with all that it says.
        params: Request parameters (unused by lock stores).
        headers: Request headers (unused by lock stores).
        basic_auth: Credentials (unused by lock stores).
        token: A token (unused by lock stores).
        token_name: The token's parameter name (unused by lock stores).
        cafile: A certificate bundle (unused by lock stores).
        **kwargs: Everything else of the section; ``type`` is taken from here.
    """

    def __init__(  # noqa: PLR0913 - the reference's signature
        self,
        url: str | None = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        basic_auth: dict[str, str] | None = None,
        token: str | None = None,
        token_name: str = "token",  # noqa: S107 - a parameter's name
        cafile: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever the section holds
    ) -> None:
        self.url = url
        self.params = params or {}
        self.headers = headers or {}
        self.basic_auth = basic_auth or {}
        self.token = token
        self.token_name = token_name
        self.cafile = cafile
        self.type = kwargs.pop("type", None)
        self.kwargs = kwargs

    def __repr__(self) -> str:
        # Only names: any value may be a secret.
        return f"EndpointConfig(type={self.type!r}, with {', '.join(self.kwargs) or 'no keys'})"


def is_endpoint(given: object) -> bool:
    """Return whether something has all that an endpoint configuration must have."""
    return all(hasattr(given, name) for name in ("type", "url", "kwargs"))


def read_section(
    endpoint: Endpoint, schemes: Collection[str]
) -> tuple[dict[str, Any], StoreUrl | None]:
    """Take an endpoint configuration apart.

    A key without a value, or with an empty text, is not said: an environment variable that is
    set to nothing gives such a one.

    Args:
        endpoint: The configuration.
        schemes: What a URL may begin with.

    Returns:
        Its own keys, and what its ``url`` says if that is a URL.

    Raises:
        ConfigurationError: If it says ``url`` and ``host``, has a URL that can't be read, or a
            variable that was not put in.
    """
    keys = {name: value for name, value in endpoint.kwargs.items() if value not in _EMPTY}
    url: object = endpoint.url
    for name, value in [*keys.items(), ("url", url)]:
        if isinstance(value, str) and _VARIABLE.search(value):
            raise ConfigurationError(
                f"The lock store's `{name}` holds a variable that was not replaced by its value: "
                "Rasa does that only where ${...} stands without quotes."
            )
    if url in _EMPTY:
        return keys, None
    if isinstance(url, str) and "://" in url:
        return keys, _read_url(url, schemes)
    if "host" in keys:
        raise ConfigurationError(
            "The lock store's endpoint has both `url` and `host`; they mean the same, keep `host`."
        )
    return {**keys, "host": _read("url", url, readers.host, "The lock store")}, None


def _read_url(url: str, schemes: Collection[str]) -> StoreUrl:
    scheme = scheme_of(url)
    if scheme not in schemes:
        raise ConfigurationError(
            f"This lock store does not go by {scheme}://; known are "
            f"{', '.join(f'{known}://' for known in sorted(schemes))}."
        )
    return StoreUrl(url)


def read_settings(
    given: Mapping[str, object],
    known: Mapping[str, Reader],
    where: str,
    *,
    names_are_safe: bool = True,
) -> dict[str, Any]:
    """Check settings by name and turn text into what each one is.

    Args:
        given: The settings as they came.
        known: How to read each setting.
        where: What the settings are of, for messages.
        names_are_safe: Whether an unknown name may be shown.

    Raises:
        ConfigurationError: For an unknown name (the known ones are listed) or a value that
            can't be read; a secret's value is not repeated.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        names = ", ".join(map(repr, unknown)) if names_are_safe else "a parameter of its URL"
        texts = sorted(name for name, reader in known.items() if reader is not readers.thing)
        raise ConfigurationError(f"{where} does not know {names}; known are {', '.join(texts)}.")
    return {name: _read(name, value, known[name], where) for name, value in given.items()}


def _read(name: str, value: object, reader: Reader, where: str) -> Any:  # noqa: ANN401 - any
    try:
        return reader(name, value)
    except (TypeError, ValueError) as error:
        what = str(error)
    raise ConfigurationError(f"{where}: {what}")  # with nothing chained that could say more

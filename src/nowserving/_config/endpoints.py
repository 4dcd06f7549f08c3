"""Endpoint configurations: Rasa's ``EndpointConfig``, and what a section of settings holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from nowserving._config import readers
from nowserving._config.settings import read_setting
from nowserving._config.urls import StoreUrl, scheme_of
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection

_VARIABLE = re.compile(r"\$\{\w+\}")


class Endpoint(Protocol):
    """What every endpoint configuration has, Rasa's and ours."""

    type: str | None
    url: str | None
    kwargs: dict[str, Any]


class EndpointConfig:
    """What an ``endpoints.yml`` section holds (``rasa.utils.endpoints.EndpointConfig``).

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
    """Return whether something is an endpoint configuration, by what it has."""
    return all(hasattr(given, name) for name in ("type", "url", "kwargs"))


def keys_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return the keys of an endpoint configuration that have a value.

    An empty text is none: an environment variable that is set to nothing leaves one.
    """
    return {name: value for name, value in endpoint.kwargs.items() if value not in (None, "")}


def read_section(
    endpoint: Endpoint, schemes: Collection[str]
) -> tuple[dict[str, Any], StoreUrl | None]:
    """Take an endpoint configuration apart.

    Args:
        endpoint: The configuration.
        schemes: What a URL may begin with.

    Returns:
        Its keys, and its ``url`` if that is a URL. A ``url`` that is a host becomes ``host``.

    Raises:
        ConfigurationError: If it has ``url`` and ``host``, a URL that can't be read, or a variable
            that was not replaced by its value.
    """
    keys = keys_of(endpoint)
    url: object = endpoint.url
    for name, value in [*keys.items(), ("url", url)]:
        if isinstance(value, str) and _VARIABLE.search(value):
            raise ConfigurationError(
                f"The lock store's `{name}` holds a variable that was not replaced by its value: "
                "Rasa does that only where ${...} stands without quotes."
            )
    if url in (None, ""):
        return keys, None
    if isinstance(url, str) and "://" in url:
        return keys, _read_url(url, schemes)
    if "host" in keys:
        raise ConfigurationError(
            "The lock store's endpoint has both `url` and `host`; they mean the same, keep `host`."
        )
    return {**keys, "host": read_setting("url", url, readers.host, "The lock store")}, None


def _read_url(url: str, schemes: Collection[str]) -> StoreUrl:
    scheme = scheme_of(url)
    if scheme not in schemes:
        raise ConfigurationError(
            f"This lock store does not go by {scheme}://; known are "
            f"{', '.join(f'{known}://' for known in sorted(schemes))}."
        )
    return StoreUrl(url)

"""From a configuration to a store: finds the class, and makes it as Rasa does."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from nowserving._config.endpoints import EndpointConfig, is_endpoint
from nowserving._config.urls import scheme_of
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving._config.endpoints import Endpoint

_Store = TypeVar("_Store")


def from_url(url: str, schemes: Mapping[str, type[_Store]]) -> _Store:
    """Make the store that a URL names, as from an endpoint configuration with nothing else.

    Args:
        url: The URL.
        schemes: The stores by URL scheme.

    Raises:
        ConfigurationError: For an unknown scheme, parameter or value.
    """
    scheme = scheme_of(url)
    cls = schemes.get(scheme)
    if cls is None:
        raise ConfigurationError(
            f"No lock store goes by {scheme}://; known are "
            f"{', '.join(f'{scheme}://' for scheme in sorted(schemes))}."
        )
    return _make(cls, EndpointConfig(url=url))


def from_endpoint(
    endpoint: Endpoint | None,
    kinds: Mapping[str, type[_Store]],
    schemes: Mapping[str, type[_Store]],
) -> _Store:
    """Make the store that an endpoint configuration names by its type.

    Args:
        endpoint: The configuration. Without a type its URL's scheme counts, and without a scheme
            the store is in memory. None means in memory, too.
        kinds: The stores by type.
        schemes: The stores by URL scheme.

    Raises:
        ConfigurationError: For a type that is neither known nor the path of a class, or one that
            can't be made of an endpoint configuration.
    """
    if endpoint is None:
        return kinds["in_memory"]()
    if not is_endpoint(endpoint):
        raise ConfigurationError(
            f"A lock store can't be made of a {type(endpoint).__name__}; give a LockStore, a URL, "
            "an endpoint configuration, or None for an in-memory store."
        )
    cls: type[_Store]
    if endpoint.type is not None:
        cls = kinds.get(endpoint.type) or _load(endpoint.type, kinds)
    else:
        scheme = scheme_of(endpoint.url) if endpoint.url and "://" in endpoint.url else ""
        cls = schemes.get(scheme, kinds["in_memory"])
    return _make(cls, endpoint)


def _make(cls: type[_Store], endpoint: Endpoint) -> _Store:
    make: Any = cls
    try:
        inspect.signature(make).bind(endpoint_config=endpoint)
    except TypeError as error:
        raise ConfigurationError(
            f"A lock store is made as {cls.__qualname__}(endpoint_config=...), as Rasa does it, "
            f"and this class can't be: {error}"
        ) from None
    made: _Store = make(endpoint_config=endpoint)
    return made


def _load(path: str, kinds: Mapping[str, type[_Store]]) -> Any:  # noqa: ANN401 - a user's class
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"The lock store type {path!r} is neither one of {', '.join(sorted(kinds))} nor a "
            f"class that can be loaded: {error}"
        ) from error

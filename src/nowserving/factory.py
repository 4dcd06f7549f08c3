"""From a configuration to a store: which class, and with what settings."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nowserving.endpoints import StoreUrl
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


class Endpoint(Protocol):
    """What an endpoint configuration must have: Rasa's has it, and so has ours."""

    type: str | None
    url: str | None
    kwargs: dict[str, Any]


class Configurable(Protocol):
    """A class that can be made from settings."""

    @classmethod
    def from_settings(cls, given: dict[str, Any]) -> Self:
        """Make one of it from the settings of a URL or an endpoint."""
        ...


_Store = TypeVar("_Store", bound=Configurable)

_ENDPOINT = ("type", "url", "kwargs")


def from_url(url: str, schemes: Mapping[str, type[_Store]]) -> _Store:
    """Make the store that a URL names.

    Args:
        url: The URL.
        schemes: The stores by URL scheme.

    Raises:
        ConfigurationError: For an unknown scheme, parameter or value.
    """
    parsed = StoreUrl(url)
    cls = schemes.get(parsed.scheme)
    if cls is None:
        raise ConfigurationError(
            f"No lock store goes by {parsed.scheme}://; known are "
            f"{', '.join(f'{scheme}://' for scheme in sorted(schemes))}."
        )
    return _make(cls, {"scheme": parsed.scheme, **parsed.settings})


def from_endpoint(endpoint: Endpoint | None, kinds: Mapping[str, type[_Store]]) -> _Store:
    """Make the store that an endpoint configuration names by its type.

    Args:
        endpoint: The configuration; None or one without a type means in memory.
        kinds: The stores by type.

    Raises:
        ConfigurationError: For a type that is neither known nor the path of a class.
    """
    if endpoint is not None and not all(hasattr(endpoint, name) for name in _ENDPOINT):
        raise ConfigurationError(
            f"A lock store can't be made of {endpoint!r}; give a LockStore, a URL, an endpoint "
            "configuration, or None for an in-memory store."
        )
    if endpoint is None or endpoint.type is None:
        return kinds["in_memory"]()
    cls = kinds.get(endpoint.type)
    if cls is not None:
        return _make(cls, settings_of(endpoint))
    custom: _Store = _load(endpoint.type, kinds)(endpoint_config=endpoint)
    return custom


def settings_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return an endpoint's settings by name; ``url`` is the older name of ``host``.

    Raises:
        ConfigurationError: If it has both.
    """
    settings = dict(endpoint.kwargs)
    if endpoint.url is not None:
        if settings.get("host") is not None:
            raise ConfigurationError(
                "The lock store's endpoint has both `url` and `host`; they mean the same, "
                "keep `host`."
            )
        settings["host"] = endpoint.url
    return settings


def _make(cls: type[_Store], settings: dict[str, Any]) -> _Store:
    try:
        return cls.from_settings(settings)
    except ConfigurationError:
        raise
    except (TypeError, ValueError) as error:  # a value that only lock() knows to be wrong
        raise ConfigurationError(f"The configuration of {cls.__name__}: {error}") from error


def _load(path: str, kinds: Mapping[str, type[Configurable]]) -> Any:  # noqa: ANN401 - a user's class
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"The lock store type {path!r} is neither one of {', '.join(sorted(kinds))} nor a "
            f"class that can be loaded: {error}"
        ) from error

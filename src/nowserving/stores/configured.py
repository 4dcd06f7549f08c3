"""How a store of ours is configured: by arguments, by an ``endpoints.yml`` section, by a URL.

Whatever is given is used or is an error; nothing falls back to a default in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nowserving._config import options
from nowserving._config.defaults import given
from nowserving._config.endpoints import is_endpoint, keys_of, read_section
from nowserving._config.settings import read_settings
from nowserving.errors import ConfigurationError
from nowserving.stores.base import LockStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from nowserving._config.endpoints import Endpoint
    from nowserving._config.options import Defaults
    from nowserving._config.readers import Reader
    from nowserving._config.urls import StoreUrl


class ConfiguredStore(LockStore):
    """A store made by arguments, by ``endpoint_config`` as Rasa does it, or by both.

    Arguments win over the section beside them. A URL is a section that holds nothing else.
    """

    _title: ClassVar[str]
    """What messages call it."""

    _readers: ClassVar[Mapping[str, Reader]] = options.READERS
    """Every setting that a section or a URL may hold, and how it is read."""

    _argument_defaults: ClassVar[Mapping[str, Any]] = {}
    """The defaults in its signature other than None."""

    _groups: ClassVar[tuple[frozenset[str], ...]] = ()
    """Settings of one kind. A subclass that does not hand on those of its section has to give at
    least one of the same group as an argument."""

    _section: Endpoint | None = None

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Note the section that the class is made with, even if ``__init__`` drops it."""
        made = super().__new__(cls)
        section: Any = kwargs.get("endpoint_config", args[0] if args else None)
        if is_endpoint(section):
            made._section = section
        return made

    def _read_settings(
        self, endpoint: Endpoint | None, arguments: Mapping[str, object], defaults: Defaults
    ) -> tuple[dict[str, Any], Defaults]:
        """Read and check what was given: the store's own settings, and options of turns.

        Args:
            endpoint: The section that reached our ``__init__``, if any.
            arguments: The store's own arguments.
            defaults: Its options of turns.

        Raises:
            ConfigurationError: If a setting is unknown, can't be read, or contradicts another.
            TypeError: If an argument is unknown.
        """
        for name in defaults:
            if name not in options.NAMES:
                known = sorted({"endpoint_config", *arguments, *options.NAMES})
                raise TypeError(
                    f"{type(self).__name__}() has no argument {name!r}; it has {', '.join(known)}"
                )
        read = read_settings(given(arguments), self._readers, self._title)
        section: Endpoint | None = vars(self).pop("_section", None)
        if endpoint is None:
            self._refuse_dropped_section(section, read.keys() | defaults.keys())
            return read, defaults
        settings = self._read_section(endpoint)
        for name, value in read.items():
            # A subclass that repeats our signature hands our defaults on as if they were meant.
            if settings.get(name, value) != value == self._argument_defaults.get(name):
                raise ConfigurationError(
                    f"{self._title}: the argument {name}={value!r} is what it is by default, and "
                    "the endpoint configuration says something else. Leave one of them out; a "
                    "subclass need not repeat our defaults."
                )
        settings |= read
        of_turns: Any = {name: settings.pop(name) for name in options.READERS if name in settings}
        return settings, {**of_turns, **defaults}

    def _refuse_dropped_section(self, section: Endpoint | None, names: set[str]) -> None:
        """Raise if a subclass was made with a section and did not hand it on.

        Args:
            section: The section.
            names: What the subclass gives instead.
        """
        if section is None:
            return
        dropped = set(keys_of(section))
        if section.url:
            dropped.add("url")
        for group in (*self._groups, self._readers.keys() | {"url"}):
            unused = sorted(dropped & group)
            if unused and not names & group:
                raise ConfigurationError(
                    f"{type(self).__name__} was made with an endpoint configuration and does not "
                    f"use what it says of {', '.join(unused)}. Hand it on: "
                    "super().__init__(endpoint_config=endpoint_config)."
                )

    def _read_section(self, endpoint: Endpoint) -> dict[str, Any]:
        """Read a section: its keys and its URL, which may not contradict each other."""
        schemes = {
            scheme
            for scheme, kind in self._schemes.items()
            if isinstance(self, kind) or issubclass(kind, type(self))
        }
        keys, url = read_section(endpoint, schemes)
        settings = self._read_keys(keys)
        if url is None:
            return settings
        of_url = self._read_url(url, settings)
        for name in sorted(of_url.keys() & settings.keys()):
            if of_url[name] != settings[name]:
                raise ConfigurationError(
                    f"{self._title}: the `url` of the endpoint configuration contradicts its "
                    f"`{name}`. Keep one of them."
                )
        return {**settings, **of_url}

    def _read_keys(self, keys: Mapping[str, object]) -> dict[str, Any]:
        return read_settings(keys, self._readers, self._title)

    def _read_url(self, url: StoreUrl, beside: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Read the settings in a URL.

        Args:
            url: The URL.
            beside: The settings that the section holds beside it.
        """
        names_are_safe = not url.has_secret_parameter
        return read_settings(
            url.settings, self._readers, self._title, names_are_safe=names_are_safe
        )

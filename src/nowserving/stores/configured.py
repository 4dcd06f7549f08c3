"""How a store of ours is configured: arguments, an ``endpoints.yml`` section, a URL.

Whatever was said is used or is an error; nothing falls back to a default in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nowserving._turns import options
from nowserving.config import readers
from nowserving.config.endpoints import is_endpoint, read_section, read_settings
from nowserving.config.unsaid import said
from nowserving.errors import ConfigurationError
from nowserving.protocol.status import WhenBusy
from nowserving.stores.base import LockStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from nowserving._turns.options import Defaults
    from nowserving.config.endpoints import Endpoint
    from nowserving.config.readers import Reader
    from nowserving.config.urls import StoreUrl

TURN_SETTINGS: dict[str, Reader] = {
    "lock_lifetime": readers.number,
    "wait_time_in_seconds": readers.limit,
    "auto_renew": readers.flag,
    "timeout": readers.limit,
    "max_hold": readers.number,
    "on_lost": readers.choice(options.OnLost),
    "when_busy": readers.choice(WhenBusy),
    "max_waiting": readers.whole,
    "reentrant": readers.flag,
}
"""The options of ``lock()`` that may be set once on a store, and how each is read from text."""


class ConfiguredStore(LockStore):
    """A store made by arguments, or as Rasa does it by ``endpoint_config``, or by both.

    Arguments beside a section win. A URL is a section that says nothing else.
    """

    _readers: ClassVar[Mapping[str, Reader]] = TURN_SETTINGS
    """The settings that it knows, and how each is read."""

    _usual: ClassVar[Mapping[str, Any]] = {}
    """What its arguments are if they are not said."""

    _belong_together: ClassVar[tuple[frozenset[str], ...]] = ()
    """Names of which one has to be said if the section says one."""

    _named: ClassVar[str]
    """What messages call it."""

    _section: Endpoint | None = None

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Note the section that the class is made with, however its ``__init__`` hands it on."""
        made = super().__new__(cls)
        given: Any = kwargs.get("endpoint_config", args[0] if args else None)
        if is_endpoint(given):
            made._section = given
        return made

    def _settle(
        self, endpoint: Endpoint | None, arguments: Mapping[str, object], defaults: Defaults
    ) -> tuple[dict[str, Any], Defaults]:
        """Check all that was said, and return it: settings, and options of turns.

        Args:
            endpoint: The section that was handed on to us, if any.
            arguments: The arguments that this store has beside the options of turns.
            defaults: The options of turns.

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
        given = read_settings(said(arguments), self._readers, self._named)
        section: Endpoint | None = vars(self).pop("_section", None)
        if endpoint is None:
            self._check_dropped(section, given.keys() | defaults.keys())
            return given, defaults
        settings = self._read(endpoint)
        for name, value in given.items():
            # A subclass that repeats our signature hands our defaults on as if they were meant.
            if settings.get(name, value) != value == self._usual.get(name):
                raise ConfigurationError(
                    f"{self._named}: the argument {name}={value!r} is what it is by default, and "
                    "the endpoint configuration says something else. Leave one of them out; a "
                    "subclass need not repeat our defaults."
                )
        settings |= given
        turns: Any = {name: settings.pop(name) for name in TURN_SETTINGS if name in settings}
        return settings, {**turns, **defaults}

    def _check_dropped(self, section: Endpoint | None, given: set[str]) -> None:
        """Raise if a subclass keeps to itself what it was told, and we would do without."""
        if section is None:
            return
        told = {name for name, value in section.kwargs.items() if value not in (None, "")}
        if section.url:
            told.add("url")
        for group in (*self._belong_together, self._readers.keys() | {"url"}):
            dropped = sorted(told & group)
            if dropped and not given & group:
                raise ConfigurationError(
                    f"{type(self).__name__} was made with an endpoint configuration and does not "
                    f"use what it says of {', '.join(dropped)}. Hand it on: "
                    "super().__init__(endpoint_config=endpoint_config)."
                )

    def _read(self, endpoint: Endpoint) -> dict[str, Any]:
        """Read a section: its keys, and what its URL says; they may not contradict each other."""
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
                    f"{self._named}: the `url` of the endpoint configuration contradicts its "
                    f"`{name}`. Keep one of them."
                )
        return {**settings, **of_url}

    def _read_keys(self, keys: Mapping[str, object]) -> dict[str, Any]:
        return read_settings(keys, self._readers, self._named)

    def _read_url(self, url: StoreUrl, beside: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Read what a URL says.

        Args:
            url: The URL.
            beside: What the section says beside it.
        """
        safe = not url.has_secret_parameter
        return read_settings(url.settings, self._readers, self._named, names_are_safe=safe)

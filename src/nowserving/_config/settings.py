"""Settings, read: from a class that lists them, by its readers, to checked values.

A settings class is a frozen dataclass whose fields say in their metadata how a setting is read
(``read``). It is the one list of its settings: the others are derived from it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nowserving._config import readers
from nowserving.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nowserving._config.readers import Reader


def readers_of(settings: type[Any]) -> dict[str, Reader]:
    """Return how each setting of a settings class is read.

    Args:
        settings: The class. A field without a reader is none that a configuration may hold.
    """
    found = {setting.name: setting.metadata.get("read") for setting in fields(settings)}
    return {name: read for name, read in found.items() if read is not None}


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
        texts = sorted(
            name for name, reader in known.items() if reader is not readers.python_object
        )
        raise ConfigurationError(f"{where} does not know {names}; known are {', '.join(texts)}.")
    return {name: read_setting(name, value, known[name], where) for name, value in given.items()}


def read_setting(name: str, value: object, reader: Reader, where: str) -> Any:  # noqa: ANN401 - any
    """Read one setting.

    Args:
        name: Its name.
        value: What was given.
        reader: How it is read.
        where: What it is a setting of, for messages.

    Raises:
        ConfigurationError: If it can't be read.
    """
    try:
        return reader(name, value)
    except (TypeError, ValueError) as error:
        what = str(error)
    raise ConfigurationError(f"{where}: {what}")  # with nothing chained that could say more

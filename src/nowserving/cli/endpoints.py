"""Rasa's ``endpoints.yml``: its ``lock_store`` section, read as Rasa reads it.

As there, ``${VARIABLE}`` is replaced where it stands without quotes, and scalars mean what YAML 1.2
says: ``no`` is a text. Only that section is looked at; other sections may need variables that are
not set here. No error repeats any of the file: there may be a password next to every mistake.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from nowserving import ConfigurationError, EndpointConfig

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

SECTION = "lock_store"

_FOR_RASA, _OURS = "nowserving.integrations.rasa.", "nowserving."
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_HAS_VARIABLE = re.compile(r"^(.*)\$\{(.*)\}(.*)$")
_SCALARS = (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", r"^<<$", "<"),
)
"""What a scalar without quotes may be beside a text, in YAML 1.2; ranked."""


def read_lock_store(file: Path) -> EndpointConfig:
    """Read the ``lock_store`` section of an ``endpoints.yml``.

    Args:
        file: The file.

    Returns:
        The section. The classes for Rasa are named as those of ours that they derive from: whoever
        only looks at a store needs no Rasa.

    Raises:
        ConfigurationError: If the file can't be read, is no YAML, has no such section, needs an
            environment variable that is not set, or if PyYAML is missing.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8: save it as UTF-8.") from None
    section = _read_section(file, text)
    kind = section.get("type")
    if isinstance(kind, str) and kind.startswith(_FOR_RASA):
        section["type"] = _OURS + kind.removeprefix(_FOR_RASA)
    try:
        return EndpointConfig(**section)
    except TypeError:
        raise ConfigurationError(f"A key of {SECTION} in {file} is no text: quote it.") from None


def _read_section(file: Path, text: str) -> dict[str, Any]:
    try:
        import yaml  # noqa: PLC0415 - only needed by whoever has such a file
    except ModuleNotFoundError:
        raise ConfigurationError(
            "Reading an endpoints.yml needs PyYAML: pip install 'nowserving[cli]'"
        ) from None
    loader = _loader(yaml.SafeLoader)(text)
    try:
        section = loader.get_single_node()
        found = None if section is None else _in_mapping(section)
        read = None if found is None else loader.construct_document(found)
    except ConfigurationError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = "" if mark is None else f", at line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigurationError(
            f"{file} can't be read as YAML{where}. A value with special characters needs quotes."
        ) from None
    except (ValueError, TypeError):  # what PyYAML raises for some scalars and keys
        raise ConfigurationError(f"{SECTION} in {file} can't be read as YAML.") from None
    finally:
        loader.dispose()
    if not isinstance(read, dict):
        raise ConfigurationError(
            f"{file} has no section {SECTION}: without one Rasa keeps its locks in its own memory, "
            "where nobody else sees them. Name the store of the bot there, or give --store."
        )
    return read


def _in_mapping(root: yaml.Node) -> yaml.Node | None:
    if not isinstance(root.value, list):
        return None
    pairs = [pair for pair in root.value if isinstance(pair, tuple)]
    return next((value for key, value in pairs if key.value == SECTION), None)


def _loader(base: type[yaml.SafeLoader]) -> type[yaml.SafeLoader]:
    """Return a loader that reads scalars as Rasa's does."""

    class Loader(base):  # type: ignore[valid-type, misc]
        yaml_implicit_resolvers: Any = {}  # noqa: RUF012 - none of the parent's

    Loader.add_implicit_resolver("!variable", _HAS_VARIABLE, None)
    for tag, pattern, first in _SCALARS:
        Loader.add_implicit_resolver(tag, re.compile(pattern), list(first))
    Loader.add_constructor("!variable", _replaced)
    Loader.add_constructor(
        "tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node))
    )
    return Loader


def _replaced(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    names = [braced or bare for braced, bare in _VARIABLE.findall(text)]
    missing = [name for name in names if name not in os.environ and f"${{{name}}}" in text]
    if missing:
        raise ConfigurationError(
            f"{SECTION} needs the environment "
            f"{'variable' if len(missing) == 1 else 'variables'} {', '.join(missing)}: set "
            f"{'it' if len(missing) == 1 else 'them'} as for the bot."
        )
    return os.path.expandvars(text)

"""The public names of nowserving with their signatures, as text that a person can read.

``python -m tests.support.api`` prints it; ``tests/unit/api.txt`` is what it is meant to be. It is
the same on every Python and with every redis-py: annotations are as they stand in the source, and
of a class only what nowserving itself defines is shown, once: where a public class inherits it
from another one, it stands there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, is_typeddict

if TYPE_CHECKING:
    from types import ModuleType

RASA_STAND_IN = Path(__file__).parent / "rasa_stand_in"

# Rasa comes last: importing it makes our errors Rasa's for the rest of the process.
MODULES = (
    "nowserving",
    "nowserving.dashboard",
    "nowserving.testing",
    "nowserving.integrations.logs",
    "nowserving.integrations.opentelemetry",
    "nowserving.integrations.prometheus",
    "nowserving.integrations.rasa",
)

MADE_BY_US = {"HeldLock", "Turn"}
"""Classes that ``lock()`` makes: how is our own business."""

SPECIAL = ("__init__", "__aenter__", "__aexit__", "__enter__", "__exit__")
"""What is public although it begins with an underscore."""


_NO_VALUE = inspect.Parameter.empty


class _Text:
    """An annotation or a default, shown as it stands in the source."""

    def __init__(self, annotation: object) -> None:
        self._text = getattr(annotation, "__forward_arg__", annotation)

    def __repr__(self) -> str:
        return self._text if isinstance(self._text, str) else inspect.formatannotation(self._text)


def describe(module: ModuleType) -> str:
    """Return the public names of a module, one a line, and below each class its own."""
    lines = [f"# {module.__name__}", ""]
    for name in module.__all__:
        lines += _described(name, getattr(module, name))
    return "\n".join(lines) + "\n"


def _described(name: str, thing: Any) -> list[str]:
    if is_typeddict(thing):
        keys = sorted(thing.__annotations__.items())
        return [f"typed dict {name}", *(f"    {key}: {_Text(kind)!r}" for key, kind in keys)]
    if isinstance(thing, type):
        return _class(name, thing)
    if inspect.isfunction(thing):
        return [_method(name, thing)]
    if get_origin(thing) is not None:
        return [f"{name} = one of {', '.join(map(repr, get_args(thing)))}"]
    return [f"{name} = {thing!r}"]


def _class(name: str, cls: type) -> list[str]:
    known = [parent for parent in cls.__mro__[1:-1] if _is_public(parent) or not _is_ours(parent)]
    inherited = {each for parent in known for each in parent.__mro__}
    parents = [each for each in known if not any(each in other.__mro__[1:] for other in known)]
    lines = [f"class {name}({', '.join(map(_path, parents))})"]
    # A public parent's own is told there.
    own = [each for each in reversed(cls.__mro__) if _is_ours(each) and each not in inherited]
    annotations = {key: note for each in own for key, note in _attributes(each).items()}
    members = {key: member for each in own for key, member in vars(each).items()}
    for key in sorted({*annotations, *(key for key in members if _is_shown(cls, key))}):
        member = members.get(key, _NO_VALUE)
        told = _method(key, member) or _attribute(key, annotations.get(key, ""), member)
        lines.append(f"    {told}")
    return lines


def _path(cls: type) -> str:
    is_plain = _is_ours(cls) or cls.__module__ == "builtins"
    return cls.__qualname__ if is_plain else f"{cls.__module__}.{cls.__qualname__}"


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "nowserving"


def _is_public(cls: type) -> bool:
    modules = [sys.modules[name] for name in MODULES if name in sys.modules]
    return any(getattr(each, name) is cls for each in modules for name in each.__all__)


def _is_shown(cls: type, name: str) -> bool:
    if name == "__init__":
        return cls.__name__ not in MADE_BY_US
    if name == "__new__":  # a constructor, unless it only looks at what __init__ is given
        return not any("__init__" in vars(each) for each in cls.__mro__ if _is_ours(each))
    # A test of the suite is what it does, not what it offers.
    is_public = name in SPECIAL or not name.startswith(("_", "test_"))
    return is_public and hasattr(cls, name)  # what `Turn` has not is there to say so


def _attributes(cls: type) -> dict[str, str]:
    """Return what is declared in the class or set by its ``__init__``, with its annotation."""
    found = dict.fromkeys(_set_by_init(cls), "")
    found |= {name: repr(_Text(kind)) for name, kind in inspect.get_annotations(cls).items()}
    return {name: note for name, note in found.items() if not name.startswith("_")}


def _set_by_init(cls: type) -> list[str]:
    if "__init__" not in vars(cls) or "__dataclass_fields__" in vars(cls):
        return []
    source = inspect.getsource(vars(cls)["__init__"])
    return re.findall(r"^ +self\.(\w+)(?:: [^=]+)? = ", source, re.MULTILINE)


def _attribute(name: str, annotation: str, member: object) -> str:
    """Show an attribute. Whoever reads one need not know whether it is a property."""
    value = ""
    if isinstance(member, functools.cached_property):
        member = property(member.func)
    if isinstance(member, property):
        annotation = repr(_Text(inspect.signature(member.fget or len).return_annotation))
    elif member is not _NO_VALUE and not inspect.isdatadescriptor(member):
        value = f" = {member!r}"
    return f"{name}{': ' if annotation else ''}{annotation}{value}"


def _method(name: str, member: object) -> str:
    """Show a method, or return nothing for what is none."""
    kind = ""
    if isinstance(member, (classmethod, staticmethod)):
        kind, member = f"{type(member).__name__} ", member.__func__
    if not inspect.isfunction(member):
        return ""
    word = "async def" if inspect.iscoroutinefunction(member) else "def"
    signature = inspect.signature(member)
    returned = signature.return_annotation
    if name in SPECIAL and name != "__init__":  # a statement calls it
        return f"{word} {name}(...) -> {_Text(returned)!r}"
    parameters = [
        each if each.annotation is _NO_VALUE else each.replace(annotation=_Text(each.annotation))
        for each in signature.parameters.values()
    ]
    if returned is not _NO_VALUE:
        returned = _Text(returned)
    signature = signature.replace(parameters=parameters, return_annotation=returned)
    return f"{kind}{word} {name}{signature}"


def main() -> None:
    sys.path.insert(0, str(RASA_STAND_IN))
    texts = [describe(importlib.import_module(name)) for name in MODULES]
    print("\n".join(texts), end="")  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()

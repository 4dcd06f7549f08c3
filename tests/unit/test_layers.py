"""Imports run downwards, in no circle, and past no name that is marked private.

All of this holds for the type checker's imports and for those inside of functions, too: what is
below never has to know what is above.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src"
PUBLIC = "nowserving"  # the package's own __init__: it hands the public names on

LAYERS = (
    {"errors", "lock"},
    {"held"},
    {"_host"},
    {"protocol"},
    {"_config"},
    {"instrumentation"},
    {"_life"},
    {"_runtime"},
    {"_turns"},
    {"stores"},
    {PUBLIC},
    {"integrations", "testing", "verify"},
    {"history"},
    {"dashboard"},
    {"cli"},
    {"__main__"},
)
"""From the lowest layer to the highest. Neighbours in one layer do not know each other."""

STORES = ("stores.memory", "stores.redis", "stores.sqlite")

EXTRAS = {
    "cli": {"rich", "typer", "yaml"},
    "dashboard": {"starlette", "uvicorn"},
    "integrations.opentelemetry": {"opentelemetry"},
    "integrations.prometheus": {"prometheus_client"},
    "integrations.rasa": {"rasa"},
    "stores.redis": {"hiredis", "redis"},
    "testing": {"pytest"},
}
"""Who may import what is not Python's own."""

# What is still to be put right. Who does so takes it out of here: the tests ask for that.
KNOWN_UPWARD: set[tuple[str, str]] = set()
KNOWN_SHARED: set[tuple[str, str]] = set()
KNOWN_FOREIGN: set[tuple[str, str]] = set()


class Import(NamedTuple):
    """One name that a module imports; modules of ours without the package's name in front."""

    importer: str
    module: str
    name: str
    is_ours: bool
    only_for_types: bool


def _short(module: str) -> str:
    return module.removeprefix(f"{PUBLIC}.")


FILES = {
    _short(".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")): path
    for path in sorted((SOURCE / PUBLIC).rglob("*.py"))
}


def _imports_of(importer: str) -> Iterator[Import]:
    tree = ast.parse(FILES[importer].read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{importer} imports by a relative path"
            found = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            is_ours = module.partition(".")[0] == PUBLIC
            if is_ours and _short(f"{module}.{name}") in FILES:
                module, name = f"{module}.{name}", ""  # noqa: PLW2901 - the name is a module
            yield Import(importer, _short(module), name, is_ours, node in for_types)


def _is_in(module: str, package: str) -> bool:
    return not package or f"{module}.".startswith(f"{package}.")


def _assert_known(found: set[tuple[str, str]], known: set[tuple[str, str]], wrong: str) -> None:
    new, gone = sorted(found - known), sorted(known - found)
    assert not new, f"{wrong}: {new}"
    assert not gone, f"put right by now: take it out of the list at the top: {gone}"


IMPORTS = [each for importer in FILES for each in _imports_of(importer)]
OURS = [each for each in IMPORTS if each.is_ours]


def _layer_of(module: str) -> int:
    top = module.partition(".")[0]
    (found,) = [number for number, layer in enumerate(LAYERS) if top in layer]
    return found


def test_every_module_is_in_a_layer() -> None:
    tops = {module.partition(".")[0] for module in FILES}
    assert tops <= set().union(*LAYERS), "say in LAYERS where this belongs"
    rooms = tops - {PUBLIC, "__main__"}
    assert len(rooms) <= 17, "a dozen and a few names at the top are enough"


def test_imports_run_downwards() -> None:
    upward = {
        (each.importer, each.module)
        for each in OURS
        if _layer_of(each.importer) <= _layer_of(each.module)
        and each.importer.partition(".")[0] != each.module.partition(".")[0]
    }
    _assert_known(upward, KNOWN_UPWARD, "these imports run upwards, or to a neighbour")


def test_imports_make_no_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for each in OURS:
        if (each.importer, each.module) not in KNOWN_UPWARD:
            graph[each.importer].add(each.module)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_store_is_known_to_another_nor_to_what_stores_share() -> None:
    strange = {
        (each.importer, each.module)
        for each in OURS
        for store in STORES
        if _is_in(each.importer, "stores")
        and not _is_in(each.importer, store)
        and _is_in(each.module, store)
    }
    _assert_known(strange, KNOWN_SHARED, "these know a store that is not their own")


def test_what_is_private_is_imported_only_in_the_package_where_it_stands() -> None:
    for each in OURS:
        before, private, _ = f".{each.module}".partition("._")
        assert not private or _is_in(each.importer, before[1:]), each
        if each.name.startswith("_") and not each.name.startswith("__"):
            is_package = FILES[each.module].name == "__init__.py"
            package = each.module if is_package else each.module.rpartition(".")[0]
            assert _is_in(each.importer, package), each


def test_only_an_extras_own_modules_need_it() -> None:
    foreign = {
        (each.importer, each.module.partition(".")[0])
        for each in IMPORTS
        if not each.is_ours and not each.only_for_types
    }
    strange = {
        (importer, package)
        for importer, package in foreign
        if package not in sys.stdlib_module_names
        and not any(_is_in(importer, at) and package in them for at, them in EXTRAS.items())
    }
    _assert_known(strange, KNOWN_FOREIGN, "these need a package that may not be installed")

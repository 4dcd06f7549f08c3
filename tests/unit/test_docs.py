"""What the pages say of names, where a test can tell."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from nowserving import InMemoryLockStore, RedisLockStore, SQLiteLockStore
from nowserving._config import options
from nowserving.testing.harness import log_records

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


async def test_the_log_lines_of_the_rasa_page_are_those_that_are_logged() -> None:
    shown = re.findall(
        r"^(DEBUG|WARNING) +(nowserving\.\w+) +- (.*)$", page("rasa.md"), re.MULTILINE
    )
    async with InMemoryLockStore() as store:
        with log_records(logging.DEBUG) as records:

            async def wait() -> None:
                async with store.lock("anna"):
                    pass

            async with store.lock("anna", 0.2) as lock:
                waiter = asyncio.create_task(wait())
                await asyncio.wait_for(lock.lost_event.wait(), 5)
            await waiter
    logged = {(record.levelname, record.name) for record in records}
    assert [level for level, _, _ in shown] == ["DEBUG", "WARNING"]
    for level, name, text in shown:
        assert (level, name) in logged
        begin = re.escape(text.partition(":")[0].partition(" (ticket")[0])
        assert any(re.match(begin, record.getMessage()) for record in records)


@pytest.mark.parametrize("name", sorted(RedisLockStore._readers))
def test_every_setting_is_on_the_pages(name: str) -> None:
    assert f"`{name}" in page("redis.md") + page("rasa.md")


@pytest.mark.parametrize("name", sorted(set(SQLiteLockStore._readers) - set(options.READERS)))
def test_every_setting_of_sqlite_is_on_its_page(name: str) -> None:
    assert f"| `{name}` |" in page("sqlite.md")


@pytest.mark.parametrize("name", sorted(options.READERS))
def test_every_option_of_a_section_is_on_the_rasa_page(name: str) -> None:
    assert f"| `{name}` |" in page("rasa.md")


def test_every_extra_that_is_named_is_there() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE))
    for path in (*PAGES, *(ROOT / "src").rglob("*.py")):
        for named in re.findall(r"nowserving\[([\w,]+)\]", path.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= known, path


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_link_between_pages_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target

"""Which store is meant, as a person types it; whatever is wrong is an error without a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
import typer
from typer.testing import CliRunner

from nowserving import RedisLockStore, SQLiteLockStore
from nowserving.cli import signals
from nowserving.cli.root import Root
from nowserving.cli.target import Endpoints, StoreUrl, opened

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

SECRET = "hunter2"  # noqa: S105 - what must not be seen


@pytest.fixture(autouse=True)
def _no_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWSERVING_STORE", raising=False)


def _look(
    store: StoreUrl = None,
    endpoints: Endpoints = None,
    *,
    make: Annotated[bool, typer.Option("--make")] = False,
) -> None:
    async def look() -> None:
        async with opened(store, endpoints, may_create=make) as found:
            where = found.path if isinstance(found, SQLiteLockStore) else ""
            if isinstance(found, RedisLockStore):
                where = repr(found._prefix)
            typer.echo(f"{type(found).__name__} {where}")
            if make:
                await found.inspect("c")

    signals.run(look())


def look(*arguments: str, **environment: str) -> Result:
    app = typer.Typer(cls=Root)
    app.command("look")(_look)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["look", *arguments], env={"COLUMNS": "400", **environment})


def write(folder: Path, text: str) -> str:
    file = folder / "endpoints.yml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_by_url_by_file_and_by_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    path.touch()
    url = f"sqlite:///{path}"
    file = write(tmp_path, f"models:\n  url: ${{NOT_SET}}\nlock_store:\n  url: {url}\n")
    for done in (
        look("--store", url),
        look("--endpoints", file),
        look(NOWSERVING_STORE=url),
        look("--endpoints", file, NOWSERVING_STORE="memory://"),
        look("--store", url, NOWSERVING_STORE="memory://"),
    ):
        assert (done.exit_code, done.stdout.strip()) == (0, f"SQLiteLockStore {path}")


def test_none_is_named() -> None:
    done = look()
    assert done.exit_code == 2
    assert "give --store URL or --endpoints FILE, or set NOWSERVING_STORE" in done.stderr
    assert look("--store", "memory://", "--endpoints", "x").exit_code == 2


def test_variables_are_replaced_as_rasa_does(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "lock_store:\n"
        "  type: nowserving.integrations.rasa.RedisLockStore\n"
        "  url: ${HOST_OF_REDIS}\n"
        "  db: ${DB}\n"
        "  key_prefix: bot${STAGE}\n"
        "  password: no\n",
    )
    variables = {"HOST_OF_REDIS": "127.0.0.1", "DB": "3", "STAGE": "prod"}
    done = look("--endpoints", file, **variables)
    assert done.stdout.strip() == "RedisLockStore 'botprod:lock:'", done.output
    done = look("--endpoints", file, HOST_OF_REDIS="127.0.0.1", DB="3")
    assert done.exit_code == 2
    assert "needs the environment variable STAGE: set it as for the bot" in done.stderr


def test_a_section_may_refer_to_another_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    path.touch()
    text = (
        "base: &base\n  type: ${KIND}\n  auto_renew: true\n"
        f"lock_store:\n  <<: *base\n  path: {path}\n  busy_timeout: 0.5e+1\n  lock_lifetime: 010\n"
    )
    done = look("--endpoints", write(tmp_path, text), KIND="sqlite")
    assert done.stdout.strip() == f"SQLiteLockStore {path}", done.output


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no section lock_store"),
        ("lock_store:\n", "has no section lock_store"),
        ("- 1\n", "has no section lock_store"),
        ("lock_store: [1]\n", "has no section lock_store"),
        (f"lock_store:\n  type: redis\n  password: *{SECRET}\n", "at line 3, column 13"),
        (f"lock_store:\n  type: redis\n  password: !{SECRET} x\n", "at line 3, column 13"),
        (f"lock_store:\n  type: redis\n  password: '{SECRET}\n", "can't be read as YAML, at line"),
        (f"lock_store:\n  type: redis\n  password: @{SECRET}\n", "can't be read as YAML, at line"),
        (f"lock_store:\n  type: redis\n  pass: {SECRET}\n", "does not know 'pass'"),
        (f"lock_store:\n  type: redis\n  db: {SECRET}\n", "db"),
        (f"lock_store:\n  type: redis\n  {{}}: {SECRET}\n", "can't be read as YAML"),
        (f"lock_store:\n  type: redis\n  1: {SECRET}\n", "A key of lock_store"),
        (f"lock_store:\n  url: redis://u:{SECRET}#@h\n", "raw #"),
        ('lock_store:\n  type: redis\n  url: "${HOME}"\n', "without quotes"),
    ],
)
def test_a_file_that_can_not_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    done = look("--endpoints", write(tmp_path, text))
    assert done.exit_code == 2, done.output
    assert complaint in done.stderr
    if "db:" not in text:
        assert SECRET not in done.output
    assert "Traceback" not in done.output


def test_a_file_that_is_not_there_is_named_and_no_text_is_refused(tmp_path: Path) -> None:
    assert "No such file" in look("--endpoints", str(tmp_path / "x.yml")).stderr
    assert look("--endpoints", str(tmp_path)).exit_code == 2
    (tmp_path / "y").write_bytes(b"\xff")
    assert "save it as UTF-8" in look("--endpoints", str(tmp_path / "y")).stderr


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        (f"redis://:{SECRET}@127.0.0.1:1/0", "redis://127.0.0.1:1/0 cannot be used"),
        (f"redis://:{SECRET}/x@127.0.0.1:1", "percent-encode the password"),
        (f"nosuch://:{SECRET}@h", "known are"),
        (f"redis://h/?password={SECRET}&x=1", "known are"),
        ("sqlite:////nowhere/at/all.db", "/nowhere/at/all.db cannot be used"),
        ("", "is not a store's URL"),
        ("\x1b[2J", "percent-encode"),
    ],
)
def test_a_store_that_can_not_be_used(url: str, complaint: str) -> None:
    done = look("--make", "--store", url)
    assert done.exit_code == 2, done.output
    assert complaint in done.stderr or "is not a store's URL" in done.stderr
    assert SECRET not in done.output
    assert "\x1b[2J" not in done.output


def test_a_database_is_not_made_by_looking_at_it(tmp_path: Path) -> None:
    path = tmp_path / "typo.db"
    done = look("--store", f"sqlite:///{path}")
    assert done.exit_code == 2
    assert f"there is no database {path}" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert look("--make", "--store", f"sqlite:///{path}").exit_code == 0


def test_a_hostile_argument_comes_back_escaped() -> None:
    done = look("--\x1b]0;x\x07")
    assert done.exit_code == 2
    assert "\x1b]" not in done.output
    assert r"\x1b]0;x\x07" in done.stderr

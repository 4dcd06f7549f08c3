"""Each kind of settings is listed once, as fields of a class; what tells of them tells of the same.

Where a new option or setting was forgotten, a test here says so.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nowserving import (
    ConfigurationError,
    Defaults,
    EndpointConfig,
    LockStore,
    Options,
    Overrides,
    RedisLockStore,
)
from nowserving._config import options, readers, urls
from nowserving.stores.redis import settings
from nowserving.stores.redis.settings import RedisSettings

DOCS = Path(__file__).parents[2] / "docs"


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return a method's parameters that are settings: not ``self``, sections and ``**``."""
    found = dict(inspect.signature(function).parameters)
    return {
        name: parameter
        for name, parameter in found.items()
        if name not in {"self", "conversation_id", "endpoint_config"}
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def described(thing: Any, section: str) -> list[str]:
    """Return the names that a docstring describes in a section (``Args``, ``Attributes``)."""
    text = (inspect.getdoc(thing) or "").partition(f"{section}:\n")[2].partition("\n\n")[0]
    return re.findall(r"^    (\w+): ", text, re.MULTILINE)


def table(page: str) -> dict[str, str]:
    """Return the keys in a page's table of keys, and what its second column says of each."""
    rows = (DOCS / page).read_text("utf-8").partition("\n| key |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", rows, re.MULTILINE)
    return {name: beside for keys, beside in cells for name in re.findall(r"`(\w+)`", keys)}


# Options of lock()


def test_the_typed_dictionaries_have_the_options() -> None:
    by_position = set(parameters(LockStore.lock))
    assert set(Overrides.__annotations__) == set(options.NAMES) - by_position
    assert set(Defaults.__annotations__) == set(options.NAMES)
    for name, annotation in Defaults.__annotations__.items():
        if name != "ticket":  # also takes what is read into one
            assert annotation.__forward_arg__ == Options.__annotations__[name]


def test_options_are_described() -> None:
    assert described(Options, "Attributes") == list(options.NAMES)


def test_lock_describes_the_options_with_their_defaults() -> None:
    text = inspect.getdoc(LockStore.lock) or ""
    told = re.findall(r"^ +``(\w+)`` \(([^,)]*)", text, re.MULTILINE)
    assert [name for name, _ in told] == list(Overrides.__annotations__)
    for name, default in told:
        assert ast.literal_eval(default.strip("`")) == getattr(Options, name)


@pytest.mark.parametrize("name", options.NAMES)
def test_a_store_takes_every_option_but_those_of_one_message(name: str) -> None:
    given: Any = {name: getattr(Options, name)}
    if name not in {"ticket", "message_id", "keep_place"}:
        LockStore(**given).close()
        return
    given[name] = "7"
    with pytest.raises(TypeError, match=f"{name} belongs to one message"):
        LockStore(**given)


@pytest.mark.parametrize("name", sorted(options.READERS))
def test_an_option_is_read_from_text_as_lock_takes_it(name: str) -> None:
    default = getattr(Options, name)
    text = "5" if default is None else str(default).lower()
    read = options.READERS[name](name, text)
    given: Any = {name: read}
    if name == "settle_max":  # limits another one
        given["settle"] = 1.0
    assert read == getattr(Options().but(**given), name)
    section = EndpointConfig(type="in_memory", **given)
    LockStore.create(section).close()


@pytest.mark.parametrize("name", sorted(options.READERS))
def test_the_rasa_page_has_every_option_with_its_default(name: str) -> None:
    default = getattr(Options, name)
    told = {None: "none", False: "false"}.get(default)
    if told is None:
        told = f"`{default}`" if isinstance(default, str) else f"{default:g}"
    assert table("rasa.md")[name] == told


# Settings of the Redis store


def test_the_arguments_of_a_redis_store_are_its_settings() -> None:
    arguments = parameters(RedisLockStore.__init__)
    assert list(arguments) == settings.ARGUMENTS
    for setting in fields(RedisSettings):
        if setting.name in arguments:
            assert arguments[setting.name].default == setting.default


def test_the_arguments_of_a_redis_store_are_described() -> None:
    assert set(described(RedisLockStore, "Args")) == {*settings.ARGUMENTS, "endpoint_config"}


@pytest.mark.parametrize("name", settings.ARGUMENTS)
def test_every_argument_of_a_redis_store_is_read(name: str) -> None:
    is_python = settings.READERS[name] is readers.python_object
    wrong: Any = {name: "a text" if is_python else object()}
    with pytest.raises(ConfigurationError, match=name):
        RedisLockStore(**wrong)


@pytest.mark.parametrize("wrong", ["", "/run/a\0b"])
@pytest.mark.parametrize("name", ["unix_socket", "ssl_ca_certs"])
def test_what_can_be_no_path_is_refused(name: str, wrong: str) -> None:
    given: Any = {name: wrong}
    with pytest.raises(ConfigurationError, match=f"{name} is empty or has a NUL"):
        RedisLockStore(**given)


def test_the_redis_page_has_the_settings() -> None:
    told = set(table("redis.md"))
    assert told - set(options.READERS) == {*settings.ARGUMENTS, "url"}


def test_the_rasa_page_has_no_key_that_is_none() -> None:
    assert set(table("rasa.md")) <= {*settings.READERS, *options.READERS, "type", "url"}


def test_secrets_are_known_to_urls_and_never_shown() -> None:
    secrets = {
        setting.name
        for setting in fields(RedisSettings)
        if not setting.repr and settings.READERS[setting.name] is readers.text
    }
    assert secrets == urls.SECRETS
    told: Any = dict.fromkeys(secrets, "S3cr3t")
    assert "S3cr3t" not in repr(RedisSettings(**told))

"""A store's URL: taken apart exactly as it was meant, or refused; its secrets are told nobody."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowserving import ConfigurationError, EndpointConfig, LockStore, RedisLockStore
from nowserving._config.urls import StoreUrl, shown
from tests.support.secrecy import everything_told

if TYPE_CHECKING:
    from nowserving.stores.redis.connection_settings import ConnectionSettings

SECRET = "S3cr3t"  # noqa: S105 - the test's own

anything = st.text(st.characters(exclude_categories=["Cs"]))
raw = st.lists(st.sampled_from([*"#/?[]@%:&=+,;\\ ", "://", "%41", "x", "ü"])).map("".join)


def settings_of(url: str) -> ConnectionSettings:
    store = LockStore.create(url)
    assert isinstance(store, RedisLockStore)
    return store._settings


def assert_refused(url: str, *reasons: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        LockStore.create(url)
    for text in everything_told(error.value):
        assert SECRET not in text
    for reason in reasons:
        assert reason in str(error.value)


@given(anything, anything)
def test_a_login_that_is_percent_encoded_comes_back_exactly(user: str, password: str) -> None:
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    for scheme, path in (("redis", "/2"), ("redis+sentinel", "/primary/2"), ("valkeys", "/2")):
        found = settings_of(f"{scheme}://{login}@host.example:7{path}")
        assert (found.username or "", found.password or "") == (user, password)
        assert (found.endpoints, found.db) == ((("host.example", 7),), 2)


@given(anything)
def test_a_secret_parameter_comes_back_exactly(password: str) -> None:
    value = quote(password, safe="")
    if value:
        assert settings_of(f"redis://host.example?password={value}").password == password


@given(raw, raw)
def test_a_raw_login_is_read_exactly_or_refused(head: str, tail: str) -> None:
    password = f"{head}{SECRET}{tail}"
    url = f"redis://user:{password}@host.example:7/2"
    try:
        found = settings_of(url)
    except ConfigurationError:
        assert_refused(url)
    else:
        assert (found.endpoints, found.db, found.username) == ((("host.example", 7),), 2, "user")
        assert found.password == password.replace("%41", "A")


@given(raw)
def test_a_raw_secret_parameter_is_read_exactly_or_refused(tail: str) -> None:
    url = f"redis://host.example:7/2?password={SECRET}{tail}"
    try:
        found = settings_of(url)
    except ConfigurationError:
        assert_refused(url)
    else:
        assert (found.endpoints, found.db) == ((("host.example", 7),), 2)
        assert found.password == f"{SECRET}{tail}".replace("%41", "A")


@pytest.mark.parametrize("sign", list("#/?[@%"))
def test_what_has_a_meaning_in_urls_has_to_be_encoded(sign: str) -> None:
    assert_refused(f"redis://user:a{sign}{SECRET}@host:1/1", "percent-encode the password")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"redis:me:{SECRET}@host", "may hold a password"),
        (f"redis://me:{SECRET}@host:port/1", "port"),
        (f"redis://me:{SECRET}@host:99999/1", "1 to 65535"),
        (f"redis://me:{SECRET}@host:0/1", "1 to 65535"),
        (f"redis://:{SECRET}", "port"),
        (f"redis://me:{SECRET}@::1:6379/1", "brackets"),
        (f"redis://me:{SECRET}@[::1", "IPv6"),
        (f"redis://redis://me:{SECRET}@host", "second ://"),
        (f"redis://me:{SECRET}@host/1\n", "line break"),
        (f"redis://me:{SECRET}@ho st/1", "blank"),
        (f"redis://me:{SECRET}@host:1/1?port=2", "'port' twice"),
        (f"redis://me:{SECRET}@host/one", "db='one'"),
        (f"redis://host?password=a&{SECRET}=b", "does not know a parameter"),
        (f"redis://host?password=a&{SECRET}", "%26"),
        (f"mongodb://me:{SECRET}@host", "mongodb://"),
        (f"unix://me:{SECRET}@run/redis.sock", "third slash"),
        (f"unix://me:{SECRET}@", "no socket"),
        (f"rediss://me:{SECRET}@host?use_ssl=false", "use_ssl"),
    ],
)
def test_what_can_not_be_meant_is_refused_without_its_secret(url: str, reason: str) -> None:
    assert_refused(url, reason)


def test_a_url_without_a_database_means_0_as_everywhere() -> None:
    for url in ("redis://host", "rediss://host/", "valkey://host", "unix:///run/redis.sock"):
        assert settings_of(url).db == 0
    assert settings_of("redis+sentinel://host/primary").db == 0
    assert settings_of("redis+cluster://host/0").db is None
    assert RedisLockStore("host")._settings.db == 1
    section = LockStore.create(EndpointConfig(type="redis", url="host"))
    assert isinstance(section, RedisLockStore)
    assert section._settings.db == 1


def test_valkey_is_a_family_of_schemes() -> None:
    assert settings_of("valkey://host:7/3") == settings_of("redis://host:7/3")
    assert settings_of("valkeys://host") == settings_of("rediss://host")
    for more in ("+sentinel://a:1,b/primary/2", "+cluster://a,b:2"):
        assert settings_of(f"valkey{more}") == settings_of(f"redis{more}")
        assert settings_of(f"valkeys{more}") == settings_of(f"rediss{more}")
    assert settings_of("valkey+unix:///a.sock").unix_socket == "/a.sock"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/locks.db", "/var/lib/locks.db"),
        ("sqlite:///relative.db", "relative.db"),
        ("sqlite:///data/locks.db", "data/locks.db"),
        ("sqlite:///./locks.db", "./locks.db"),
        ("SQLITE:///../locks.db", "../locks.db"),
        ("sqlite:///a%20b%3F%23%25.db", "a b?#%.db"),
        ("sqlite:///me@home/locks.db", "me@home/locks.db"),  # nothing can be a login here
    ],
)
def test_the_path_of_a_file_begins_after_the_third_slash(url: str, path: str) -> None:
    found = StoreUrl(f"{url}?auto_renew=true")
    assert found.settings == {"path": path, "auto_renew": "true"}
    assert found.shown.lower() == url.lower()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "no file"),
        ("sqlite:///", "no file"),
        ("sqlite:////", "no file"),
        ("sqlite:///folder/", "no file"),
        ("sqlite://relative.db", "third slash"),
        (f"sqlite://me:{SECRET}@host/locks.db", "third slash"),
        (f"sqlite://me:{SECRET}/@host/locks.db", "third slash"),
        ("sqlite:///locks.db?path=other.db", "'path' twice"),
        ("sqlite:///a b.db", "blank"),
    ],
)
def test_a_url_that_names_no_file_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as error:
        StoreUrl(url)
    assert SECRET not in "".join(everything_told(error.value))


def test_an_ipv6_address_stands_in_brackets() -> None:
    found = settings_of("redis://[::1]:7/1")
    assert (found.endpoints, found.where) == ((("::1", 7),), "[::1]:7/1")
    assert RedisLockStore("::1")._settings.endpoints == (("::1", 6379),)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (f"redis://me:{SECRET}@host", "LockStore.create"),
        (f"me:{SECRET}@host", "neither"),
        ("host:6379", "`port`"),
        ("a host", "blank"),
        ("host\n", "blank"),
        ("host/1", "neither"),
        ("", "empty"),
        ("1::2::3", "neither"),
    ],
)
def test_a_host_is_a_host(host: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as error:
        RedisLockStore(host)
    assert SECRET not in "".join(everything_told(error.value))


@pytest.mark.parametrize("port", [0, 65_536, 99_999, "0"])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"port={port!r} must be from 1 to 65535"):
        RedisLockStore("host", port)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("required", "required"),
        ("CERT_OPTIONAL", "optional"),
        ("none", "none"),
        (ssl.CERT_NONE, "none"),
    ],
)
def test_what_is_asked_of_a_certificate(given: str, meant: str) -> None:
    store = RedisLockStore(use_ssl=True, ssl_cert_reqs=given)
    expected = {"ssl_cert_reqs": meant, "ssl_check_hostname": meant != "none"}
    assert store._settings.tls == expected
    if isinstance(given, str):
        assert settings_of(f"rediss://host?ssl_cert_reqs={given}").tls == expected
        section = EndpointConfig(type="redis", use_ssl=True, ssl_cert_reqs=given)
        made = LockStore.create(section)
        assert isinstance(made, RedisLockStore)
        assert made._settings.tls == expected


def test_what_is_asked_of_a_certificate_must_make_sense() -> None:
    for url, reason in (
        ("rediss://host?ssl_cert_reqs=perhaps", "ssl_cert_reqs='perhaps'"),
        ("rediss://host?ssl_cert_reqs=none&ssl_check_hostname=true", "ssl_check_hostname"),
        ("redis://host?ssl_cert_reqs=none", "use_ssl"),
    ):
        assert_refused(url, reason)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (f"redis://user:{SECRET}@host:1/2?key_prefix=a", "redis://host:1/2"),
        (f"redis://:{SECRET}%40@host/2?sentinel_password={SECRET}", "redis://host/2"),
        (f"redis://:{SECRET}@@host", "that URL"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis+sentinel://a,b:1/primary/2", "redis+sentinel://a,b:1/primary/2"),
        ("memory://", "memory://"),
    ],
)
def test_what_is_shown_of_a_url_was_never_its_login(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_a_url_shows_nothing() -> None:
    assert SECRET not in repr(StoreUrl(f"redis://user:{SECRET}@host"))

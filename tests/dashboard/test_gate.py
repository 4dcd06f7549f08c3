"""Who is let in, and what is told to every browser; asked without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from nowserving.dashboard.gate import Gate
from tests.support.crew import Worker
from tests.support.dashboard import Dashboard
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.conftest import Shown

TOKEN = "open-sesame-open-sesame"  # noqa: S105 - a made-up one
PATHS = ("/", "/static/main.js", "/api/live")
STRANGE_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "",
)


@pytest.fixture(scope="module")
def held(shown_file: Shown) -> Iterator[Worker]:
    """A process that holds "c"; only the last test of it releases that."""
    options = {"on_lost": "cancel", "auto_renew": True}
    with Worker(shown_file.store, TurnJob("c", hold=60, options=options)) as worker:
        worker.wait_for("entered")
        yield worker


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.nip.io", ""],
)
def test_a_host_that_may_be_anybodys_is_refused(shown_file: Shown, path: str, host: str) -> None:
    host = host.format(port=shown_file.dashboard.port)
    answer = shown_file.dashboard.ask("GET", path, Host=host)
    assert answer.status == 421
    assert "--allowed-host" in answer.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:{port}", "[::1]:{port}"])
def test_this_machines_own_names_are_allowed(shown_file: Shown, host: str) -> None:
    host = host.format(port=shown_file.dashboard.port)
    assert shown_file.dashboard.ask("GET", "/", Host=host).status == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/static/main.js", {}, 200),
        ("GET", "/api/live", {}, 200),
        ("GET", "/api/live", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("GET", "/api/live?conversation=%7b", {}, 400),
        ("POST", "/api/release", {}, 401),
        ("GET", "/api/release", {}, 405),
        ("GET", "/static/..%2fapp.py", {}, 404),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/", {"Host": "evil.example"}, 421),
    ],
)
def test_every_answer_forbids_frames_foreign_scripts_and_caches(
    shown_file: Shown, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = shown_file.dashboard.ask(method, path, **headers)
    assert answer.status == status
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_Nowserving_Token": ""}, 401),
        ({"X_Nowserving_Token": "wrong"}, 401),
        ({"X_Nowserving_Token": "w\xe4hrend"}, 401),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 415),
    ],
)
def test_what_is_not_asked_by_the_page_releases_nothing(
    shown_file: Shown, held: Worker, headers: dict[str, str], status: int
) -> None:
    number = held.find("entered")[0]["number"]
    assert shown_file.dashboard.release("c", number, **headers).status == status
    assert not held.find("left")


@pytest.mark.parametrize(
    ("given", "status"), [(TOKEN, None), (TOKEN[:-1], 401), ("", 401), (None, 401)]
)
def test_reading_may_need_the_token_too(given: str | None, status: int | None) -> None:
    gate = Gate(TOKEN, to_read=True, to_release=False)
    headers = [] if given is None else [(b"x-nowserving-token", given.encode())]
    asked = Request({"type": "http", "headers": headers})
    if status is None:
        gate.let_read(asked)
    else:
        with pytest.raises(HTTPException) as refused:
            gate.let_read(asked)
        assert refused.value.status_code == status


@pytest.mark.parametrize(
    "body", [[], {"id": "", "number": 0}, {"id": "c"}, {"id": "c", "number": True}, {"id": 1}]
)
def test_nonsense_is_refused(shown_file: Shown, body: object) -> None:
    dashboard = shown_file.dashboard
    headers = {"Content_Type": "application/json", "X_Nowserving_Token": dashboard.token or ""}
    assert dashboard.ask("POST", "/api/release", body, **headers).status == 400


def test_without_the_option_nobody_releases(shown_file: Shown, held: Worker) -> None:
    with Dashboard(shown_file.store) as dashboard:
        assert dashboard.token is None
        assert dashboard.release("c", held.find("entered")[0]["number"]).status == 403
        assert not held.find("left")


def test_the_token_releases_that_very_ticket(shown_file: Shown, held: Worker) -> None:
    number = held.find("entered")[0]["number"]
    for other in (number + 1, number):
        answer = shown_file.dashboard.release("c", other, Sec_Fetch_Site="same-origin")
        assert (answer.status, answer.body) == (
            200,
            f'{{"released":{str(other == number).lower()}}}',
        )
    assert held.wait_for("left")[0]["lost"]
    assert "by hand" in held.wait_for("refused")[0]["message"]

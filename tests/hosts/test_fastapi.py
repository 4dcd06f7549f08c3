"""FastAPI with a lock in a dependency that is entered in one worker thread and left in another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.crew import until
from tests.support.web import WebServer, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer

APP = Path(__file__).parent / "programs" / "fastapi_app.py"
LIFETIME = 0.6  # as in the app
LONG_TURN = 4 * LIFETIME
CONVERSATIONS, MESSAGES, AT_ONCE = 3, 16, 12


@pytest.fixture(scope="module", params=["memory", "redis"])
def app(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    url = "memory://"
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        url = server.url(socket_timeout=2)
    with uvicorn(APP, STORE_URL=url) as app:
        yield app


WAYS = {
    "a def dependency": "/sync/{}?hold={}",
    "a def dependency, reentrant": "/sync/{}?hold={}&reentrant=true",
    "a def dependency of an async endpoint": "/mixed/{}?hold={}",
    "an async dependency": "/async/{}?hold={}",
    "a streamed answer": "/stream/{}?hold={}",
}


def ask(app: WebServer, way: str, name: str, hold: float) -> dict[str, Any]:
    """Send a message; return how many were handled together, and whether its lock was lost."""
    path = WAYS[way].format(name, hold)
    if not path.startswith("/stream"):
        found: dict[str, Any] = app.get(path)
        return found
    with app.open(path) as answer:
        parts = [part.split() for part in answer]
    assert len(parts) == 4, app.log
    return {"together": int(parts[0][0]), "lost": parts[-1][1] == b"True"}


@pytest.mark.parametrize("way", WAYS)
def test_many_messages_of_few_conversations(app: WebServer, way: str) -> None:
    """A thread that has entered one turn is given the next message, maybe of the same."""
    names = [f"few {way} {number}".replace(" ", "-") for number in range(CONVERSATIONS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda name: ask(app, way, name, 0.02), names * MESSAGES))
    assert [one for one in said if one["together"] != 1] == []
    assert [one for one in said if one["lost"]] == []


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_of_many_lifetimes(app: WebServer, way: str) -> None:
    """The thread that entered it serves others meanwhile."""
    name, other = f"long {way}".replace(" ", "-"), f"short {way}".replace(" ", "-")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, app, way, name, LONG_TURN)
        until(lambda: first.done() or app.get(f"/inside/{name}") == 1)
        second = pool.submit(ask, app, way, name, 0.0)
        while not first.done():
            ask(app, way, other, 0.05)
        assert first.result()["together"] == second.result()["together"] == 1
        assert not first.result()["lost"]
        assert not second.result()["lost"]


def test_a_client_that_does_not_read_to_the_end(app: WebServer) -> None:
    """Its generator is left where it stands, until some thread collects it."""
    with app.open("/stream/gone?hold=1") as answer:
        assert answer.readline() == b"1 False\n"
    until(lambda: app.get("/collect") and app.get("/inside/gone") == 0)
    assert ask(app, "a streamed answer", "gone", 0.0) == {"together": 1, "lost": False}

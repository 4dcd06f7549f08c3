"""What other pages in the same browser can do to the dashboard: nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support.crew import Worker, until
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.conftest import Shown
    from tests.support.browser import Browser

ATTACK = """
const [target, token, number, done] = arguments;
const body = JSON.stringify({ id: "c", number, reason: "by a stranger" });
const attempts = {
  simple: { method: "POST", mode: "no-cors", body },
  form: { method: "POST", mode: "no-cors", body: new URLSearchParams({ id: "c", number }) },
  withToken: {
    method: "POST",
    body,
    headers: { "Content-Type": "application/json", "X-Nowserving-Token": token },
  },
};
(async () => {
  const told = {};
  for (const [name, attempt] of Object.entries(attempts))
    told[name] = await fetch(target + "api/release", attempt).then(
      (answer) => answer.type, () => "blocked");
  told.read = await fetch(target + "api/live").then((answer) => answer.type, () => "blocked");
  told.blind = await fetch(target + "api/live", { mode: "no-cors" }).then(
    (answer) => answer.type, () => "blocked");
  done(told);
})();
"""


class Elsewhere:
    """Another site, which serves one page."""

    def __init__(self) -> None:
        self.page = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(outer.page.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    site = Elsewhere()
    serving = threading.Thread(target=site.server.serve_forever)
    serving.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    serving.join()


@pytest.fixture(scope="module")
def held(shown_file: Shown) -> Iterator[Worker]:
    options = {"on_lost": "cancel", "auto_renew": True}
    with Worker(shown_file.store, TurnJob("c", hold=60, options=options)) as worker:
        worker.wait_for("entered")
        yield worker


def number_of(held: Worker) -> int:
    number: int = held.find("entered")[0]["number"]
    return number


@pytest.mark.parametrize("name", ["127.0.0.1", "evil.example"])
def test_another_site_neither_reads_nor_releases(
    chromium: Browser, shown_file: Shown, held: Worker, elsewhere: Elsewhere, name: str
) -> None:
    elsewhere.page = "<h1>elsewhere</h1>"
    chromium.get(elsewhere.url.replace("127.0.0.1", name))
    told = chromium.execute_async_script(
        ATTACK, shown_file.dashboard.url, shown_file.dashboard.token, number_of(held)
    )
    assert set(told.values()) == {"blocked"}, told
    assert not held.find("left")


def test_a_form_elsewhere_releases_nothing(
    chromium: Browser, shown_file: Shown, held: Worker, elsewhere: Elsewhere
) -> None:
    fields = f'{{"id":"c","number":{number_of(held)},"reason":"'
    elsewhere.page = (
        f'<form method="post" enctype="text/plain" action="{shown_file.dashboard.url}api/release">'
        f"<input name='{fields}' value='\"}}'></form>"
    )
    chromium.get(elsewhere.url)
    chromium.run("document.forms[0].submit()")
    until(lambda: chromium.current_url.endswith("api/release"))
    until(lambda: "another site" in chromium.run("return document.body.innerText"))
    assert not held.find("left")


def test_a_name_that_leads_to_us_shows_nothing(chromium: Browser, shown_file: Shown) -> None:
    chromium.get(f"http://evil.example:{shown_file.dashboard.port}/")
    assert "not allowed" in chromium.run("return document.body.innerText")
    answer = chromium.execute_async_script(
        "const done = arguments[0];"
        "fetch('/api/live').then(answer => answer.text().then(text => done([answer.status, text])))"
    )
    assert answer[0] == 421
    assert "survey" not in answer[1]


def test_it_is_shown_in_no_frame(
    chromium: Browser, shown_file: Shown, elsewhere: Elsewhere
) -> None:
    chromium.complaints()
    elsewhere.page = f'<iframe src="{shown_file.dashboard.page}"></iframe>'
    chromium.get(elsewhere.url)
    chromium.switch_to.frame(0)
    assert chromium.run("return document.getElementById('lines')") is None
    chromium.switch_to.default_content()
    assert any("frame-ancestors" in each for each in chromium.complaints())

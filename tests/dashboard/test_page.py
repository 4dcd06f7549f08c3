"""The page in a real browser, while other processes hold and wait."""

from __future__ import annotations

import json
import signal
import statistics
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from selenium.webdriver.common.keys import Keys

from tests.support.crew import Worker, until
from tests.support.dashboard import Dashboard
from tests.support.redis_server import RedisServer
from tests.support.worker import TurnJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.conftest import Shown
    from tests.support.browser import Browser

HOLDING: dict[str, Any] = {"on_lost": "cancel", "auto_renew": True}
LONG = 60.0  # seconds; whoever holds so long is released, or killed
LIFETIME = 4.0  # seconds until a killed one is out of the way
PUSHED_WITHIN = 1.0  # seconds from the request to the end of the body, on a busy machine

HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror='window.hacked=1'>",
    "\"'`</title></style>--><b>bold</b>",
    "pay \u202eexe.gnp\u202c now",
    "שלום ملف",
    "javascript:window.hacked=1//",
    "\x1b[2J\x00\n\t",
    "half \udc80 a pair",
    "👩‍👩‍👧 & &amp; ${1+1}",
    "x" * 3000,
    " ",
    "__proto__",
)


def hold(name: str, **options: Any) -> TurnJob:
    return TurnJob(name, hold=LONG, lifetime=LIFETIME, options={**HOLDING, **options})


@contextmanager
def working(store: str, *turns: TurnJob, holders: int = 1) -> Iterator[Worker]:
    with Worker(store, *turns) as worker:
        worker.wait_for("entered", count=holders)
        yield worker


def opened(browser: Browser, page: str, **look: Any) -> Browser:
    """Open the page as if for the first time, and wait until it is live."""
    browser.look(**look)
    browser.get("about:blank")  # or another fragment of the same page would load nothing
    browser.complaints()
    browser.get(page)
    until(lambda: state(browser) == "live")
    return browser


def state(browser: Browser) -> Any:
    return browser.run("return document.getElementById('state')?.dataset.state")


def rows(browser: Browser) -> Any:
    """Return the lines that are shown: by their text, who holds, how many wait."""
    return browser.run(
        "return [...document.querySelectorAll('#lines-body tr')].map(row => "
        "[...row.querySelectorAll('td.id, td.holder, td.waiting')].map(cell => cell.textContent))"
    )


def names(browser: Browser) -> list[str]:
    return [row[0] for row in rows(browser)]


def text(browser: Browser, selector: str) -> Any:
    """Return what is to be read there, nothing if it is not to be seen."""
    return browser.run(
        "const found = document.querySelector(arguments[0]);"
        "return found?.checkVisibility() ? found.innerText : ''",
        selector,
    )


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def focused(browser: Browser) -> Any:
    return browser.run("return document.activeElement.innerText || document.activeElement.id")


def choose(browser: Browser, name: str) -> None:
    """Go to a line with the keyboard alone."""
    press(browser, "/")
    until(lambda: focused(browser) == "search")
    press(browser, Keys.ESCAPE, "/", *name)
    until(lambda: names(browser) == [name])
    press(browser, Keys.ARROW_DOWN)
    until(lambda: focused(browser).startswith(name))


def test_lines_are_shown_live(chromium: Browser, shown: Shown) -> None:
    page = opened(chromium, shown.dashboard.page)
    turns = [hold("anna", label="first"), *[hold("anna", message_id=f"m{i}") for i in range(3)]]
    with working(shown.store, *turns, hold("bert", label="other"), holders=2) as worker:
        until(lambda: {row[0]: row[2] for row in rows(page)} == {"anna": "3", "bert": "0"})
        pid = worker._process.pid
        until(lambda: dict(row[:2] for row in rows(page))["anna"].startswith("first "))
        figures = [text(page, f"#{name}") for name in ("held", "waiting", "conversations")]
        assert figures == ["2", "3", "2"]
        until(lambda: str(pid) in text(page, "#processes"))
        assert "holds 2, waits with 3" in text(page, "#processes")
        assert page.run("return document.querySelectorAll('.curve').length") >= 3
        page.run("document.querySelector('#lines-body tr').click()")
        until(lambda: len(page.run("return [...document.querySelectorAll('.ticket')]")) == 4)
        told = text(page, "#detail")
        assert "3 wait" in told
        for message in ("m0", "m1", "m2"):
            assert f"message {message}" in told
        assert page.run("return document.querySelectorAll('.timeline .turn').length") == 4
        assert page.run("return document.querySelectorAll('.timeline .bar').length") == 1
        press(page, Keys.ESCAPE)
        worker.signal(signal.SIGTERM)
        until(lambda: not rows(page))
    assert not page.complaints()


def test_hostile_ids_are_text_and_nothing_else(chromium: Browser, shown_file: Shown) -> None:
    turns = [hold(name, label=f"<b>{name[:9]}", message_id=name[:60]) for name in HOSTILE]
    with working(shown_file.store, *turns, holders=len(HOSTILE)):
        page = opened(chromium, shown_file.dashboard.page, width=320, height=640)
        until(lambda: len(rows(page)) == len(HOSTILE))
        shown = names(page)
        for name in (*HOSTILE[:3], HOSTILE[4], HOSTILE[5], HOSTILE[8], "__proto__", " "):
            assert name in shown
        assert "pay \\u202eexe.gnp\\u202c now" in shown
        assert "\\x1b[2J\\x00\\n\\t" in shown
        assert "half \\udc80 a pair" in shown
        assert page.run("return document.documentElement.scrollWidth") <= 320
        for index in range(len(HOSTILE)):
            name = names(page)[index]
            page.run("document.querySelectorAll('#lines-body tr')[arguments[0]].click()", index)
            until(lambda: bool(text(page, "#detail .ticket")))
            assert page.run("return document.querySelector('#detail h2').textContent") == name
            assert page.run("return document.documentElement.scrollWidth") <= 320
            page.back()
            until(lambda: not text(page, "#detail"))
        assert page.run("return window.hacked ?? null") is None
        assert page.run("return document.querySelectorAll('td b, td img, td script').length") == 0
        assert not page.complaints()


def test_the_keyboard_is_enough(chromium: Browser, shown_file: Shown) -> None:
    turns = [hold("kim 1"), hold("kim 2"), hold("kim 2", message_id="next"), hold("zoe")]
    with working(shown_file.store, *turns, holders=3) as worker:
        page = opened(chromium, shown_file.dashboard.page)
        until(lambda: len(rows(page)) == 3)
        press(page, "/", *"kim")
        until(lambda: sorted(names(page)) == ["kim 1", "kim 2"])
        press(page, Keys.ARROW_DOWN)
        first = focused(page)
        press(page, Keys.ARROW_DOWN)
        second = focused(page)
        assert {first[:5], second[:5]} == {"kim 1", "kim 2"}
        ring = "return getComputedStyle(document.activeElement).outlineStyle"
        assert page.run(ring) == "solid"
        press(page, Keys.ENTER)
        until(lambda: second[:5] in text(page, "#detail h2"))
        press(page, Keys.ESCAPE)
        until(lambda: focused(page) == second or focused(page)[:5] == second[:5])
        choose(page, "kim 2")
        press(page, "r")
        until(lambda: text(page, "#ask-title").startswith("Release ticket"))
        press(page, Keys.ESCAPE)
        until(lambda: focused(page).startswith("kim 2"))
        assert not worker.find("left")  # a question is no answer
        press(page, "r")
        until(lambda: page.run("return document.activeElement.id") == "ask-yes")
        press(page, Keys.ENTER)
        assert worker.wait_for("left")[0]["turn"] == 1
        worker.wait_for("entered", 2)
        until(lambda: "is released" in text(page, "#toast"))


def test_a_release_reaches_its_holder_at_once(chromium: Browser, shown: Shown) -> None:
    with working(shown.store, *[hold(f"c{i}") for i in range(15)], holders=15) as worker:
        page = opened(chromium, shown.dashboard.page)
        until(lambda: len(rows(page)) == 15)
        choose(page, "c0")
        press(page, "r")
        until(lambda: page.run("return document.activeElement.id") == "ask-yes")
        page.run("document.getElementById('ask-input').value = 'it hangs'")
        press(page, Keys.ENTER)
        worker.wait_for("left", 0)
        assert "it hangs" in worker.wait_for("refused", 0)[0]["message"]
        took = []
        for turn in range(1, 15):
            number = worker.find("entered", turn)[0]["number"]
            began = time.monotonic_ns()
            assert shown.dashboard.release(f"c{turn}", number).status == 200
            took.append((worker.wait_for("left", turn)[0]["at"] - began) / 1e9)
        told = f"released within {statistics.median(took) * 1e3:.1f} ms (median of {len(took)})"
        print(told)  # noqa: T201 - pytest -rP shows it
        assert statistics.median(took) < PUSHED_WITHIN


def test_a_wrong_token_releases_nothing_and_a_right_one_may_be_given(
    chromium: Browser, shown_file: Shown
) -> None:
    dashboard = shown_file.dashboard
    with working(shown_file.store, hold("tom")) as worker:
        page = opened(chromium, f"{dashboard.url}#token=wrong-wrong-wrong-wrong")
        until(lambda: names(page) == ["tom"])
        assert "token" not in page.current_url
        choose(page, "tom")
        press(page, "r")
        until(lambda: page.run("return document.activeElement.id") == "ask-yes")
        press(page, Keys.ENTER)
        until(lambda: "missing or wrong" in text(page, "#ask-wrong"))
        press(page, Keys.ESCAPE, "r")
        until(lambda: page.run("return document.activeElement.type") == "password")
        press(page, *(dashboard.token or ""), Keys.ENTER)
        until(lambda: page.run("return document.activeElement.id") == "ask-yes")
        assert not worker.find("left")
        press(page, Keys.ENTER)
        worker.wait_for("left")
        assert page.run("return document.cookie") == ""


def test_it_is_light_or_dark_and_fits_a_phone(chromium: Browser, shown_file: Shown) -> None:
    backgrounds = []
    for dark in (False, True):
        page = opened(chromium, shown_file.dashboard.page, dark=dark, width=320, height=640)
        backgrounds.append(page.run("return getComputedStyle(document.body).backgroundColor"))
        assert page.run("return document.documentElement.scrollWidth") <= 320
    light, dark_one = (sum(json.loads(f"[{it[4:-1]}]")) for it in backgrounds)
    assert light > 600
    assert dark_one < 150


def test_a_store_that_is_down_is_shown_and_comes_back(chromium: Browser) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        url = server.url(socket_timeout=0.5)
        dashboard = stack.enter_context(Dashboard(url))
        stack.enter_context(working(server.url(), hold("otto")))
        page = opened(chromium, dashboard.page)
        until(lambda: names(page) == ["otto"])
        server.stop()
        until(lambda: state(page) == "down", 20)
        assert "does not answer" in text(page, "#trouble")
        assert names(page) == ["otto"]  # as it was seen last
        server.start()
        until(lambda: state(page) == "live", 20)
        assert not text(page, "#trouble")


def test_a_dashboard_that_is_gone_is_shown_and_comes_back(
    chromium: Browser, shown_file: Shown
) -> None:
    with Dashboard(shown_file.store) as dashboard:
        page = opened(chromium, dashboard.page)
        port = dashboard.port
    until(lambda: state(page) == "lost")
    with Dashboard(shown_file.store, "--port", str(port)):
        until(lambda: state(page) == "live", 20)


def test_a_history_is_drawn_and_says_why(chromium: Browser, shown: Shown) -> None:
    recorded = f"{shown.store}{'&' if '?' in shown.store else '?'}history=50"
    turns = [TurnJob("h", hold=0.3, options={"message_id": f"m{i}"}) for i in range(3)]
    with Worker(recorded, *turns) as worker:
        worker.wait_for("left", count=3)
        page = opened(chromium, f"{shown.dashboard.url}#conversation=%22h%22")
        until(lambda: page.run("return document.querySelectorAll('.timeline .bar').length") == 3)
        until(lambda: page.run("return document.querySelectorAll('.kind.left').length") == 3)
        assert "Nobody holds or waits" in text(page, "#detail .summary")
        assert "behind ticket" in text(page, "#detail .why")
        assert "message m0" in text(page, "#detail .events")
        assert not page.complaints()

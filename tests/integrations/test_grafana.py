"""``examples/grafana``, checked by Prometheus's own tool, and by a real one that scrapes us."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nowserving.integrations.prometheus import figures
from tests.support.crew import until
from tests.support.prometheus import Prometheus, promtool
from tests.support.redis_server import HOST, RedisServer
from tests.support.web import WebServer, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples" / "grafana"
PAGE = (Path(__file__).parents[2] / "docs" / "observing.md").read_text()
APP = Path(__file__).parent / "programs" / "measured_app.py"
SOON = 30.0  # seconds
CHOSEN = {"$job": ".+", "$store": ".+", "$__rate_interval": "30s", "$__range": "1h"}
"""What Grafana puts in the place of its variables."""


def test_the_alerts_fire_when_they_should() -> None:
    assert "5 rules found" in promtool("check", "rules", "alerts.yml", folder=EXAMPLES)
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml", folder=EXAMPLES)


def test_the_configuration_is_one() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", folder=EXAMPLES)


def test_every_panel_has_a_place_of_its_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_page_tells_of_every_metric_and_alert() -> None:
    metrics = {each.name for each in vars(figures).values() if isinstance(each, figures.Metric)}
    alerts = set(re.findall(r"alert: (\w+)", (EXAMPLES / "alerts.yml").read_text()))
    assert len(metrics) == 10
    assert set(re.findall(r"^\| `(nowserving_\w+|Nowserving\w+)` \|", PAGE, re.MULTILINE)) == (
        metrics | alerts
    )
    for each in (*figures.OUTCOMES, *figures.REASONS):
        assert f"`{each}`" in PAGE


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that is stopped."""
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def bot(server: RedisServer) -> Iterator[WebServer]:
    with uvicorn(APP, folder=None, STORE_URL=server.url(socket_timeout=1)) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(bot: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that is configured as the example says, but for its patience."""
    folder = tmp_path_factory.mktemp("prometheus")
    alerts = (EXAMPLES / "alerts.yml").read_text()
    alerts = re.sub(r"\bfor: \w+", "for: 0s", alerts).replace("> 60", "> 1")
    (folder / "alerts.yml").write_text(alerts)
    config = (EXAMPLES / "prometheus.yml").read_text()
    config = config.replace("15s", "200ms").replace("localhost:8000", f"{HOST}:{bot.port}")
    config = config.replace("job_name: bot", "job_name: bot\n    metrics_path: /metrics/")
    (folder / "prometheus.yml").write_text(config)
    with Prometheus(folder / "prometheus.yml") as running:
        yield running


def dashboard() -> Any:
    return json.loads((EXAMPLES / "nowserving.json").read_text())


def expressions() -> dict[str, str]:
    """Return what the panels ask, by their titles."""
    found: dict[str, str] = {}
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            asked = target["expr"]
            for variable, value in CHOSEN.items():
                asked = asked.replace(variable, value)
            assert "$" not in asked, asked
            found[f"{panel['title']} {target['refId']}"] = asked
    return found


def test_every_panel_shows_something_and_the_alerts_fire(
    server: RedisServer, bot: WebServer, prometheus: Prometheus
) -> None:
    until(lambda: bool(prometheus.query("nowserving_lost_total == 0")), SOON)
    assert prometheus.firing() == set()

    def get(path: str) -> None:
        with contextlib.suppress(AssertionError):  # its store may be down
            bot.get(path)

    def ask(path: str) -> threading.Thread:
        thread = threading.Thread(target=get, args=(path,))
        thread.start()
        return thread

    threads = [ask("/turn/a?hold=3"), *(ask("/turn/a?hold=0.05") for _ in range(5))]
    threads += [ask("/turn/b?hold=3"), ask("/turn/b"), ask("/lose/c")]
    until(lambda: bool(prometheus.query("nowserving_waiting >= 5")), SOON)
    bot.get("/refuse/a")
    until(lambda: prometheus.firing() == {"NowservingOldestWait", "NowservingLockLost"}, SOON)
    for thread in threads:
        thread.join()
    until(lambda: prometheus.firing() == {"NowservingLockLost"}, SOON)

    def unanswered() -> list[str]:
        return [
            name
            for name, asked in expressions().items()
            if not any(each["value"][1] != "NaN" for each in prometheus.query(asked))
        ]

    def shown(asked: str) -> float:
        (found,) = prometheus.query(asked)
        return float(found["value"][1])

    until(lambda: not unanswered(), SOON)
    until(lambda: shown("sum(nowserving_turns_total)") == 9, SOON)
    assert shown('nowserving_refused_total{reason="busy"}') == 1
    assert shown("nowserving_lost_total") == 1
    assert shown("nowserving_handoff_seconds_count") == 6

    server.stop()
    failing = ask("/turn/d")
    until(lambda: "NowservingStoreDown" in prometheus.firing(), SOON)
    server.start()
    failing.join()
    bot.get("/turn/d")
    until(lambda: "NowservingStoreDown" not in prometheus.firing(), SOON)

"""Prometheus itself, from the system's packages, and what it is told."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.parse
from typing import IO, TYPE_CHECKING, Any, cast

from prometheus_client.parser import text_string_to_metric_families

from tests.support.crew import until
from tests.support.redis_server import HOST
from tests.support.web import START_WITHIN, get

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self


def tool(name: str) -> str:
    """Return where ``prometheus`` or ``promtool`` is.

    Raises:
        AssertionError: It is not installed; says how.
    """
    found = shutil.which(name)
    assert found, f"there is no {name}: install the package prometheus (scripts/test does)"
    return found


def promtool(*arguments: str, text: str = "", folder: Path | None = None) -> str:
    """Run ``promtool`` to a good end, and return what it says."""
    ended = subprocess.run(
        [tool("promtool"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def value(text: str, name: str, **labels: str) -> float | None:
    """Return a sample of what was scraped, None if it is not there.

    Args:
        text: What was scraped.
        name: The sample's name, without ``nowserving_``.
        **labels: All its labels.
    """
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"nowserving_{name}" and sample.labels == labels:
                return sample.value
    return None


class Prometheus:
    """A Prometheus that runs while its ``with`` is entered.

    Args:
        config: Its configuration; what it remembers is kept beside it.
    """

    def __init__(self, config: Path) -> None:
        with socket.create_server((HOST, 0)) as free:
            self._port: int = free.getsockname()[1]
        self._config = config
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        folder = self._config.parent
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={self._config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={HOST}:{self._port}",
            ],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        until(self._is_ready, START_WITHIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._log is not None:
            self._log.close()

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._config.parent / "prometheus.log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self._port)) != 0:
                return False
        try:
            return b"Ready" in get(self._port, "/-/ready")
        except AssertionError:  # it is still about to be
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now: its series, each with ``metric`` and ``value``."""
        path = f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        found = self._ask(path)["result"]
        return cast("list[dict[str, Any]]", found)

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        alerts = self._ask("/api/v1/alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def _ask(self, path: str) -> Any:
        answer = json.loads(get(self._port, path))
        assert answer["status"] == "success", answer
        return answer["data"]

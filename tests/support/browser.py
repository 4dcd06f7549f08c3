"""A real browser without a window: Chromium, driven over its DevTools."""

from __future__ import annotations

import base64
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = (
    "there is no {}: the tests of the dashboard need Chromium and its driver (Debian: apt-get "
    "install chromium chromium-driver; scripts/test does it where it may)"
)

_NAMES = {
    "Chromium": ("chromium", "chromium-browser", "google-chrome"),
    "chromedriver": ("chromedriver", "chromium.chromedriver"),
}
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.example 127.0.0.1",  # names whose owner leads them to us
)
_LOADED_WITHIN = 20.0  # seconds


class Browser(webdriver.Chrome):
    """A browser and what our tests do with it."""

    def look(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> None:
        """Take on a size, in CSS pixels, and a colour scheme."""
        scheme = "dark" if dark else "light"
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.devtools("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)

    def devtools(self, command: str, **arguments: object) -> Any:
        """Say something that WebDriver has no word for."""
        return self.execute_cdp_cmd(command, arguments)

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a piece of JavaScript returns."""
        return self.execute_script(script, *arguments)

    def picture(self, path: Path) -> None:
        """Write what is seen to a PNG."""
        taken = self.devtools("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """Return what the console has complained of since it was asked last."""
        return [entry["message"] for entry in self.get_log("browser")]  # type: ignore[no-untyped-call]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it.

    Raises:
        AssertionError: If there is none on this machine.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = _executable("Chromium")
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Browser(options, Service(_executable("chromedriver")))
    try:
        made.set_page_load_timeout(_LOADED_WITHIN)
        made.set_script_timeout(_LOADED_WITHIN)
        yield made
    finally:
        made.quit()


def _executable(what: str) -> str:
    found = next(filter(None, map(shutil.which, _NAMES[what])), None)
    assert found is not None, MISSING.format(what)
    return found

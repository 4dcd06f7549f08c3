"""``nowserving dashboard`` in a process of its own, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import re
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from tests.support.crew import until
from tests.support.programs import Running
from tests.support.redis_server import HOST

if TYPE_CHECKING:
    from pathlib import Path

START_WITHIN = 30.0
ANSWER_WITHIN = 10.0

_SHOWING = re.compile(r"^Showing .* at (http://[^/]+:(\d+)/)(?:#token=(\S+))?$", re.MULTILINE)


class Answer(NamedTuple):
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: str


class Dashboard(Running):
    """The command, listening at a free port as soon as its ``with`` is entered.

    Args:
        store: The URL of its store.
        *options: More options of the command.
        folder: Where it runs; by default where we do.
        **variables: Environment variables.
    """

    def __init__(
        self, store: str, *options: str, folder: Path | None = None, **variables: str
    ) -> None:
        command = ("-m", "nowserving", "dashboard", "--store", store, "--port", "0", *options)
        super().__init__(*command, folder=folder, **variables)
        self.url = ""
        self.port = 0
        self.token: str | None = None

    def until_ready(self) -> None:
        """Wait until it has said where it is."""
        until(self._has_said_where, START_WITHIN)

    def _has_said_where(self) -> bool:
        self.check()
        found = _SHOWING.search(self.log)
        if found is None:
            return False
        self.url, self.port = found[1], int(found[2])
        self.token = found[3] and unquote(found[3])
        return True

    @property
    def page(self) -> str:
        """Where a browser is sent to: with the token, if there is one."""
        return f"{self.url}#token={self.token}" if self.token else self.url

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request; an underscore in the name of a header stands for a hyphen."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = None if body is None else json.dumps(body)
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_WITHIN)) as line:
            line.request(method, path, sent, names)
            got = line.getresponse()
            told = {name.lower(): value for name, value in got.getheaders()}
            # A stream has no end.
            text = "" if told["content-type"].startswith("text/event-stream") else got.read()
        return Answer(got.status, told, text if isinstance(text, str) else text.decode())

    def release(self, conversation_id: str, number: int, **headers: str) -> Answer:
        """Ask for a release, as the page does; a header that is given replaces the page's."""
        usual = {"Content_Type": "application/json", "X_Nowserving_Token": self.token or ""}
        asked = {"id": conversation_id, "number": number, "reason": "by hand"}
        return self.ask("POST", "/api/release", asked, **{**usual, **headers})

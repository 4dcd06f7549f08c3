"""The first code of the README, as it stands there: four processes, and no server beside them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.support.web import WebServer, uvicorn

README = Path(__file__).parents[2] / "README.md"
HANDLER = "        # your handler;"
WORK = """

async def work(conversation_id):
    import asyncio, os
    os.close(os.open(f"in {conversation_id}", os.O_CREAT | os.O_EXCL))
    await asyncio.sleep(0.01)
    os.unlink(f"in {conversation_id}")
    return os.getpid()
"""
CONVERSATIONS, MESSAGES, AT_ONCE = 2, 120, 24


def test_four_workers_take_turns_by_a_file(tmp_path: Path) -> None:
    (code,) = re.findall(
        r"## Ten lines.*?```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL
    )
    before, handler, after = code.partition(HANDLER)
    assert handler
    worked = after.replace("{", '{"pid": pid, ', 1)
    app = tmp_path / "app.py"
    body = f"{before}        pid = await work(conversation_id)\n{handler}{worked}{WORK}"
    app.write_text(body, encoding="utf-8")
    with (
        uvicorn(app, "--workers", "4", folder=tmp_path) as server,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        answers = list(pool.map(lambda number: _ask(server, number), range(MESSAGES)))
    assert [answer["answer"] for answer in answers] == [f"HELLO {n}" for n in range(MESSAGES)]
    assert len({answer["pid"] for answer in answers}) > 1
    assert (tmp_path / "locks.db").is_file()


def _ask(server: WebServer, number: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{server.port}/webhook/{number % CONVERSATIONS}"
    response = httpx.post(url, json={"text": f"hello {number}"}, timeout=30)
    assert response.status_code == httpx.codes.OK, server.log
    answer: dict[str, Any] = response.json()
    return answer

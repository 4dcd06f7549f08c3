"""What the tests of ``verify`` share: turns in a few words, and traces as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from nowserving.verify.turns import TurnRecord

if TYPE_CHECKING:
    from pathlib import Path


class MakeTurn(Protocol):
    """Make a record from small integers; a turn is fired the moment it enters unless told."""

    def __call__(
        self,
        index: int,
        entered: int,
        left: int,
        *,
        fired: int | None = None,
        token: int | None = None,
        number: int | None = None,
        worker: int | None = None,
        conversation_id: str = "c",
        error: str | None = None,
    ) -> TurnRecord: ...


class WriteTrace(Protocol):
    """Write a trace with the given lines below the header and return its path."""

    def __call__(self, *lines: str, header: str = ...) -> Path: ...


@pytest.fixture
def turn() -> MakeTurn:
    def make(
        index: int,
        entered: int,
        left: int,
        *,
        fired: int | None = None,
        token: int | None = None,
        number: int | None = None,
        worker: int | None = None,
        conversation_id: str = "c",
        error: str | None = None,
    ) -> TurnRecord:
        return TurnRecord(
            index=index,
            conversation_id=conversation_id,
            worker=index if worker is None else worker,
            fired=entered if fired is None else fired,
            entered=entered,
            left=left,
            number=index if number is None else number,
            token=index if token is None else token,
            error=error,
        )

    return make


@pytest.fixture
def write_trace(tmp_path: Path) -> WriteTrace:
    def write(*lines: str, header: str = "seconds,conversation_id,sender,characters") -> Path:
        path = tmp_path / "trace.csv"
        path.write_text("\n".join((header, *lines, "")), encoding="utf-8")
        return path

    return write

from __future__ import annotations

import pytest

from nowserving import ConfigurationError
from nowserving._config.options import lifetime_from_environment


def test_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKET_LOCK_LIFETIME", raising=False)
    assert lifetime_from_environment() == 60


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("0.5", 0.5), (" 7 ", 7), ("1e2", 100)])
def test_any_positive_number(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("TICKET_LOCK_LIFETIME", text)
    assert lifetime_from_environment() == seconds


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "", "a minute", "4e8", "1e400"])
def test_anything_else_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TICKET_LOCK_LIFETIME", text)
    with pytest.raises(ConfigurationError, match="TICKET_LOCK_LIFETIME") as error:
        lifetime_from_environment()
    assert repr(text) in str(error.value)

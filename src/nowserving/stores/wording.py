"""Bytes, seconds and numbers in words."""

from __future__ import annotations

_STEP = 1024.0
_FEW = 10.0


def size(count: float) -> str:
    """Return a number of bytes as a person says it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _STEP:
            digits = 1 if unit != "bytes" and count < _FEW else 0
            return f"{count:.{digits}f} {unit}"
        count /= _STEP
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < _FEW / 1000 else f"{seconds * 1000:.0f} ms"
    if seconds < 2 * 60:
        return f"{seconds:.1f} s" if seconds < _FEW else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h"


def count(number: int, thing: str) -> str:
    """Return a number of things."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"

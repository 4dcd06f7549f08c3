"""Where contenders that need no server keep their files."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.server import Address


def folder(address: Address, contender: str) -> Path:
    """Return a contender's folder, which all workers of this run share."""
    found = Path(tempfile.gettempdir()) / f"nowserving-benchmark-{address.port}" / contender
    found.mkdir(parents=True, exist_ok=True)
    return found


def file_of(folder: Path, name: str) -> str:
    """Return the file of a conversation whose name need not be one of a file."""
    return str(folder / hashlib.blake2b(name.encode(), digest_size=8).hexdigest())

"""What several commands let choose: policies of a message, and numbers that are checked alike."""

import math
from enum import Enum

import typer


class WhenBusy(str, Enum):
    """What a message does if the conversation is busy."""

    QUEUE = "queue"
    REJECT = "reject"
    LATEST = "latest"
    INTERRUPT = "interrupt"


def positive(value: float | None) -> float | None:
    """Check a number that may be left out.

    Raises:
        typer.BadParameter: If it is not above 0.
    """
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"{value} is not a number above 0.")
    return value

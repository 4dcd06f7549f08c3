"""The group of all commands: what is the same in each, however it ends.

Whatever a usage error repeats is escaped before it is shown. An output that can't be written is no
traceback, and no exit status that means something else.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from nowserving.cli.terminal import safe

# Click's UsageError. Where it stands depends on the version of typer, which may bring its own.
_UsageError: Any = typer.BadParameter.__mro__[1]

_CANNOT_WRITE = 2
_NOBODY_READS = 128 + 13  # as of SIGPIPE, which Python ignores
_OF_A_STREAM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Root(TyperGroup):
    """The group that ``nowserving`` is."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as click's
        """Return the commands in the order in which they were added; old versions sort them."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as click's
        """Read the options in front of a command."""
        with _escaped(), _written():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as click's
        """Read what follows, and run the command."""
        with _escaped(), _written():
            return super().invoke(ctx)


@contextlib.contextmanager
def _escaped() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.message = safe(error.message)
        raise


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """End as other programs do where the output can't be written: it is closed, or full."""
    try:
        yield
    except BrokenPipeError:
        _write_no_more()
        raise SystemExit(_NOBODY_READS) from None
    except OSError as error:
        if error.errno not in _OF_A_STREAM or error.filename is not None:
            raise
        _write_no_more()
        with contextlib.suppress(OSError):
            typer.echo(f"nowserving: the output can't be written: {error.strerror}.", err=True)
        raise SystemExit(_CANNOT_WRITE) from None


def _write_no_more() -> None:
    """Let what standard output still holds go nowhere: the interpreter's end would write it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

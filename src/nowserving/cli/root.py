"""The group of all commands: whatever a usage error repeats is escaped before it is shown."""

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from nowserving.cli.terminal import safe

# Click's UsageError. Where it stands depends on the version of typer, which may bring its own.
_UsageError: Any = typer.BadParameter.__mro__[1]


class Root(TyperGroup):
    """The group that ``nowserving`` is."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as click's
        """Return the commands in the order in which they were added; old versions sort them."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as click's
        """Read the options in front of a command."""
        with _escaped():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as click's
        """Read what follows, and run the command."""
        with _escaped():
            return super().invoke(ctx)


@contextlib.contextmanager
def _escaped() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.message = safe(error.message)
        raise

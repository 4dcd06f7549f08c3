"""The command ``nowserving``; each of its subcommands is one small file in this folder."""

from __future__ import annotations

import sys

_NEEDED = {"typer", "rich", "click"}
_CANNOT_RUN = 2


def main() -> None:
    """Run the command, or say what to install when its extra is missing."""
    try:
        from nowserving.cli.app import app  # noqa: PLC0415 - it may not be importable
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(
            f"The command needs {error.name}, which is not installed: "
            f"pip install 'nowserving[cli]'\n"
        )
        sys.exit(_CANNOT_RUN)
    from nowserving.cli.terminal import write_anything  # noqa: PLC0415 - it needs rich

    write_anything()
    app(prog_name="nowserving")

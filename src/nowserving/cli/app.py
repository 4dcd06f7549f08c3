"""The command's root: its subcommands, and ``--version``."""

from typing import Annotated

import typer

import nowserving
from nowserving.cli.dashboard import dashboard
from nowserving.cli.doctor import doctor
from nowserving.cli.release import release
from nowserving.cli.root import Root
from nowserving.cli.run import run
from nowserving.cli.show import show
from nowserving.cli.status import status
from nowserving.cli.top import top
from nowserving.cli.verify import verify
from nowserving.cli.watch import watch
from nowserving.cli.whatif import whatif
from nowserving.cli.why import why

app = typer.Typer(
    cls=Root,
    help="One message at a time per conversation, in the order in which they arrived.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # joins the lines of a docstring's paragraphs
    pretty_exceptions_show_locals=False,  # a store's URL may hold a password
)
# In the order in which they are listed: to look, to act, to check.
app.command()(status)
app.command()(top)
app.command()(show)
app.command()(release)
app.command()(watch)
app.command()(why)
app.command()(whatif)
app.command()(dashboard)
app.command()(run)
app.command()(doctor)
app.command()(verify)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        typer.echo(f"nowserving {nowserving.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    # No docstring: typer would show it in place of `help` above.
    return

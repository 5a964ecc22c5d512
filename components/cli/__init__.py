"""The command line `adloom`. Heavy imports are inside the commands that need them, so that `--help` is fast."""

import sys

import click

from components.contract.escaping import terminal
from components.settings.addresses import hidden
from components.settings.errors import UserError


class _Plain(click.Group):
    """A group whose commands end with one sentence and exit code 1 after a user's mistake, never with a traceback."""

    def invoke(self, ctx: click.Context):
        """Run the command; a UserError becomes its message on standard error."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"adloom: {terminal(hidden(str(error)))}", err=True)
            sys.exit(1)


@click.group(cls=_Plain, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="adloom")
@click.option("--params", default="params.yaml", show_default=True, metavar="FILE", help="The settings file.")
@click.pass_context
def adloom(context: click.Context, params: str) -> None:
    """Learn which ad creative to show to whom, generate new ones, and promote what the log supports."""
    context.obj = params


def _collect() -> None:
    from components.cli.creatives import creatives
    from components.cli.data import data
    from components.cli.evaluate import evaluate
    from components.cli.generate import generate
    from components.cli.registry import export, promote, reject, rollback, sign, status
    from components.cli.run import run, stage
    from components.cli.serve import serve
    from components.cli.ui import databases, ui

    decisions = (status, promote, reject, rollback, sign, export)
    for command in (run, data, stage, generate, creatives, evaluate, *decisions, serve, databases, ui):
        adloom.add_command(command)


def main() -> None:
    """Entry point of `adloom` and of `python -m components`."""
    _collect()
    adloom()

"""`adloom status`, `promote` and `rollback`: the registry as the command line sees it."""

import json

import click

from components.cli.run import DATASET, SHIPPED, json_option, workdir
from components.escaping import terminal


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have a number and no name
        raise click.UsageError("this user has no login name, so say who decides: --by NAME") from None


because = click.option("--reason", metavar="TEXT", help="Why; kept with the version.")
by_whom = click.option(
    "--by", metavar="NAME", default=_login, show_default="the login name", help="Who; kept with the version."
)


def _open():
    from components.environment import prepare

    prepare()
    from components.tracking import open_store

    return open_store()


@click.command()
@click.argument("dataset", type=DATASET, required=False)
@json_option
def status(dataset: str | None, as_json: bool) -> None:
    """Show champion, challenger, their numbers and the last decision."""
    from components.cli.summary import print_status
    from components.promotion.history import standing

    client = _open()
    rows = [row for name in ((dataset,) if dataset else SHIPPED) for row in standing(client, name)]
    if as_json:
        click.echo(json.dumps(rows, allow_nan=False))
    else:
        print_status(rows)


@click.command()
@click.argument("dataset", type=DATASET)
@click.option("--force", is_flag=True, help="Overrule the gate; needs --reason.")
@because
@by_whom
def promote(dataset: str, force: bool, reason: str | None, by: str) -> None:
    """Make the challenger policy of DATASET its champion, if it passed the gate."""
    from components.promotion.registry import promote as move

    outcome = move(_open(), f"{dataset}-policy", force, reason, by)
    click.echo(terminal(f"{dataset}-policy: version {outcome.champion} is champion ({outcome.reasons[0]}; {by})"))


@click.command()
@click.argument("dataset", type=DATASET)
@because
@by_whom
@workdir
def rollback(dataset: str, reason: str | None, by: str, workdir: str) -> None:
    """Give the champion's place in DATASET back to the version that held it before.

    The export in the working directory follows. No run promotes the version that loses the place again, until `adloom
    promote` does.
    """
    from components.paths import Paths
    from components.promotion.registry import rollback as move
    from components.publication import renew_export

    outcome = move(_open(), f"{dataset}-policy", reason, by)
    click.echo(terminal(f"{dataset}-policy: version {outcome.champion} is champion again ({by})"))
    paths = Paths.of(dataset, workdir=workdir)
    if renew_export(dataset, paths):
        click.echo(f"{paths.export}: holds version {outcome.champion} now")
    else:
        click.echo(f"{paths.export}: nothing is exported here; an export elsewhere follows with `adloom run {dataset}`")

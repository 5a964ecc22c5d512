"""`adloom status`, `promote`, `reject`, `rollback` and `sign`: the registry as the command line sees it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.cli.run import DATASET, SHIPPED, json_option, workdir
from components.contract.escaping import terminal

if TYPE_CHECKING:
    from components.settings.paths import Paths


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


def _open(lock: str | None = None):
    from components.settings.environment import prepare

    prepare()
    from components.registry.mlflow_store import open_store

    return open_store(lock)


def _lock(params: str | None, dataset: str) -> str | None:
    """`promotion.lock` of the settings file."""
    from components.settings.sections import load_settings

    return load_settings(params or "params.yaml", dataset).promotion.lock


@click.command()
@click.argument("dataset", type=DATASET, required=False)
@json_option
def status(dataset: str | None, as_json: bool) -> None:
    """Show champion, challenger, their numbers and the last decision."""
    from components.cli.summary import print_status
    from components.registry.standing import standing

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
@workdir
@click.pass_obj
def promote(params: str | None, dataset: str, force: bool, reason: str | None, by: str, workdir: str) -> None:
    """Make the challenger policy of DATASET its champion, if it passed the gate.

    Its files are checked, and its decision is made again from the evidence that was kept. The export in the working
    directory follows.
    """
    from components.registry.promotion import promote as move

    with _working(dataset, workdir, "promote") as paths:
        outcome = move(_open(_lock(params, dataset)), f"{dataset}-policy", force, reason, by)
        click.echo(terminal(f"{dataset}-policy: version {outcome.champion} is champion ({outcome.reasons[0]}; {by})"))
        _renew(dataset, paths, outcome.champion)


@click.command()
@click.argument("dataset")
@because
@by_whom
@click.pass_obj
def reject(params: str | None, dataset: str, reason: str | None, by: str) -> None:
    """Turn the challenger policy of DATASET down: it no longer waits, and no run proposes this version again."""
    from components.registry.promotion import reject as turn_down

    outcome = turn_down(_open(_lock(params, dataset)), f"{dataset}-policy", reason, by)
    click.echo(terminal(f"{dataset}-policy: version {outcome.candidate} is rejected ({outcome.reasons[0]}; {by})"))


@click.command()
@click.argument("dataset", type=DATASET)
@because
@by_whom
@workdir
@click.pass_obj
def rollback(params: str | None, dataset: str, reason: str | None, by: str, workdir: str) -> None:
    """Give the champion's place in DATASET back to the version that held it before.

    Repeated, it goes one champion further back each time. The export in the working directory follows. No run promotes
    the version that loses the place, or one made by the same settings and code, until `adloom promote` does.
    """
    from components.registry.promotion import rollback as move

    with _working(dataset, workdir, "rollback") as paths:
        outcome = move(_open(_lock(params, dataset)), f"{dataset}-policy", reason, by)
        click.echo(f"{dataset}-policy: version {outcome.champion} is champion again ({by})")
        _renew(dataset, paths, outcome.champion)


@click.command()
@click.argument("dataset")
@click.option("--reason", metavar="TEXT", required=True, help="How you know them; kept with the versions.")
@by_whom
@click.pass_obj
def sign(params: str | None, dataset: str, reason: str, by: str) -> None:
    """Sign the champions of DATASET that were registered before packages were signed.

    Their files have to be those of their digests. Where they come from is your word, and is kept with the versions.
    """
    from components.registry.promotion import vouch
    from components.registry.standing import MODELS

    client = _open(_lock(params, dataset))
    signed = [vouch(client, f"{dataset}-{kind}", reason, by) for kind in MODELS]
    for version in filter(None, signed):
        click.echo(f"{version.name}: version {version.number} is signed ({by})")
    if not any(signed):
        click.echo(f"{dataset}: there is no champion to sign")


@contextmanager
def _working(dataset: str, workdir: str, command: str) -> Iterator["Paths"]:
    """The folders of `dataset`, with nobody else at work in its artifacts."""
    from components.registry.locks import folder_lock
    from components.settings.paths import Paths

    paths = Paths.of(dataset, workdir=workdir)
    with folder_lock(Path(paths.artifacts), f"`adloom {command}`"):
        yield paths


def _renew(dataset: str, paths: "Paths", version: int) -> None:
    from components.workflow.publishing.export import renew_export

    if renew_export(dataset, paths):
        click.echo(f"{paths.export}: holds version {version} now")
    else:
        click.echo(f"{paths.export}: nothing is exported here; an export elsewhere follows with `adloom run {dataset}`")

"""`adloom creatives review`: list the new creatives of the last run, approve and reject them."""

import json
from typing import TYPE_CHECKING

import click

from components.cli.registry import login, registry_lock, renew
from components.cli.run import DATASET, json_option, workdir
from components.contract.escaping import terminal

if TYPE_CHECKING:
    from components.settings.paths import Paths


@click.group()
def creatives() -> None:
    """Review the new creatives of runs."""


@creatives.command()
@click.argument("dataset", type=DATASET)
@click.option("--approve", multiple=True, metavar="ID", help="Approve this creative; may be repeated.")
@click.option("--reject", multiple=True, metavar="ID", help="Reject this creative; may be repeated. Needs --why.")
@click.option("--why", default="", metavar="TEXT", help="Reason, recorded with the decision.")
@click.option(
    "--who",
    metavar="NAME",
    default=login,
    show_default="the login name",
    help="Who decides; recorded with the decision.",
)
@workdir
@json_option
@click.pass_obj
def review(
    params: str | None,
    *,
    dataset: str,
    approve: tuple[str, ...],
    reject: tuple[str, ...],
    why: str,
    who: str,
    workdir: str,
    as_json: bool,
) -> None:
    """List the new creatives of DATASET's last run, or approve and reject some of them.

    The list names, for each creative, its texts, the rules' outcome, its picture and the last review. The registry
    keeps each decision with who, when and why. A rejected creative (the same texts, photo and design, under any id) is
    in no later pool, and the champion stops showing it: the export is renewed at once, and `adloom serve` follows
    within serving.refresh_seconds. With ads.review: required, only approved creatives enter a pool.
    """
    both = set(approve) & set(reject)
    if both:
        raise click.UsageError(f"{sorted(both)[0]} is both approved and rejected")
    from components.settings.environment import prepare

    prepare()
    from components.registry.mlflow_store import open_store
    from components.settings.paths import Paths
    from components.workflow.creative_review import decide, listed

    client, paths = open_store(registry_lock(params, dataset)), Paths.of(dataset, workdir=workdir)
    made = []
    for ids, approved in ((approve, True), (reject, False)):
        if ids:
            made += decide(client, dataset, paths, ids, approved=approved, who=who, why=why)
    if not made:
        _show(listed(client, dataset, paths), as_json)
        return
    if as_json:
        click.echo(json.dumps([vars(decision) for decision in made], allow_nan=False))
    else:
        for decision in made:
            click.echo(terminal(f"{decision.creative_id} {decision.words}"))
    if reject:
        _withdraw(dataset, paths, as_json)


def _withdraw(dataset: str, paths: "Paths", as_json: bool) -> None:
    """Renew the export in the working directory, if there is one."""
    if paths.export.exists():
        renew(dataset, paths, None, quiet=as_json)


def _show(rows: list[dict], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, allow_nan=False))
        return
    from components.cli.summary import print_creatives

    print_creatives(rows)

"""`adloom status`, `promote`, `reject`, `rollback` and `sign`: the commands on the registry."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.cli.run import DATASET, json_option, workdir
from components.contract.escaping import terminal
from components.settings.shipped_datasets import SHIPPED

if TYPE_CHECKING:
    from components.settings.paths import Paths


def login() -> str:
    """The login name of this user, as the one who decides."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        raise click.UsageError("this user has no login name, so say who decides: --by NAME") from None


reason_option = click.option("--reason", metavar="TEXT", help="Reason, recorded with the version.")
by_option = click.option(
    "--by",
    metavar="NAME",
    default=login,
    show_default="the login name",
    help="Who decides; recorded with the version.",
)


def _open(lock: str | None = None):
    from components.settings.environment import prepare

    prepare()
    from components.registry.mlflow_store import open_store

    return open_store(lock)


def registry_lock(params: str | None, dataset: str) -> str | None:
    """`promotion.lock` of the settings file."""
    from components.settings.params_file import load_settings

    return load_settings(params or "params.yaml", dataset).promotion.lock


@click.command()
@click.argument("dataset", type=DATASET, required=False)
@json_option
def status(dataset: str | None, as_json: bool) -> None:
    """Show the champion, the challenger, their lifts and the last decision."""
    from components.cli.summary import print_status
    from components.registry.model_status import model_status

    client = _open()
    rows = [row for name in ((dataset,) if dataset else SHIPPED) for row in model_status(client, name)]
    if as_json:
        click.echo(json.dumps(rows, allow_nan=False))
    else:
        print_status(rows)


@click.command()
@click.argument("dataset", type=DATASET)
@click.option("--force", is_flag=True, help="Promote although the gate refused; needs --reason.")
@reason_option
@by_option
@workdir
@click.pass_obj
def promote(params: str | None, dataset: str, *, force: bool, reason: str | None, by: str, workdir: str) -> None:
    """Make the challenger policy of DATASET its champion, if it passed the gate.

    The command verifies the challenger's files and repeats its decision from the recorded evidence. It then updates
    the export in the working directory.
    """
    from components.registry.promotion import promote as move

    with _working(dataset, workdir, "promote") as paths:
        outcome = move(_open(registry_lock(params, dataset)), f"{dataset}-policy", force, reason, by)
        click.echo(terminal(f"{dataset}-policy: version {outcome.champion} is champion ({outcome.reasons[0]}; {by})"))
        renew(dataset, paths, outcome.champion)


@click.command()
@click.argument("dataset")
@reason_option
@by_option
@click.pass_obj
def reject(params: str | None, dataset: str, reason: str | None, by: str) -> None:
    """Reject the challenger policy of DATASET: it stops waiting, and no run proposes this version again."""
    from components.registry.promotion import reject as turn_down

    outcome = turn_down(_open(registry_lock(params, dataset)), f"{dataset}-policy", reason, by)
    click.echo(terminal(f"{dataset}-policy: version {outcome.candidate} is rejected ({outcome.reasons[0]}; {by})"))


@click.command()
@click.argument("dataset", type=DATASET)
@reason_option
@by_option
@workdir
@click.pass_obj
def rollback(params: str | None, dataset: str, reason: str | None, by: str, workdir: str) -> None:
    """Make the previous champion policy of DATASET champion again, or the champion act in place of its refit.

    Each repetition goes back one more champion. The command updates the export in the working directory. No run
    promotes the version that was rolled back, or one made with the same settings and code; only `adloom promote` does.
    """
    from components.registry.promotion import rollback as move

    with _working(dataset, workdir, "rollback") as paths:
        outcome = move(_open(registry_lock(params, dataset)), f"{dataset}-policy", reason, by)
        again = "is champion again" if outcome.action == "rollback" else f"acts again, in place of {outcome.candidate}"
        click.echo(f"{dataset}-policy: version {outcome.champion} {again} ({by})")
        renew(dataset, paths, outcome.champion)


@click.command()
@click.argument("dataset")
@click.option("--reason", metavar="TEXT", required=True, help="Why you trust the files; recorded with the versions.")
@by_option
@click.pass_obj
def sign(params: str | None, dataset: str, reason: str, by: str) -> None:
    """Sign the champions of DATASET that were registered before packages were signed.

    The files must match their registered digests. You vouch for their origin; your reason is recorded.
    """
    from components.registry.model_status import MODELS
    from components.registry.promotion import sign_champion

    client = _open(registry_lock(params, dataset))
    signed = [sign_champion(client, f"{dataset}-{kind}", reason, by) for kind in MODELS]
    for version in filter(None, signed):
        click.echo(f"{version.name}: version {version.number} is signed ({by})")
    if not any(signed):
        click.echo(f"{dataset}: there is no champion to sign")


@click.command()
@click.argument("dataset", type=DATASET)
@click.option("--out", required=True, metavar="DIR", help="Folder for the export; an earlier export in it is replaced.")
@click.option(
    "--format",
    "image_format",
    type=click.Choice(["png", "jpeg", "webp"]),
    default="png",
    show_default=True,
    help="Of the ads.",
)
@workdir
@json_option
def export(dataset: str, *, out: str, image_format: str, workdir: str, as_json: bool) -> None:
    """Export the champion policy of DATASET for an ad server: decisions, new ads, and a manifest.

    The champion is fetched from the registry and verified. The ads are in the sizes of ads.sizes of its run. Equal
    champions give equal bytes.
    """
    _open()
    from upath import UPath

    from components.settings.paths import Paths
    from components.workflow.publishing.export import export_to

    manifest = export_to(UPath(out), dataset, Paths.of(dataset, workdir=workdir), image_format)
    if as_json:
        click.echo(json.dumps(manifest, allow_nan=False))
        return
    sizes = sorted({ad["size"] for ad in manifest["ads"].values()})
    ads = f"{len(manifest['ads'])} ads ({', '.join(sizes)})" if sizes else "no ads"
    policy = f"{dataset}-policy version {manifest['policy_version']} ({', '.join(manifest['forms'])})"
    click.echo(terminal(f"{out}: {policy}, {ads}"))


@contextmanager
def _working(dataset: str, workdir: str, command: str) -> Iterator["Paths"]:
    """The folders of `dataset`, with the lock of its artifacts."""
    from components.registry.locks import folder_lock
    from components.settings.paths import Paths

    paths = Paths.of(dataset, workdir=workdir)
    with folder_lock(Path(paths.artifacts), f"`adloom {command}`"):
        yield paths


def renew(dataset: str, paths: "Paths", version: int | None, *, quiet: bool = False) -> None:
    """Export the champion anew in the working directory, and say so. version: the new champion; None: as before."""
    from components.workflow.publishing.export import renew_export

    renewed = renew_export(dataset, paths)
    if quiet:
        return
    if renewed:
        now = "without the rejected creatives" if version is None else f"version {version}"
        click.echo(f"{paths.export}: is now {now}")
    else:
        click.echo(f"{paths.export}: there is no export here; `adloom run {dataset}` updates one elsewhere")

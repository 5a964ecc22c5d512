"""`adloom creatives`: review the new creatives of the last run, and preview a design."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.cli.registry import login, registry_lock, renew
from components.cli.run import DATASET, json_option, workdir
from components.contract.escaping import terminal
from components.settings.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from components.settings.paths import Paths


@click.group()
def creatives() -> None:
    """Review the new creatives of runs, and preview designs."""


@creatives.command()
@click.argument("design", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder of the ads; made if absent.")
@click.option("--photo", type=click.Path(exists=True, dir_okay=False), help="Photo to show; a drawn one if not given.")
@click.option("--palette", metavar="NAME", help="Palette of the ads; mono if not given.")
@json_option
@click.pass_obj
def preview(
    _params: str | None, *, design: str, out: str, photo: str | None, palette: str | None, as_json: bool
) -> None:
    """Draw example ads of the YAML file DESIGN in every size, and say which of them would be refused.

    The ads have short and long texts, in English and Chinese, with and without a product's title and price. Each is a
    PNG file in the folder; `preview.png` shows all, refused ones in a red frame. The exit status is 1 if a rule refuses
    one. A design that is ready goes into the folder components/ads/rendering/designs.
    """
    from components.settings.environment import prepare

    prepare()
    from components.ads.design_preview import PREVIEW_FILE, example_photo, preview, preview_sheet
    from components.ads.rendering.designs import read_design
    from components.ads.rendering.palettes import known_palette

    try:
        text = Path(design).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{design}: is no text in UTF-8") from None
    read, chosen = read_design(text, design), known_palette(palette)
    shown = example_photo() if photo is None else _photo(photo)
    ads = preview(read, shown, chosen)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for ad in ads:
        (folder / ad.file_name).write_bytes(ad.png)
    (folder / PREVIEW_FILE).write_bytes(preview_sheet(ads))
    refused = [ad for ad in ads if ad.refused]
    if as_json:
        click.echo(json.dumps([{"file": ad.file_name, "refused": ad.refused} for ad in ads]))
    else:
        for ad in refused:
            click.echo(f"{ad.file_name}: {ad.refused}")
        click.echo(f"{len(ads)} ads in {folder}, {len(refused)} of which would be refused; see {PREVIEW_FILE}")
    if refused:
        raise SystemExit(1)


def _photo(file: str) -> "np.ndarray":
    from components.images import decode

    try:
        return decode(Path(file).read_bytes())
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


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

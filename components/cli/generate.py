"""`adloom generate`: new creatives from the champion generator."""

from pathlib import Path

import click

from components.cli.run import DATASET
from components.contract.escaping import terminal
from components.settings.errors import UserError


@click.command()
@click.argument("dataset", type=DATASET)
@click.option("--text", metavar="TEXT", help="What the image should show, in English or Chinese.")
@click.option("--category", metavar="NAME", help="Category of the data set; default: all in turn.")
@click.option("--segment", type=int, metavar="NUMBER", help="Shopper segment; default: all in turn.")
@click.option("--placement", metavar="NAME", help="Placement to choose copy, template and palette for.")
@click.option("--hour", type=click.IntRange(0, 23), metavar="HOUR", help="The same for an hour of the shopper's day.")
@click.option("--personalise", is_flag=True, help="Search for images that the segment should prefer.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Number of images.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the images.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the images, ads and manifest.json.")
def generate(dataset: str, out: str, **request) -> None:
    """Generate images and ads with the champion generator of DATASET, and a manifest that describes them."""
    if Path(out).is_file():
        raise UserError(f"--out {out}: is a file, not a folder")
    from components.settings.environment import prepare

    prepare()
    from upath import UPath

    from components.workflow.generate import GenerateRequest
    from components.workflow.generate import generate as make

    result = make(dataset, UPath(out), GenerateRequest(**request))
    click.echo(f"{out}: {result.written} images, their ads and manifest.json")
    if result.ctr:
        expected, average, unaware = result.ctr
        click.echo(
            f"expected click-through in that context: {expected:.4f}; {average:.4f} with average copy, "
            f"{unaware:.4f} with the copy chosen without the context"
        )
    if result.ordinary is not None:
        click.echo(f"{result.written - sum(result.ordinary.values())} of {result.written} images are personalised")
        for reason, images in result.ordinary.items():
            click.echo(terminal(f"{images} are not personalised; {reason}"))
    if result.unmet:
        click.echo(
            f"{result.unmet} of them still do not show what the text says after {result.attempts} attempts; "
            "they are written too, with met: false in manifest.json"
        )

"""`adloom generate`: new creatives from the champion generator."""

from pathlib import Path

import click

from components.cli.run import DATASET
from components.contract.escaping import terminal
from components.settings.errors import UserError


@click.command()
@click.argument("dataset", type=DATASET)
@click.option("--text", metavar="TEXT", help="What the picture should show, in English or Chinese.")
@click.option("--category", metavar="NAME", help="A category of the data set; default: all in turn.")
@click.option("--segment", type=int, metavar="NUMBER", help="A shopper segment; default: all in turn.")
@click.option("--placement", metavar="NAME", help="Where it will be shown: the words and look that should earn most.")
@click.option("--hour", type=click.IntRange(0, 23), metavar="HOUR", help="When, by the shoppers' clock where logged.")
@click.option("--personalise", is_flag=True, help="Search for pictures that the segment should like, or say why not.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=8, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same pictures.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the pictures and manifest.json.")
def generate(dataset, text, category, segment, placement, hour, personalise, count, seed, out) -> None:
    """Make new creatives with the champion generator of DATASET: pictures, ads and a manifest."""
    if Path(out).is_file():
        raise UserError(f"--out {out}: is a file, not a folder")
    from components.settings.environment import prepare

    prepare()
    from upath import UPath

    from components.workflow.generate import Order
    from components.workflow.generate import generate as make

    made = make(dataset, UPath(out), Order(count, category, segment, text, seed, placement, hour, personalise))
    click.echo(f"{out}: {made.written} pictures, their ads and manifest.json")
    if made.ctr:
        expected, average, unaware = made.ctr
        click.echo(
            f"expected click-through in that context: {expected:.4f}; {average:.4f} with average words and looks, "
            f"{unaware:.4f} with those chosen without the context"
        )
    if made.ordinary is not None:
        click.echo(f"{made.written - sum(made.ordinary.values())} of {made.written} pictures are personalised")
        for reason, count in made.ordinary.items():
            click.echo(terminal(f"{count} are ordinary ones; {reason}"))
    if made.unmet:
        click.echo(
            f"{made.unmet} of them still do not show what the text says after {made.attempts} attempts; "
            "they are kept, with met: false in manifest.json"
        )

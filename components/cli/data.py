"""`adloom data`: build, verify, add, import, pull, collect and advance data sets."""

import click

from components.cli.run import DATASET, workdir
from components.settings.errors import UserError
from components.settings.shipped_datasets import ALL_SHIPPED, SHIPPED, SIMULATED


@click.group()
def data() -> None:
    """Build, verify, add, import, pull, collect and advance data sets."""


@data.command()
@click.argument("name", required=False, type=DATASET, metavar="[DATASET]")
@click.option("--scenario", metavar="FILE", help="Name or file of a scenario to simulate.")
@click.pass_obj
def build(params: str, name: str | None, scenario: str | None) -> None:
    """Build a data set that comes with Adloom: marketplace, openbandit or storefront (no name: the first two).

    Your package managers fetch the photos and logs they are built from.
    """
    from upath import UPath

    from components import datasets
    from components.cli.progress import show_progress
    from components.settings.environment import prepare
    from components.settings.params_file import load_settings

    if name and name not in ALL_SHIPPED:
        raise UserError(f"{name}: not a data set that comes with Adloom; these are {', '.join(ALL_SHIPPED)}")
    if scenario and name not in SIMULATED:
        raise UserError("--scenario goes with a simulated shop: `adloom data build marketplace --scenario FILE`")
    cache = prepare() / "cache"
    with show_progress():
        for dataset in (name,) if name else SHIPPED:
            overrides = (f"simulator.scenario={scenario}",) if scenario else ()
            config = load_settings(params, dataset, overrides).simulator
            built = datasets.build(dataset, UPath("data"), config, cache)
            click.echo(f"{built.name}: {'built in' if built.fresh else 'is already in'} {built.folder}")


@data.command()
@click.argument("name", required=False, type=DATASET, metavar="[DATASET]")
def verify(name: str | None) -> None:
    """Compare every file of a built data set with the digests that come with Adloom (no name: the first two)."""
    from upath import UPath

    from components import datasets

    for dataset in (name,) if name else SHIPPED:
        count = datasets.verify(UPath("data"), dataset)
        click.echo(f"{dataset}: {count} files as they should be")


@data.command()
@click.argument("name", type=DATASET, metavar="NAME")
@click.argument("folder", metavar="DIR")
def add(name: str, folder: str) -> None:
    """Copy a folder with the contract's files to data/NAME and bring it under data.dvc.

    Run the same command again to finish an addition that was interrupted.
    """
    from upath import UPath

    from components import datasets
    from components.cli.progress import show_progress

    data = UPath("data")
    try:
        with show_progress():
            target = datasets.add(name, UPath(folder), data)
    except datasets.AlreadyAdded:
        target = data / name
        if not _dvc_add(target):  # it was under data.dvc too: nothing was left to do
            raise
    else:
        _dvc_add(target)
    click.echo(f"{target}: added; commit data.dvc to keep it")


@data.command("import")
@click.argument("name", type=DATASET, metavar="NAME")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--zone", metavar="ZONE", help="Zone of times without one, such as UTC or Europe/Berlin.")
@click.option("--currency", metavar="CODE", help="Currency of all amounts, such as EUR.")
def import_files(name: str, files: tuple[str, ...], zone: str | None, currency: str | None) -> None:
    """Build data/NAME from CSV, TSV, Excel, Parquet or JSON-lines files, or add new days from more files.

    The first import writes data/NAME/mapping.yaml, which says what each column was taken for: review it. Where it asks
    something ('?'), answer there and run the same command again. docs/import.md lists what is understood.
    """
    from pathlib import Path

    from upath import UPath

    from components import datasets
    from components.settings.environment import prepare

    prepare()
    try:
        done = datasets.import_files(name, [Path(file) for file in files], UPath("data"), zone, currency)
    except OSError as error:
        raise UserError(
            f"{name}: nothing has changed, for {error.filename} cannot be read or written: {error.strerror}"
        ) from None
    for note in done.notes:
        click.echo(f"{name}: {note}")
    rows = ", ".join(f"{count:,} {table}" for table, count in done.written.rows.items()) or "nothing"
    if done.fresh:
        click.echo(f"{done.folder}: {rows}; the log ends on {done.written.card.ends_at:%Y-%m-%d}")
        click.echo(f"Review {done.folder}/mapping.yaml, then `adloom run {name}`; `dvc add data` keeps the data set")
        return
    click.echo(
        f"{done.folder}: {done.written.days} more days, until {done.written.card.ends_at:%Y-%m-%d} ({rows}); "
        f"{done.written.late:,} rows of earlier days; {done.written.settled:,} earlier conversions are final"
    )


def _dvc_add(target) -> bool:
    """Bring data/ under data.dvc; whether data.dvc has changed."""
    import subprocess
    import sys
    from pathlib import Path

    record = Path("data.dvc")
    before = record.read_bytes() if record.exists() else None
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "--quiet", "data"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise UserError(f"{target} is in place, but `dvc add data` failed: {reason}; run the same command again")
    return record.read_bytes() != before


@data.command()
@click.argument("name", type=DATASET, metavar="NAME")
@click.pass_obj
def pull(params: str, name: str) -> None:
    """Bring data/NAME up to date from the database, folder or Kafka topics that `source` names in params.yaml.

    Reads one state of it, changes nothing there, and writes whole days, which stay as they are; a pull that was cut
    goes on after the last whole day. Credentials are ${NAME} in the URL and come from the environment.
    """
    from upath import UPath

    from components import datasets
    from components.cli.progress import show_progress
    from components.settings.environment import prepare
    from components.settings.params_file import load_settings

    source = load_settings(params, name).source
    prepare()
    try:
        with show_progress():
            done = datasets.pull(name, source, UPath("data"))
    except OSError as error:
        raise UserError(f"{name}: {error.filename} cannot be written: {error.strerror}; pull again to go on") from None
    for table, rows in done.untimed.items():
        click.echo(f"{name}: {rows:,} rows of {table} have no time, or an infinite one, and are left out")
    if not done.days:
        click.echo(f"{name}: nothing new; the log ends on {done.ends_at:%Y-%m-%d}")
        return
    click.echo(
        f"{name}: {done.days} more days, until {done.ends_at:%Y-%m-%d}: {done.impressions:,} impressions; "
        f"{done.late:,} rows of earlier days came late; {done.settled:,} earlier conversions are final. "
        "`dvc add data` keeps them"
    )


@data.command()
@click.argument("name", type=DATASET, metavar="DATASET")
@click.option("--data", "folder", metavar="DIR", help="Folder with your own data set.")
@workdir
@click.pass_obj
def collect(params: str, name: str, folder: str | None, workdir: str) -> None:
    """Add what `adloom serve` logged to the data set: whole days, serving.click_hours after their end.

    The server may run meanwhile. A collection that was cut goes on after the last whole day.
    """
    from pathlib import Path

    from components.cli.progress import show_progress
    from components.serving.served_log import collect as collect_days
    from components.serving.server_clock import now_microseconds
    from components.settings.environment import prepare
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths

    settings, paths = load_settings(params, name), Paths.of(name, data=folder, workdir=workdir)
    prepare()
    with show_progress():
        done = collect_days(name, paths.data, Path(paths.serving), settings, now_microseconds())
    if not done.days:
        click.echo(f"{name}: no whole day to add after {done.ends_at:%Y-%m-%d}, where the data set's log ends")
        return
    click.echo(
        f"{name}: {done.days} more days, until {done.ends_at:%Y-%m-%d}: {done.impressions:,} impressions; "
        f"{done.late:,} rows of earlier days came late; {done.settled:,} earlier conversions are final"
    )


@data.command()
@click.argument("name", type=DATASET, metavar="DATASET")
@click.option("--days", type=int, required=True, metavar="N", help="Number of days to simulate.")
@click.option("--workdir", default="artifacts", show_default=True, metavar="DIR", help="Folder of earlier runs.")
def advance(name: str, days: int, workdir: str) -> None:
    """Simulate N more days of the marketplace in data/DATASET.

    The exported champion chooses the ads, including its new creatives; without an export, the simulated shop's own
    logging policy does. Earlier days do not change. Run `dvc add data` to record the new days in data.dvc.
    """
    from upath import UPath

    from components.settings.paths import Paths
    from components.workflow.advance import advance as advance_days
    from components.workflow.publishing.export import exported_policy

    champion = exported_policy(Paths.of(name, workdir=workdir))
    try:
        done = advance_days(name, UPath("data"), days, champion)
    except OSError as error:
        raise UserError(
            f"{name}: nothing has changed, for {error.filename} cannot be written: {error.strerror}"
        ) from None
    click.echo(
        f"{name}: {days} more days, until {done.ends_at:%Y-%m-%d}: {done.policy} showed {done.impressions:,} ads with "
        f"{done.clicks:,} clicks; {done.new_creatives} new creatives; {done.settled} earlier conversions are final. "
        "`dvc add data` keeps them"
    )

"""`adloom run` and `adloom stage`: the whole flow, or one stage of it."""

from pathlib import Path

import click

from components.settings.errors import UserError
from components.settings.file_names import check_dataset_name
from components.settings.shipped_datasets import ALL_SHIPPED, SHIPPED


class DatasetName(click.ParamType):
    """A data set's name; any other text is refused before it is used in a path, a model's name or a query."""

    name = "DATASET"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value`; UserError if it is not a data set's name."""
        return check_dataset_name(value)


DATASET = DatasetName()

setting = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a setting; may be repeated."
)
workdir = click.option("--workdir", default="artifacts", show_default=True, metavar="DIR", help="Folder for outputs.")
json_option = click.option("--json", "as_json", is_flag=True, help="Report as one JSON document.")


@click.command()
@click.argument("datasets", nargs=-1, type=DATASET, metavar="[DATASET ...]")
@click.option("--data", "folder", metavar="DIR", help="Folder with your own data set.")
@click.option(
    "--as-of", metavar="DATE", help="Use only what was known at this time (UTC); publishes nothing without --publish."
)
@click.option("--publish", is_flag=True, help="With --as-of: charge the ledger, register versions, and promote.")
@setting
@workdir
@json_option
@click.pass_obj
def run(params: str, *, datasets, folder, as_of, publish, overrides, workdir, as_json) -> None:
    """Run all six stages: validation, features, interest, creatives, evaluation, promotion.

    Without a name: marketplace, then openbandit. Stages whose inputs, settings and code have not changed are skipped.
    """
    from components.settings.environment import prepare

    names = _names(datasets, folder)
    if as_of:
        overrides = (*overrides, f"validation.as_of={as_of}")
    for name in names:  # a wrong setting ends the command before the first server starts
        _settings(params, name, folder, overrides)
    prepare()
    from components.cli.progress import show_progress
    from components.cli.summary import print_summary
    from flows.pipeline import run_all

    with show_progress():
        outcomes = run_all(names, params, folder, workdir, tuple(overrides), publish_as_of=publish)
    print_summary(outcomes, as_json)


def _names(datasets: tuple[str, ...], folder: str | None) -> tuple[str, ...]:
    if folder is None:
        return datasets or SHIPPED
    from upath import UPath

    from components.contract.card import read_card

    if len(datasets) > 1:
        raise UserError("--data takes one folder, so at most one data set can be named with it")
    name = read_card(UPath(folder)).name
    if datasets and datasets[0] != name:
        raise UserError(f"{folder}/dataset.yaml calls the data set {name!r}, not {datasets[0]!r}")
    if name in ALL_SHIPPED and Path(folder).resolve() != Path("data", name).resolve():
        raise UserError(f"{folder}: a data set of your own cannot be called {name!r}, which comes with Adloom")
    return (name,)


def _settings(params: str, name: str, folder: str | None, overrides: tuple[str, ...]):
    from components.contract.files.atomic_files import recover_folder
    from components.settings.params_file import dataset_names, load_settings
    from components.workflow.run_stage import checked

    if folder is None:
        recover_folder(Path("data", name))
    known = dataset_names(params)
    if folder is None and name not in known and not Path("data", name, "dataset.yaml").exists():
        raise UserError(f"{name}: no such data set; known are {', '.join(known)}. Add your own with `adloom data add`")
    return checked(load_settings(params, name, tuple(overrides)))


@click.command()
@click.argument("name", metavar="STAGE")
@click.option("--dataset", required=True, type=DATASET, help="Data set to run the stage on.")
@click.option("--force", is_flag=True, help="Run even if no input, setting or code has changed.")
@setting
@workdir
@click.pass_obj
def stage(params: str, *, name, dataset, force, overrides, workdir) -> None:
    """Run one STAGE on a data set, as dvc.yaml does. Registers nothing.

    Stages, in order: validation, features, interest, creatives, evaluation, promotion.
    """
    from components.settings.paths import STAGES

    if name not in STAGES:
        raise UserError(f"{name}: no such stage; stages are {', '.join(STAGES)}")
    settings = _settings(params, dataset, None, overrides)
    from components.settings.environment import prepare

    prepare()
    from components.cli.progress import show_progress
    from components.registry.locks import folder_lock
    from components.settings.paths import Paths
    from components.workflow import run_stage

    paths = Paths.of(dataset, workdir=workdir)
    with show_progress(), folder_lock(Path(paths.artifacts), f"`adloom stage {name}`"):
        ran = run_stage.run(name, settings, paths, force=force)
    click.echo(f"{dataset} {name}: {'done' if ran else 'unchanged, not run again'}")

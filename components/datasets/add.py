"""A user's folder of tables -> `data/NAME`, once its card and every table have been seen to be readable."""

import shutil
import uuid

from upath import UPath

from components.contract.card import read_card, write_card
from components.contract.schema import TABLES
from components.contract.tables import has_table, read_table
from components.datasets.digests import SHIPPED
from components.datasets.storage import replace_folder
from components.errors import UserError
from components.file_names import check_dataset_name


def add(name: str, source: UPath, data_folder: UPath) -> UPath:
    """Copies the data set in `source` to `data_folder/name`, which is returned; its card then bears `name`.

    The folder is not yet under `data.dvc`: the caller follows with `dvc add`. Nothing is overwritten, and names that
    begin like a shipped data set's are refused, so that a later build cannot meet it.
    """
    check_name(name)
    source, folder = UPath(source), UPath(data_folder) / name
    if folder.exists():
        raise UserError(f"{name}: {folder} is there already; choose another name or remove it first")
    if not source.is_dir():
        raise UserError(f"{name}: no folder {source}")
    card = read_card(source)
    present = _check_tables(source)
    said = set(card.tables)
    if said != set(present):
        odd = ", ".join(sorted(said ^ set(present)))
        raise UserError(f"{source / 'dataset.yaml'}: `real` and `simulated` together must list the tables there: {odd}")
    fresh = folder.parent / f".{name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        for table in present:
            _copy_table(source, table, fresh)
        write_card(card.model_copy(update={"name": name}), fresh)
        replace_folder(fresh, folder)
    finally:
        if fresh.exists():
            shutil.rmtree(fresh.path)
    return folder


def check_name(name: str) -> None:
    """UserError for a name that is no data set's, or kept for those that Adloom builds."""
    check_dataset_name(name)
    for shipped in SHIPPED:
        if name == shipped or name.startswith(f"{shipped}-"):
            raise UserError(f"{name}: names that begin with {shipped} are kept for data sets that Adloom builds")


def _check_tables(source: UPath) -> tuple[str, ...]:
    """The tables in `source`, each read once so that a fault shows now and not in a run."""
    present = tuple(name for name in TABLES if has_table(source, name) or TABLES[name].needed)
    for name in present:
        read_table(source, name)
    return present


def _copy_table(source: UPath, name: str, fresh: UPath) -> None:
    single = source / f"{name}.parquet"
    files = [single] if single.is_file() else sorted((source / name).rglob("*.parquet"), key=str)
    for file in files:
        target = fresh / file.relative_to(source).as_posix()
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer)

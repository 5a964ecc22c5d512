"""A user's folder of tables -> `data/NAME`, once its card and every table have been seen to be readable."""

import os
import shutil

from upath import UPath

from components.contract.card import read_card, write_card
from components.contract.files.atomic_files import clear_leftovers, replace_folder, scratch_folder
from components.contract.files.digests import digest_file
from components.contract.files.tables import has_table, read_table
from components.contract.schema import TABLES
from components.datasets.shipped_digests import SHIPPED
from components.settings.errors import UserError
from components.settings.file_names import check_dataset_name


class AlreadyThere(UserError):
    """The data set was added before, with these same files; an addition that was cut off is to be finished."""


def add(name: str, source: UPath, data_folder: UPath) -> UPath:
    """Copies the data set in `source` to `data_folder/name`, which is returned; its card then bears `name`.

    The folder is not yet under `data.dvc`: the caller follows with `dvc add`. Nothing is overwritten, and names that
    begin like a shipped data set's are refused, so that a later build cannot meet it. AlreadyThere (a UserError) where
    `data_folder/name` is this very copy.
    """
    check_name(name)
    clear_leftovers(UPath(data_folder))  # of killed commands: `dvc add` takes in all that it finds
    source, folder = UPath(source), UPath(data_folder) / name
    if folder.exists():
        kind = AlreadyThere if _is_copy(folder, source, name) else UserError
        raise kind(f"{name}: {folder} is there already; choose another name or remove it first")
    if not source.is_dir():
        raise UserError(f"{name}: no folder {source}")
    card = read_card(source)
    present = _check_tables(source)
    said = set(card.tables)
    if said != set(present):
        odd = ", ".join(sorted(said ^ set(present)))
        raise UserError(f"{source / 'dataset.yaml'}: `real` and `simulated` together must list the tables there: {odd}")
    with scratch_folder(folder) as fresh:
        for table in present:
            _copy_table(source, table, fresh)
        write_card(card.model_copy(update={"name": name}), fresh)
        replace_folder(fresh, folder)
    return folder


def _is_copy(folder: UPath, source: UPath, name: str) -> bool:
    """Whether `folder` holds the card of `source`, under its own name, and the same tables byte for byte."""
    try:
        card, copy = read_card(source), read_card(folder)
    except UserError:
        return False
    files, copies = _table_files(source), _table_files(folder)
    return (
        copy == card.model_copy(update={"name": name})
        and files.keys() == copies.keys()
        and all(digest_file(files[name]) == digest_file(copies[name]) for name in files)
    )


def _table_files(folder: UPath) -> dict[str, UPath]:
    """Relative name -> file for every file of a table in `folder`."""
    files = [file for name in TABLES if has_table(folder, name) for file in _files_of(folder, name)]
    return {file.relative_to(folder).as_posix(): file for file in files}


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


def _files_of(folder: UPath, name: str) -> list[UPath]:
    single = folder / f"{name}.parquet"
    return [single] if single.is_file() else sorted((folder / name).rglob("*.parquet"), key=str)


def _copy_table(source: UPath, name: str, fresh: UPath) -> None:
    for file in _files_of(source, name):
        target = fresh / file.relative_to(source).as_posix()
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())

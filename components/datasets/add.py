"""Copy a user's folder of tables to `data/NAME`, after a check that its card and every table can be read."""

import os
import shutil

from upath import UPath

from components.contract.card import read_card, write_card
from components.contract.files.atomic_files import clear_leftovers, replace_folder, scratch_folder
from components.contract.files.digests import digest_file
from components.contract.files.tables import has_table, read_table
from components.contract.schema import TABLES
from components.contract.validation.validate import without_extra_columns
from components.settings.errors import UserError
from components.settings.file_names import check_dataset_name
from components.settings.shipped_datasets import ALL_SHIPPED


class AlreadyAdded(UserError):
    """The data set was added before with the same files, so the caller only has to finish with `dvc add`."""


def add(name: str, source: UPath, data_folder: UPath) -> UPath:
    """The new folder `data_folder/name`, a copy of the data set in `source` with `name` in its card.

    The caller then runs `dvc add`. Nothing is overwritten. A name that begins like a shipped data set's is a UserError,
    since a later build could use it. AlreadyAdded (a UserError) if `data_folder/name` is this copy already.
    """
    check_name(name)
    clear_leftovers(UPath(data_folder))  # of killed commands, since `dvc add` would add them
    source, folder = UPath(source), UPath(data_folder) / name
    if folder.exists():
        kind = AlreadyAdded if _is_copy(folder, source, name) else UserError
        raise kind(f"{name}: {folder} exists already; choose another name or remove it first")
    if not source.is_dir():
        raise UserError(f"{name}: no folder {source}")
    card = read_card(source)
    present = _check_tables(source)
    listed = set(card.tables)
    if listed != set(present):
        differing = ", ".join(sorted(listed ^ set(present)))
        raise UserError(
            f"{source / 'dataset.yaml'}: `real` and `simulated` together must list the tables there: {differing}"
        )
    with scratch_folder(folder) as fresh:
        for table in present:
            _copy_table(source, table, fresh)
        write_card(card.model_copy(update={"name": name}), fresh)
        replace_folder(fresh, folder)
    return folder


def _is_copy(folder: UPath, source: UPath, name: str) -> bool:
    """Whether `folder` has the card of `source`, but for `name`, and the same tables, byte for byte."""
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
    """Relative name -> path for every file of a table in `folder`."""
    files = [file for name in TABLES if has_table(folder, name) for file in _files_of(folder, name)]
    return {file.relative_to(folder).as_posix(): file for file in files}


def check_name(name: str) -> None:
    """UserError for a name that a data set cannot have, or that is reserved for the data sets that Adloom builds."""
    check_dataset_name(name)
    for shipped in ALL_SHIPPED:
        if name == shipped or name.startswith(f"{shipped}-"):
            raise UserError(f"{name}: names that begin with {shipped} are reserved for data sets that Adloom builds")


def _check_tables(source: UPath) -> tuple[str, ...]:
    """The names of the tables in `source`; each is read once, so that a fault shows now and not in a run."""
    present = tuple(name for name in TABLES if has_table(source, name) or TABLES[name].needed)
    for name in present:
        without_extra_columns(read_table(source, name), name)
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

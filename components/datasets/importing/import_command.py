"""`adloom data import NAME FILE...`: a shop's files -> data/NAME with its `mapping.yaml`; all of it or nothing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb
from upath import UPath

from components.contract.card import CARD_FILE
from components.contract.files.atomic_files import recover_folder, scratch_folder
from components.contract.files.tables import read_json, write_json
from components.datasets.add import check_name
from components.datasets.dataset_files import extended_copy
from components.datasets.dataset_lock import dataset_lock
from components.datasets.importing import mapping as mappings
from components.datasets.importing.contract_tables import contract_tables
from components.datasets.importing.conversion import Converted, check_fits, convert
from components.datasets.importing.day_partitions import Written, write_tables
from components.datasets.importing.file_rules import rule_of, rule_of_name
from components.datasets.importing.guessing import guess_mapping
from components.datasets.importing.mapping import FileRule, Mapping, file_place, known_zone, read_mapping, write_mapping
from components.datasets.importing.questions import questions
from components.datasets.importing.staging.reading import StagedTable, read_file
from components.datasets.importing.staging.slates import find_slate, unfold
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError, first_line

RECORD = "imports.json"  # digests of the files and the mapping that a data set was built from
MEMORY = "ADLOOM_IMPORT_MEMORY"  # environment variable: what DuckDB may take
DEFAULT_MEMORY = "1GB"


@dataclass(frozen=True)
class Imported:
    """What an import did: its mapping, what it wrote, what was noticed; `fresh`: the data set was not there before."""

    folder: UPath
    mapping: Mapping
    written: Written
    notes: tuple[str, ...]
    fresh: bool


def import_files(
    name: str, files: Sequence[Path], data_folder: UPath, zone: str | None = None, currency: str | None = None
) -> Imported:
    """Build data_folder/name from the files, or add to it what is new in them.

    The first import writes `mapping.yaml`, which later ones follow. zone, currency: answers to what it would ask.
    UserError, with all open questions, where something cannot be told; then `mapping.yaml` alone is written.
    """
    check_name(name)
    if zone is not None:
        try:
            known_zone(zone)
        except ValueError as error:
            raise UserError(f"--zone: {error}") from None
    folder = UPath(data_folder) / name
    recover_folder(folder)
    path = folder / mappings.NAME
    if folder.exists() and not path.exists():
        raise UserError(
            f"{name}: {folder} is there but was not imported: it has no {mappings.NAME}; choose another name"
        )
    with dataset_lock(name), scratch_folder(folder) as scratch:
        staged = _stage(files, Path(scratch.path), read_mapping(path) if path.exists() else None)
        mapping, written_before = _mapping(path, staged, zone, currency)
        for table in staged:
            at, rule = _rule_of(mapping, table, path)
            check_fits(table, rule, file_place(Path(path.path), at, rule))
        asked = questions(mapping, staged)
        if asked:
            _keep_questions(mapping, path, written_before)
            raise UserError(f"{path} asks: {'; '.join(asked)}. Then run the same command again")
        try:
            return _build(name, staged, mapping, folder, scratch)
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise UserError(
                f"{name}: nothing has changed: {first_line(error)}; free space beside {folder}, or raise the "
                f"environment variable {MEMORY}"
            ) from None


def _stage(files: Sequence[Path], scratch: Path, mapping: Mapping | None) -> list[StagedTable]:
    staged: list[StagedTable] = []
    names = [Path(file).name for file in files]
    if len(set(names)) < len(names):
        raise UserError(f"{max(names, key=names.count)}: two files have this name; rename one of them")
    for file in files:
        rule = rule_of_name(mapping, Path(file).name) if mapping else None
        encoding, delimiter = (rule.encoding, rule.delimiter) if rule else (None, None)
        staged += read_file(Path(file), scratch, encoding, delimiter)
    return [_unfolded(table, mapping) for table in staged]


def _unfolded(table: StagedTable, mapping: Mapping | None) -> StagedTable:
    """The table with a row for each creative, as its rule says; without a rule, where its rows hold several."""
    known = rule_of(mapping, table) if mapping else None
    slate = known[1].slate if known else find_slate(table)
    return unfold(table, slate) if slate else table


def _mapping(path: UPath, staged: Sequence[StagedTable], zone: str | None, currency: str | None) -> tuple[Mapping, str]:
    """The mapping to follow, guessed for files that it does not name yet, and the text of the file as it is."""
    if not path.exists():
        return guess_mapping(staged, zone, currency), ""
    mapping = read_mapping(path)
    new = [table for table in staged if rule_of(mapping, table) is None]
    if new:
        guessed = guess_mapping(new, zone, currency)
        naive = guessed.zone if mapping.zone is None else mapping.zone
        mapping = mapping.model_copy(update={"files": (*mapping.files, *guessed.files), "zone": naive})
    if mapping.zone in (OPEN, None) and zone is not None:
        mapping = mapping.model_copy(update={"zone": zone})
    if mapping.currency in (OPEN, "XXX") and currency is not None:
        mapping = mapping.model_copy(update={"currency": currency})
    return mapping, path.read_text(encoding="utf-8")


def _keep_questions(mapping: Mapping, path: UPath, before: str) -> None:
    if not before or read_mapping(path) != mapping:
        write_mapping(mapping, path)


def _build(name: str, staged: Sequence[StagedTable], mapping: Mapping, folder: UPath, scratch: UPath) -> Imported:
    place = folder / mappings.NAME
    fresh = not (folder / CARD_FILE).exists()
    digest = sha256(mappings.mapping_text(mapping).encode()).hexdigest()
    record = read_json(folder / RECORD) if (folder / RECORD).exists() else {"files": {}}
    rebuilt = not fresh and record.get("mapping") != digest and not _only_added(record, mapping)
    given = {table.file.name: table.digest for table in staged}
    if rebuilt:
        missing = sorted(file for file, known in record["files"].items() if given.get(file) != known)
        if missing:
            raise UserError(
                f"{place} has changed since the data set was built from it: give all its files again to build it anew "
                f"(not given: {', '.join(missing[:5])})"
            )
    connection = _connection(scratch)
    try:
        converted = _convert(connection, staged, mapping, place, scratch)
        tables = contract_tables(connection, converted, mapping, Path(folder.path))
        if not tables.present:
            raise UserError(f"{name}: nothing to import: {place} skips all these files")
        source = f"imported from {', '.join(dict.fromkeys(table.file.name for table in staged))}"
        with extended_copy(folder) as target:
            if rebuilt:
                _empty(target)
            written = write_tables(tables, mapping, name, source, target)
            if fresh or not place.exists() or read_mapping(place) != mapping:
                write_mapping(mapping, target / mappings.NAME)
            rules = [mappings.rule_digest(rule) for rule in mapping.files]
            files = given if rebuilt or fresh else {**record["files"], **given}
            write_json(
                {"mapping": digest, "files": files, "rules": rules, "head": mappings.head_digest(mapping)},
                target / RECORD,
            )
    finally:
        connection.close()
    notes = [f"{part.table.place}: {note}" for part in converted for note in part.notes] + tables.notes
    return Imported(folder, mapping, written, tuple(notes), fresh or rebuilt)


def _only_added(record: dict, mapping: Mapping) -> bool:
    """Whether the mapping differs from the recorded one by rules for further files alone."""
    rules = [mappings.rule_digest(rule) for rule in mapping.files]
    return record.get("head") == mappings.head_digest(mapping) and set(record.get("rules", ())) <= set(rules)


def _empty(folder: UPath) -> None:
    """Remove the tables of a copy of a data set that is built anew."""
    import shutil

    for path in folder.iterdir():
        if path.name == mappings.NAME:
            continue
        if path.is_dir():
            shutil.rmtree(path.path)
        else:
            path.unlink()


def _convert(
    connection, staged: Sequence[StagedTable], mapping: Mapping, place: UPath, scratch: UPath
) -> list[Converted]:
    converted = []
    for number, table in enumerate(staged):
        at, rule = _rule_of(mapping, table, place)
        if rule.table != "skip":
            target = Path(scratch.path) / f"converted-{number}.parquet"
            named = file_place(Path(place.path), at, rule)
            converted.append(convert(connection, table, rule, mapping, place=named, target=target))
    return converted


def _rule_of(mapping: Mapping, table: StagedTable, place: UPath) -> tuple[int, FileRule]:
    found = rule_of(mapping, table)
    if found is None:
        raise UserError(f"{place}: no rule of `files` names {table.place}")
    return found


def _connection(scratch: UPath) -> duckdb.DuckDBPyConnection:
    """DuckDB with a bound on its memory: what is larger goes to files in `scratch`."""
    memory = os.environ.get(MEMORY, "") or DEFAULT_MEMORY
    connection = duckdb.connect(str(Path(scratch.path) / "import.duckdb"))
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = '{memory}'")
        connection.execute(f"SET temp_directory = '{scratch.path}/spill'")
        connection.execute("SET preserve_insertion_order = false")
    except duckdb.Error as error:
        connection.close()
        raise UserError(f"the environment variable {MEMORY} is {memory!r}: {str(error).splitlines()[0]}") from None
    return connection

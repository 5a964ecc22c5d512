"""Tables of typed files (Excel, Parquet, JSON) -> cells as texts that lose nothing.

Lists within a record are slates: one row for each of their elements, beside what the record says of all of them.
"""

import json
import math
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.datasets.importing.column_names import plain, roles
from components.datasets.importing.staging.delimited_text import Cells, TextTable, find_table
from components.settings.errors import UserError, first_line

EXACT = 10**15  # Excel keeps fifteen digits; what is larger it has rounded
ELEMENT = "slate_position"  # the place of an element in its list, from 1
ZEROS = re.compile("0{2,}")  # a number format with leading zeros
WHOLE_JSON = 512 << 20  # characters of a JSON list, which is held in memory


def excel_tables(path: Path, left_out: list[str]) -> Iterator[tuple[str, TextTable]]:
    """The name of each sheet of a workbook that holds a table, and the table in it.

    The names of sheets of notes, without a row of column names, are added to `left_out`; UserError where all are such.
    """
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and extensions that it does not know
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise UserError(
            f"{path.name}: this is an archive that holds no workbook, or a damaged one ({first_line(error)}); "
            "unpack it first"
        ) from None
    try:
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        several = len(sheets) > 1
        for sheet in sheets:
            sheet.reset_dimensions()  # writers state wrong ones
            rows = ((number, [_excel_text(cell) for cell in row]) for number, row in _numbered(sheet))
            first = next(rows, None)
            if first is None:
                continue
            name = sheet.title if several else None
            try:
                table = find_table(_padded(first, rows), f"{path.name}, sheet {sheet.title}" if several else path.name)
            except UserError:
                left_out.append(sheet.title)
                if len(left_out) == len(sheets):
                    raise
                continue
            yield name, table
    finally:
        book.close()


def _numbered(sheet) -> Iterator[tuple[int, tuple]]:
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if any(cell.value is not None for cell in row):
            yield number, row


def _padded(first: tuple[int, Cells], rest: Iterator[tuple[int, Cells]]) -> Iterator[tuple[int, Cells]]:
    """Rows as wide as the widest before: Excel leaves empty cells at the end of a row away."""
    widest = 0
    for number, cells in _chain(first, rest):
        widest = max(widest, len(cells))
        yield number, [*cells, *[None] * (widest - len(cells))]


def _chain(first: Any, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def _excel_text(cell: Any) -> str | None:
    value = cell.value
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if is_whole and abs(value) < EXACT:
        digits = len(cell.number_format) if ZEROS.fullmatch(cell.number_format) else 0
        return f"{int(value):0{digits}d}"  # a code such as 00123, as the sheet shows it
    if isinstance(value, (float, int)) and abs(value) >= EXACT:
        return f"{float(value):.14E}"  # as the sheet shows it: the last digits are gone
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def parquet_batches(path: Path) -> Iterator[pa.Table]:
    """The rows of a Parquet file in batches, every column as text but pictures."""
    try:
        with pq.ParquetFile(path) as parquet:
            names = parquet.schema_arrow.names
            if len(set(names)) < len(names):
                raise UserError(f"{path.name}: two of its columns have one name")
            lists = [field.name for field in parquet.schema_arrow if _is_nested(field.type)]
            empty = parquet.schema_arrow.empty_table()
            if lists:
                yield from _unfolded(parquet, path)
                return
            yield _as_texts(empty)
            for batch in parquet.iter_batches(batch_size=50_000):
                yield _as_texts(pa.Table.from_batches([batch]))
    except pa.ArrowException as error:
        raise UserError(f"{path.name}: the Parquet file is damaged: {first_line(error)}") from None


def _is_nested(kind: pa.DataType) -> bool:
    return pa.types.is_nested(kind)


def _unfolded(parquet: pq.ParquetFile, path: Path) -> Iterator[pa.Table]:
    def records() -> Iterator[tuple[int, Mapping]]:
        number = 0
        for batch in parquet.iter_batches(batch_size=10_000):
            for record in batch.to_pylist():
                number += 1
                yield number, {name: _plain(value) for name, value in record.items()}

    names: dict[str, None] = {}
    for _, record in flat_records(records(), path.name):
        names.update(dict.fromkeys(record))
    schema = pa.schema([(name, pa.large_string()) for name in names])
    part: list[dict] = []
    yield schema.empty_table()
    for _, record in flat_records(records(), path.name):
        part.append({name: record.get(name) for name in names})
        if len(part) == 20_000:
            yield pa.Table.from_pylist(part, schema)
            part = []
    yield pa.Table.from_pylist(part, schema)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value)


def _as_texts(table: pa.Table) -> pa.Table:
    columns = {name: _text_column(table[name]) for name in table.column_names}
    return pa.table(columns)


def _text_column(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind, types = values.type, pa.types
    if types.is_dictionary(kind):
        return _text_column(values.cast(kind.value_type))
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return values.cast(pa.large_binary())
    if types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)  # NaN is how pandas writes "no value"
    if types.is_timestamp(kind):
        unit = "us" if kind.unit == "ns" else kind.unit
        if kind.tz is not None:
            values = values.cast(pa.timestamp(unit, "UTC"), safe=False).cast(pa.timestamp(unit))
            return pc.binary_join_element_wise(
                values.cast(pa.large_string()), pa.scalar("Z", pa.large_string()), pa.scalar("", pa.large_string())
            )
        values = values.cast(pa.timestamp(unit), safe=False)
    return values.cast(pa.large_string())


def records_of(text: TextIO, place: str) -> Iterator[tuple[int, Mapping]]:
    """The records of JSON lines, or of one JSON list, with their numbers; every number as the text that it is."""
    start = text.read(1024).lstrip()[:1]
    text.seek(0)
    if start == "[":
        content = text.read(WHOLE_JSON)
        if len(content) == WHOLE_JSON:
            raise UserError(f"{place}: one JSON list of this size cannot be read; write JSON lines, a record a line")
        lines = enumerate(_loaded(content, place, 1), start=1)
    else:
        lines = ((number, _loaded(line, place, number)) for number, line in enumerate(text, start=1) if line.strip())
    for number, record in lines:
        if not isinstance(record, dict):
            raise UserError(f"{place}: record {number} is {type(record).__name__}, not an object with named values")
        yield number, record


def _loaded(text: str, place: str, number: int) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: line {number} is no JSON: {first_line(error)}") from None


def flat_records(records: Iterator[tuple[int, Mapping]], place: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Records without objects and lists in them: `page.id` for the value `id` of `page`, a row for each element."""
    for number, record in records:
        flat: dict[str, Any] = {}
        _flatten(record, "", flat)
        lists = {name: value for name, value in flat.items() if isinstance(value, list)}
        if not lists:
            yield number, {name: _json_text(value) for name, value in flat.items()}
            continue
        _check_candidates(flat, lists, place, number)
        sizes = {len(value) for value in lists.values()}
        if len(sizes) > 1:
            shown = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
            raise UserError(f"{place}: record {number} has lists of different lengths: {shown}")
        whole = {name: _json_text(value) for name, value in flat.items() if name not in lists}
        for place_in_list in range(sizes.pop()):
            row = {**whole, ELEMENT: str(place_in_list + 1)}
            for name, values in lists.items():
                row.update(_element(name, values[place_in_list]))
            yield number, row


def _check_candidates(flat: Mapping, lists: Mapping, place: str, number: int) -> None:
    """UserError where a record names the creative that was shown and lists others: they are no impressions."""
    usual = roles()["impressions"].names["creative_id"]
    shown = [name for name in flat if name not in lists and plain(name.rsplit(".", 1)[-1]) in usual]
    for name, values in lists.items():
        inner = values[0] if values and isinstance(values[0], Mapping) else {name: None}
        offered = [part for part in inner if plain(part) in usual]
        if shown and offered:
            raise UserError(
                f"{place}: record {number} says which creative was shown ({shown[0]}) and lists others ({name}): write "
                "the list to a file of its own, with impression_id, creative_id and propensity, and leave it out here"
            )


def _flatten(value: Mapping, prefix: str, into: dict[str, Any]) -> None:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            _flatten(inner, f"{prefix}{name}.", into)
        else:
            into[f"{prefix}{name}"] = inner


def _element(name: str, value: Any) -> dict[str, str | None]:
    if not isinstance(value, Mapping):
        return {name: _json_text(value)}
    flat: dict[str, Any] = {}
    _flatten(value, f"{name}.", flat)
    return {inner: _json_text(part) for inner, part in flat.items()}


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence | Mapping):
        return json.dumps(value, ensure_ascii=False)
    return str(value)

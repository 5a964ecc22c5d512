"""Seeded corruptions of input files: KINDS maps each kind's name to the function that corrupts a folder's files."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

HOSTILE_TEXTS = [
    *("../escaped", "/tmp/escaped", "..", ".", "con", "a\x00b", "a\nb", "x" * 300, "品" * 100, "=1+1", "[/v2]"),
    *("<script>alert(1)</script>", "x' OR '1'='1", "$name", "{0}", "\x1b[2J", "\u202e", "", " ", "null", "NaN", "None"),
]
INVALID_NUMBERS = [float("nan"), float("inf"), float("-inf"), 1e300, -1.0, -0.5, 2.0, 1e-300]
# the values of numbers that the contract permits and that no other column contradicts
PERMITTED: dict[str, Callable[[float | None], bool]] = {
    "position": lambda value: value is not None and value >= 1,
    **dict.fromkeys(("dwell_seconds", "price", "cost"), lambda value: _is_missing(value) or 0 <= value < np.inf),
    # a refund is below 0; see expectations/
    **dict.fromkeys(("value", "revenue"), lambda value: _is_missing(value) or abs(value) <= 1e12),
}


def _is_missing(value: float | None) -> bool:
    """Whether a column of numbers has no value there: null, or NaN, as pandas writes it."""
    return value is None or np.isnan(value)


EXTREME_TIMES = ["1677-09-22", "1900-01-01", "2261-12-31", "2150-06-01"]


@dataclass(frozen=True)
class Corruption:
    """The corrupted part of the files, and whether they may still be valid files with another content."""

    where: str
    may_be_valid: bool = False


Corrupt = Callable[[Path, np.random.Generator], Corruption]


def _random_file(folder: Path, random: np.random.Generator) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return files[random.integers(len(files))]


def _random_table(folder: Path, random: np.random.Generator) -> Path:
    files = sorted(folder.rglob("*.parquet"))
    return files[random.integers(len(files))]


def flip_bytes(folder: Path, random: np.random.Generator) -> Corruption:
    """Change 1 to 20 bytes of a file."""
    path = _random_file(folder, random)
    content = bytearray(path.read_bytes())
    for index in random.integers(0, len(content), random.integers(1, 21)):
        content[index] ^= int(random.integers(1, 256))
    path.write_bytes(content)
    return Corruption(path.name, may_be_valid=True)


def truncate(folder: Path, random: np.random.Generator) -> Corruption:
    """Cut a file off at a random byte."""
    path = _random_file(folder, random)
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))])
    return Corruption(path.name, may_be_valid=path.suffix in (".csv", ".yaml"))  # a cut text file may be valid


def blank_bytes(folder: Path, random: np.random.Generator) -> Corruption:
    """Set up to 4,095 consecutive bytes of a file to zero, as a lost disk block does."""
    path = _random_file(folder, random)
    content = bytearray(path.read_bytes())
    begin = int(random.integers(len(content)))
    end = min(len(content), begin + int(random.integers(1, 4096)))
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return Corruption(path.name, may_be_valid=True)


def append_bytes(folder: Path, random: np.random.Generator) -> Corruption:
    """Append random bytes to a file."""
    path = _random_file(folder, random)
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 200))))
    return Corruption(path.name, may_be_valid=path.suffix in (".csv", ".yaml"))


def foreign_file(folder: Path, random: np.random.Generator) -> Corruption:
    """Replace a file's content by that of another kind of file."""
    path = _random_file(folder, random)
    contents = [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"{}",
        b"PAR1PAR1",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"a,b\n1,2\n",
        b"- " * 50_000,
    ]
    path.write_bytes(contents[random.integers(len(contents))])
    return Corruption(path.name)


def another_tables_file(folder: Path, random: np.random.Generator) -> Corruption:
    """Replace one table's file by another table's."""
    files = sorted(folder.rglob("*.parquet"))
    one, other = (files[index] for index in random.choice(len(files), 2, replace=False))
    shutil.copyfile(one, other)
    return Corruption(f"{one.name} as {other.name}")


def missing_file(folder: Path, random: np.random.Generator) -> Corruption:
    """Remove a file."""
    path = _random_file(folder, random)
    path.unlink()
    return Corruption(path.name)


def _rewrite(path: Path, table: pa.Table, random: np.random.Generator) -> None:
    """Write `table` with random Parquet options, and to the CSV file of the same name if there is one."""
    pq.write_table(
        table,
        path,
        compression=str(random.choice(["zstd", "snappy", "none"])),
        use_dictionary=bool(random.integers(2)),
        row_group_size=int(random.choice([50, 1_000_000])),
    )
    csv_path = path.with_suffix(".csv")
    if not csv_path.exists():
        return
    names = table.column_names
    try:
        frame = pd.DataFrame({at: table.column(at).to_pandas() for at in range(len(names))})
        frame.to_csv(csv_path, index=False, header=names)
    except (pa.ArrowException, UnicodeError):  # texts that are not UTF-8
        csv_path.write_bytes(csv_path.read_bytes().replace(b"a", b"\xff"))


def _in_a_column(folder: Path, random: np.random.Generator, change: Callable) -> Corruption:
    """Apply `change`(table, column name, random) -> (table, may_be_valid) to a random column of a random table."""
    path = _random_table(folder, random)
    table = pq.read_table(path).replace_schema_metadata(None)
    name = table.column_names[random.integers(table.num_columns)]
    changed, may_be_valid = change(table, name, random)
    _rewrite(path, changed, random)
    return Corruption(f"{path.name}: {name}", may_be_valid)


def _replace_column(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _dropped(table, name, random):
    return table.drop_columns([name]), True  # the column may be optional


def _renamed(table, name, random):
    variants = [
        name.upper(),
        f"{name} ",
        f"\ufeff{name}",
        f" {name}",
        name[:-1],
        f"{name}\x00",
        "",
        "context_x",
        "feature_x",
        "é",
    ]
    new = variants[random.integers(len(variants))]
    return table.rename_columns([new if each == name else each for each in table.column_names]), True


def _duplicated(table, name, random):
    return table.append_column(name, table.column(name)), False


def _added(table, name, random):
    extra = [("surprise", 1.0), ("context_", 1.0), ("feature_new", float("inf")), ("context_new", None), ("index", 3)]
    new, value = extra[random.integers(len(extra))]
    if new in table.column_names:
        return table, False
    return table.append_column(new, pa.array([value] * table.num_rows)), False


def _retyped(table, name, random):
    """Convert the column to another type: some types hold the same values, some are refused, and digits become text."""
    column, frame = table.column(name), table.column(name).to_pandas()
    variants = [
        lambda: pa.array(frame.astype(str).tolist()),
        lambda: pa.array([[value] for value in frame.astype(str)]),
        lambda: pa.array([{"value": value} for value in frame.astype(str)]),
        lambda: pa.array([str(value).encode("utf-16") for value in frame]),
        lambda: pa.array(pd.to_numeric(frame, errors="coerce").astype(float)),
        lambda: pa.array(pd.factorize(frame)[0] + 0.5),
        lambda: pa.array(pd.factorize(frame)[0].astype(np.int8)),
        lambda: pa.array([True] * len(frame)),
        lambda: pa.array([None] * len(frame)),
        lambda: column.combine_chunks().dictionary_encode(),
        lambda: column.cast(pa.timestamp("us")),
        lambda: column.cast(pa.timestamp("us", "Asia/Shanghai")),
        lambda: column.cast(pa.date32()),
        lambda: column.cast(pa.float32()),
        lambda: column.cast(pa.large_string()),
        lambda: column.cast(pa.decimal128(38, 10)),
    ]
    for index in random.permutation(len(variants)):
        try:
            return _replace_column(table, name, variants[index]()), True
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
    return table, False


def _invalid_values(table, name, random):
    """Replace some cells by values that the contract does not permit."""
    values = table.column(name).to_pylist()
    kind, permitted = table.schema.field(name).type, PERMITTED.get(name, lambda value: False)
    may_be_valid = name == "context_device" or _is_free_text(kind, name)
    rows = random.choice(len(values), min(len(values), int(random.choice([1, 1, 2, 5, 1000]))), replace=False)
    for row in rows:
        values[row] = _invalid_value(kind, values[row], random)
    try:
        return _replace_column(table, name, pa.array(values, kind)), may_be_valid or all(
            permitted(values[row]) for row in rows
        )
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _replace_column(table, name, pa.array([None if value is None else str(value) for value in values])), True


def _is_free_text(kind: pa.DataType, name: str) -> bool:
    """Whether the contract permits any text in the column."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or name.startswith(("feature_", "context_"))


def _invalid_value(kind: pa.DataType, value, random):
    if random.random() < 0.3:
        return None
    if pa.types.is_floating(kind):
        return float(random.choice(INVALID_NUMBERS))
    if pa.types.is_integer(kind):
        return int(random.choice([-1, 2, 10**9, -(2**62), 2**62]))
    if pa.types.is_timestamp(kind):
        return pd.Timestamp(str(random.choice(EXTREME_TIMES)), tz="UTC").to_pydatetime()
    if pa.types.is_boolean(kind):
        return None
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [b"", b"\x89PNG", bytes(random.bytes(64)), value[: len(value) // 2]][random.integers(4)]
    return HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))]


def _invalid_utf8(table, name, random):
    """Replace the column by a text column whose bytes are not UTF-8."""
    bad = pa.array([b"\xff\xfe" + str(row).encode() for row in range(table.num_rows)], pa.binary())
    return _replace_column(table, name, pa.Array.from_buffers(pa.string(), len(bad), bad.buffers())), False


def _no_rows(table, name, random):
    return table.slice(0, 0), False


def _repeated_rows(table, name, random):
    rows = random.choice(table.num_rows, min(3, table.num_rows), replace=False)
    return pa.concat_tables([table, table.take(rows)]), False


def _shuffled(table, name, random):
    return table.take(random.permutation(table.num_rows)), True  # rows with equal timestamps are used in file order


def _conflicting_rows(table, name, random):
    """Append a row with the id of another row and a different value."""
    row = table.slice(int(random.integers(table.num_rows)), 1)
    kind = table.schema.field(name).type
    try:
        return pa.concat_tables(
            [table, _replace_column(row, name, pa.array([_invalid_value(kind, b"x", random)], kind))]
        ), True
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.concat_tables([table, row]), False


def hostile_names(folder: Path, random: np.random.Generator) -> Corruption:
    """Rename one campaign, creative, policy, shopper or action to a hostile text, in every table."""
    column = str(
        random.choice(["campaign", "creative_id", "logging_policy", "shopper_id", "category", "action", "placement"])
    )
    new, old = HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))], None
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path).replace_schema_metadata(None)
        if column in table.column_names:
            values = table.column(column).to_pylist()
            old = next((value for value in values if value), None) if old is None else old
            changed = pa.array([new if value == old else value for value in values], table.schema.field(column).type)
            _rewrite(path, _replace_column(table, column, changed), random)
    return Corruption(f"{column} {new[:20]!r}", may_be_valid=True)


def corrupt_card(folder: Path, random: np.random.Generator) -> Corruption:
    """Remove, add or change a field of dataset.yaml; in a folder without one, remove a file."""
    path = folder / "dataset.yaml"
    if not path.exists():
        return missing_file(folder, random)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    field = str(random.choice(list(document)))
    values = [
        None,
        "",
        [],
        {},
        float("nan"),
        -1,
        10**400,
        "../escaped",
        "x" * 300,
        [[[]]],
        {"a": {"b": 1}},
        "2026-13-45",
        True,
    ]
    if random.random() < 0.2:
        document.pop(field)
    elif random.random() < 0.1:
        document["surprise"] = 1
    else:
        document[field] = values[random.integers(len(values))]
    text = yaml.safe_dump(document, allow_unicode=True)
    if random.random() < 0.15:  # an alias bomb: each line refers to the one before it nine times
        levels = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30))
        text = f"a0: &a0 [lol]\n{levels}{text}"
    path.write_text(text, encoding="utf-8")
    return Corruption(
        f"dataset.yaml: {field}",
        may_be_valid=field in ("source", "licence", "ends_at", "conversion_window_days", "currency", "name"),
    )


KINDS: dict[str, Corrupt] = {
    **{
        kind.__name__: kind
        for kind in (
            *(flip_bytes, truncate, blank_bytes, append_bytes, foreign_file, another_tables_file, missing_file),
            *(hostile_names, corrupt_card),
        )
    },
    "column_dropped": partial(_in_a_column, change=_dropped),
    "column_renamed": partial(_in_a_column, change=_renamed),
    "column_duplicated": partial(_in_a_column, change=_duplicated),
    "column_added": partial(_in_a_column, change=_added),
    "column_retyped": partial(_in_a_column, change=_retyped),
    "invalid_values": partial(_in_a_column, change=_invalid_values),
    "more_invalid_values": partial(_in_a_column, change=_invalid_values),  # again: drawn twice as often as others
    "invalid_utf8": partial(_in_a_column, change=_invalid_utf8),
    "no_rows": partial(_in_a_column, change=_no_rows),
    "repeated_rows": partial(_in_a_column, change=_repeated_rows),
    "shuffled_rows": partial(_in_a_column, change=_shuffled),
    "conflicting_rows": partial(_in_a_column, change=_conflicting_rows),
}

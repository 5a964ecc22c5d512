"""Does `adloom data import` read files as shops have them, and does it ever read one wrongly without a word?

    python -m benchmarks.imports [--seed 0] [--only SHAPE] [--out FILE]

Makes seeded files in the shapes of import_files.py, imports each as a person would, and compares the tables cell by
cell with what was written. What may come of a file:

- `right`: every cell is as it was written, without a question.
- `asked`: the import asked, named the key, and with the one answer every cell is right.
- `refused`: a file that must not be taken was refused by name, and nothing was built.

Everything else is a failure: `silently wrong` (a cell differs), `refused wrongly`, `traceback`. Ends with one line of
JSON.
"""

import argparse
import json
import os
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import pandas as pd
from upath import UPath

from benchmarks.import_files import SHAPES, Case, Rows, made_log
from components.contract.files.tables import read_table
from components.datasets.importing.import_command import import_files
from components.settings.errors import UserError

NAME = "shop"
FAILURES = ("silently wrong", "refused wrongly", "traceback")


def run_case(case: Case, folder: Path) -> tuple[str, str]:
    """What came of a case, and a detail in words."""
    os.environ["ADLOOM_STATE"] = str(folder / "state")
    try:
        asked = _import(case, folder)
    except UserError as error:
        built = (folder / "data" / NAME / "dataset.yaml").exists() and not case.edits
        due = case.refused is not None and case.refused in str(error) and not built
        return ("refused" if due else "refused wrongly"), str(error)
    except Exception:
        return "traceback", traceback.format_exc()
    if case.refused is not None:
        return "silently wrong", f"must be refused: {case.refused}"
    wrong = [difference for name, rows in case.truth.items() if (difference := _difference(folder, name, rows))]
    if wrong:
        return "silently wrong", "; ".join(wrong)
    return ("asked" if asked else "right"), asked


def _import(case: Case, folder: Path) -> str:
    """Import the case's files; what it asked, if it asked. UserError where it refuses, or asks what has no answer."""
    data, asked = UPath(folder / "data"), ""
    for files in case.imports:
        paths = []
        for name, content in files.items():
            path = folder / name
            path.write_bytes(content)
            paths.append(path)
        try:
            import_files(NAME, paths, data)
        except UserError as error:
            if " asks: " not in str(error):
                raise
            asked = str(error)
            _edit(folder, case.answers, asked)
            import_files(NAME, paths, data, case.zone)
        if case.edits:
            _edit(folder, case.edits, "")
            import_files(NAME, paths, data)
    return asked


def _edit(folder: Path, replacements: dict[str, str], asked: str) -> None:
    path = folder / "data" / NAME / "mapping.yaml"
    content = path.read_text()
    for old, new in replacements.items():
        if old not in content:
            raise UserError(f"no such question: {old}; {asked}")
        content = content.replace(old, new, 1)
    path.write_text(content)


def _difference(folder: Path, name: str, rows: Rows) -> str | None:
    """The first cell of table `name` that is not as it was written; None where all are."""
    table = read_table(UPath(folder / "data" / NAME), name)
    if len(table) != len(rows):
        return f"{name}: {len(table)} rows, {len(rows)} were written"
    columns = list(rows[0])
    missing = [column for column in columns if column not in table]
    if missing:
        return f"{name}: no column {missing[0]}"
    due, got = (sorted(map(_comparable, records)) for records in (_records(rows, columns), _records(table, columns)))
    for expected, found in zip(due, got, strict=True):
        if expected != found:
            place = next(n for n, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b)
            return f"{name}.{columns[place]}: {found[place]!r} where {expected[place]!r} was written"
    return None


def _records(rows: Rows | pd.DataFrame, columns: list[str]) -> list[list]:
    if isinstance(rows, pd.DataFrame):
        return rows[columns].astype(object).values.tolist()
    return [[row[column] for column in columns] for row in rows]


def _comparable(record: list) -> tuple[str, ...]:
    """The cells as texts; numbers to 12 digits, for a logarithm and its inverse round."""
    return tuple(
        ""
        if value is None or pd.isna(value)
        else f"{float(value):.12g}"
        if isinstance(value, int | float)
        else str(value)
        for value in record
    )


def main() -> None:
    """Run every shape and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one shape")
    parser.add_argument("--out", type=Path, help="file for the line of JSON")
    chosen = parser.parse_args()
    counts: Counter = Counter()
    for name, shape in SHAPES.items():
        if chosen.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="adloom-") as folder:
            outcome, detail = run_case(shape(made_log(chosen.seed)), Path(folder))
        counts[outcome] += 1
        shown = (
            detail
            if outcome in FAILURES
            else detail.partition(" asks: ")[2] or (detail if outcome == "refused" else "")
        )
        print(f"{outcome:15}  {name:38}  {shown[: 2000 if outcome in FAILURES else 110]}", flush=True)
    kinds = ("right", "asked", "refused", *FAILURES)
    line = json.dumps({"files": counts.total(), "seed": chosen.seed, **{kind: counts[kind] for kind in kinds}})
    print(line)
    if chosen.out:
        chosen.out.write_text(line + "\n")


if __name__ == "__main__":
    main()

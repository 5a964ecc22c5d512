"""The rules of a mapping's files: which rule is a file's, and one rule for files that are written alike."""

import fnmatch
from collections.abc import Sequence

from components.datasets.importing.mapping import ColumnRule, FileRule, Mapping
from components.datasets.importing.staging.reading import StagedTable
from components.datasets.importing.value_formats import OPEN
from components.settings.errors import UserError


def rule_of(mapping: Mapping, table: StagedTable) -> tuple[int, FileRule] | None:
    """The place and the rule of the mapping for a staged table, the closest of those that name its file; None: none."""
    fitting = [
        (number, rule)
        for number, rule in enumerate(mapping.files)
        if fnmatch.fnmatchcase(table.file.name, rule.file) and rule.sheet in (None, table.sheet)
    ]
    return max(fitting, key=lambda found: len(found[1].file.replace("*", "")), default=None)


def rule_of_name(mapping: Mapping, name: str) -> FileRule | None:
    """The closest rule for a file of this name; None where no pattern names it."""
    fitting = [rule for rule in mapping.files if fnmatch.fnmatchcase(name, rule.file)]
    return max(fitting, key=lambda rule: len(rule.file.replace("*", "")), default=None)


def merged_rules(files: Sequence[FileRule]) -> list[FileRule]:
    """The rules without repeats: files of one pattern have one rule; files that need two keep their full names."""
    result: list[FileRule] = []
    for rule in files:
        same = next(
            (at for at, other in enumerate(result) if (other.file, other.sheet) == (rule.file, rule.sheet)), None
        )
        if same is None:
            result.append(rule)
        else:
            joined = _joined(result[same], rule)
            if joined is None:
                raise UserError(
                    f"{rule.file}: files of this name have different columns or are written differently; "
                    "import them one by one"
                )
            result[same] = joined
    return result


def _joined(one: FileRule, other: FileRule) -> FileRule | None:
    """One rule for both; None where they differ in more than words and what one of them leaves open."""
    if one == other:
        return one
    if one.table != other.table or one.columns.keys() != other.columns.keys():
        return None
    columns = {}
    for name, first in one.columns.items():
        merged = _joined_column(first, other.columns[name])
        if merged is None:
            return None
        columns[name] = merged
    left_out = tuple(dict.fromkeys([*one.left_out, *other.left_out]))
    return one.model_copy(update={"columns": columns, "left_out": left_out})


def _joined_column(one: ColumnRule, other: ColumnRule) -> ColumnRule | None:
    changes: dict[str, object] = {}
    for name in type(one).model_fields:
        first, second = getattr(one, name), getattr(other, name)
        if first == second:
            continue
        if name in ("yes_words", "no_words"):
            changes[name] = tuple(sorted({*(first or ()), *(second or ())}))
        elif name == "words":
            changes[name] = {**(first or {}), **(second or {})}
        elif name == "format" and OPEN in (first, second):
            changes[name] = second if first == OPEN else first
        elif name == "format" and first is not None and second is not None:
            texts = [(part,) if isinstance(part, str) else part for part in (first, second)]
            changes[name] = tuple(dict.fromkeys([*texts[0], *texts[1]]))
        elif name == "decimal" and {first, second} & {OPEN, "."}:
            changes[name] = next(mark for mark in (",", ".", OPEN) if mark in (first, second))
        elif name == "counted_from":
            changes[name] = 0
        elif name == "empty":
            changes[name] = OPEN
        else:
            return None
    return one.model_copy(update=changes)

"""The names of a file's columns -> the kind of file, and which column of the contract each is, by column_names.yaml.

A kind of file (a role) is a table of the contract, or one of four that become tables: `clicks` and `conversions` (rows
that mark impressions), `views_and_clicks` (both in one file) and `report` (daily sums of an advertising platform).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

VAGUE = {  # names that say nothing of what a file is
    "id", "编号", "p", "action", "time", "date", "day", "日期", "时间", "label", "platform", "item", "type", "value",
}  # fmt: skip
GENERIC = {"id", "编号", "name", "名称"}  # names that any kind of file may have


@dataclass(frozen=True)
class Role:
    """A kind of file: the names of its columns, those that it needs (one of each group), and those that rule it out.

    hints: words of a file's name that point to it.
    """

    names: Mapping[str, tuple[str, ...]]
    needs: tuple[tuple[str, ...], ...]
    not_with: tuple[str, ...]
    hints: tuple[str, ...]


@cache
def roles() -> Mapping[str, Role]:
    """The kinds of files, in the order in which they are tried."""
    return {
        name: Role(
            {column: tuple(names.split()) for column, names in record["names"].items()},
            tuple(tuple(group.split("|")) for group in record["needs"].split()),
            tuple(record.get("not_with", "").split()),
            tuple(record.get("hints", "").split()),
        )
        for name, record in _document()["roles"].items()
    }


@cache
def words_of(place: str) -> Mapping[str, tuple[str, ...]] | None:
    """The contract's words for the values of `place`, such as `events.kind`, with what shops write; None: any value."""
    record = _document()["words"].get(place)
    return record and {word: tuple(names.split()) for word, names in record.items()}


@cache
def listed(name: str) -> frozenset[str]:
    """The words listed as `name`: those for `yes` and `no`, those that begin a row of `totals`, those in file names
    that tell of logging `policies`, and the names of columns of `currencies` and of `opt_outs`."""
    return frozenset(_document()["listed"][name].split())


@cache
def _document() -> dict:
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def plain(name: str) -> str:
    """A name without case, blanks and signs: `Creative-ID` is `creativeid`; letters of any script stay."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\W_]+", "", text)


def match_columns(role: str, columns: Sequence[str]) -> dict[str, str]:
    """Contract column -> the file's column of that name, of those that the role has; the most usual name wins.

    `slate.creative_id` counts as `creative_id`, and `price (EUR)` as `price`, where nothing else is called so.
    """
    known: dict[str, str] = {}
    for shorten in (str, lambda name: name.rsplit(".", 1)[-1], lambda name: re.sub(r"[(（\[].*", "", name)):
        for column in columns:
            known.setdefault(plain(shorten(column)), column)
    names = roles()[role].names
    ranked = sorted(
        (rank, place, target, known[name])
        for place, (target, usual) in enumerate(names.items())
        for rank, name in enumerate((plain(target), *usual))
        if name in known
    )
    chosen: dict[str, str] = {}
    for _, _, target, column in ranked:
        if target not in chosen and column not in chosen.values():
            chosen[target] = column
    return {target: chosen[target] for target in names if target in chosen}


def guess_role(stem: str, columns: Sequence[str]) -> str | None:
    """The kind of file that its columns, and the words of its name, make it; None where nothing fits."""
    fitting = [name for name in roles() if _fits(name, columns)]
    hinted = [name for name in fitting if any(hint in plain(stem) for hint in roles()[name].hints)]
    clear = [name for name in fitting if _is_clear(name, columns)]
    return next(iter(hinted or clear), None)


def _is_clear(name: str, columns: Sequence[str]) -> bool:
    """Whether the columns that the role needs have names of their own, none such as `id` that any file may have, and
    are not the only ones that it knows: an order has a shopper's id too."""
    matched = match_columns(name, columns)
    named = {column for column, source in matched.items() if plain(source) not in GENERIC}
    return len(matched) > 1 and all(any(column in named for column in group) for group in roles()[name].needs)


def contract_word(place: str, value: str) -> str | None:
    """The contract's word for a value of `place` (`events.kind`), as shops write it; None where it is not known."""
    text = plain(value)
    return next((word for word, names in words_of(place).items() if text == word or text in names), None)


def _fits(name: str, columns: Sequence[str]) -> bool:
    role, matched = roles()[name], match_columns(name, columns)
    if not all(any(column in matched for column in group) for group in role.needs):
        return False
    foreign = _clear_columns(tuple(columns))
    return not any(column in foreign and foreign[column] not in matched.values() for column in role.not_with)


@cache
def _clear_columns(columns: tuple[str, ...]) -> dict[str, str]:
    """Column of an impression or event -> the file's column of one of its clear names."""
    known = {plain(column): column for column in columns}
    found = {}
    for target, usual in {**roles()["events"].names, **roles()["impressions"].names}.items():
        name = next((name for name in (plain(target), *usual) if name in known and name not in VAGUE), None)
        if name:
            found[target] = known[name]
    return found

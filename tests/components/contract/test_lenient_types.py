import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from components.contract.files.lenient_types import unambiguous
from components.contract.files.tables import read_table
from components.contract.schema import TABLES
from components.contract.validation.validate import load_dataset, validate
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig
from tests.components.contract import samples


def converted(name: str, **columns) -> dict:
    return unambiguous(pa.table(columns), TABLES[name]).to_pydict()


def test_whole_numbers_become_ids_of_all_their_digits():
    assert converted("impressions", impression_id=pa.array([2**53 + 1, None])) == {
        "impression_id": ["9007199254740993", None]
    }
    assert converted("impressions", shopper_id=pa.array([12.0, float("nan")])) == {"shopper_id": ["12", None]}


def test_flags_and_ones_are_the_same():
    assert converted("impressions", click=pa.array([True, False, None])) == {"click": [1, 0, None]}
    assert converted("shoppers", consent=pa.array([1, 0, None])) == {"consent": [True, False, None]}


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("impressions", "shopper_id", [0.5, 1.0]),
        ("impressions", "shopper_id", [float(2**53)]),
        ("shoppers", "consent", [0, 2]),
        ("impressions", "timestamp", [1_772_000_000]),
        ("impressions", "click", ["yes"]),
        ("impressions", "propensity", ["0.5"]),
    ],
)
def test_what_could_mean_two_things_is_not_changed(name, column, values):
    assert converted(name, **{column: pa.array(values)}) == {column: values}


def folder_of(tables: dict, card, path) -> UPath:
    from components.contract.card import write_card

    folder = UPath(path / "shop")
    folder.mkdir()
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    write_card(card.model_copy(update={"real": tuple(tables), "simulated": ()}), folder)
    return folder


def loose(tables: dict) -> dict:
    """The sample as a shop's own programs write it: number ids, flags, columns of their own, fewer nullable ones."""
    ids = {key: number for number, key in enumerate(tables["shoppers"]["shopper_id"], start=1)}
    impressions, shoppers = tables["impressions"], tables["shoppers"]
    return {
        **tables,
        "impressions": impressions.assign(
            shopper_id=impressions["shopper_id"].map(ids),
            click=impressions["click"].astype(bool),
            loaded_at="2026-03-01",
        ).drop(columns=["experiment_id", "variant"], errors="ignore"),
        "events": tables["events"].assign(shopper_id=tables["events"]["shopper_id"].map(ids)),
        "shoppers": shoppers.assign(
            shopper_id=shoppers["shopper_id"].map(ids), consent=shoppers["consent"].astype(int)
        ),
    }


def test_a_folder_in_types_of_one_meaning_is_read_and_valid(tmp_path, caplog):
    tables, card = samples.sample(), samples.card()
    folder = folder_of(loose(tables), card, tmp_path)
    with caplog.at_level(logging.WARNING, logger="adloom"):
        loaded, read = load_dataset(folder)
    assert (
        "impressions: left out, for the contract has no such columns: loaded_at; to use one, call it context_NAME"
        in (caplog.text)
    )
    checked = validate(loaded, read, ValidationConfig())
    assert len(checked.tables["impressions"]) == len(tables["impressions"])
    np.testing.assert_array_equal(checked.tables["impressions"]["click"], tables["impressions"]["click"])
    assert pd.api.types.is_string_dtype(checked.tables["impressions"]["shopper_id"])


def test_a_type_that_could_mean_two_things_is_refused_and_names_the_import(tmp_path):
    tables, card = samples.sample(), samples.card()
    naive = tables["impressions"]["timestamp"].dt.tz_localize(None)
    folder = folder_of({**tables, "impressions": tables["impressions"].assign(timestamp=naive)}, card, tmp_path)
    with pytest.raises(UserError, match=r"impressions.timestamp: naive times .*; `adloom data import` reads files"):
        read_table(folder, "impressions")

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contract import conform as module
from components.contract.conform import conform, has_dtypes, to_pandas
from components.contract.schema import ARROW, TABLES, Column, Table
from components.settings.errors import UserError

KINDS = ("text", "timestamp", "number", "whole", "flag", "bytes")
ANY = Table(
    name="any",
    needed=False,
    key=("text",),
    columns=tuple(Column(kind, kind, nullable=True) for kind in KINDS),
    open_prefixes=("feature_",),
)
UTC = pa.timestamp("us", "UTC")


def _conformed(kind, values):
    return conform(pa.table({kind: values}), ANY, "FILE", required=[kind])[kind]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", pa.array(["a", None], pa.large_string())),
        ("text", pa.array(["a", None]).dictionary_encode()),
        ("timestamp", pa.array([0, None], pa.timestamp("ns", "Asia/Shanghai"))),
        ("timestamp", pa.array([0, None], pa.timestamp("s", "UTC"))),
        ("number", pa.array([1, None], pa.int32())),
        ("number", pa.array([0.5, None], pa.float32())),
        ("number", pa.array([Decimal("1.25"), None])),
        ("whole", pa.array([1, None], pa.int8())),
        ("whole", pa.array([1.0, float("nan"), None])),
        ("flag", pa.array([True, None])),
        ("bytes", pa.array([b"x", None], pa.large_binary())),
    ],
)
def test_widths_do_not_matter(kind, values):
    found = _conformed(kind, values)
    assert found.type == ARROW[kind]
    assert found[0].is_valid
    assert not found[-1].is_valid


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_without_values_takes_any_type(kind):
    for written in (pa.null(), pa.float64(), pa.string(), pa.timestamp("us")):
        found = _conformed(kind, pa.nulls(3, written))
        assert (found.type, found.null_count) == (ARROW[kind], 3)


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("text", pa.array([1, 2]), "any.text: holds int64 in FILE; expected text .ids are strings."),
        ("text", pa.array([b"x"]), "holds binary"),
        ("timestamp", pa.array([0], pa.timestamp("us")), "any.timestamp: naive times .no time zone. in FILE"),
        ("timestamp", pa.array(["2026-01-01T00:00:00Z"]), "holds string"),
        ("timestamp", pa.array([1_700_000_000]), "holds int64"),
        ("number", pa.array(["1.5"]), "holds string"),
        ("whole", pa.array([0.5]), "any.whole: .*whole numbers"),
        ("whole", pa.array([True]), "holds bool"),
        ("whole", pa.array([2**63], pa.uint64()), "whole numbers"),
        ("whole", pa.array([float("inf")]), "whole numbers"),
        ("flag", pa.array([0, 1]), "holds int64"),
        ("bytes", pa.array(["x"]), "holds string"),
    ],
)
def test_meanings_do(kind, values, said):
    with pytest.raises(UserError, match=said):
        _conformed(kind, values)


def test_a_missing_column_is_named_with_what_is_there():
    with pytest.raises(UserError, match=r"impressions: no column .*click.* in FILE .its columns: a"):
        conform(pa.table({"a": [1]}), TABLES["impressions"], "FILE")


def test_an_absent_column_that_may_be_null_is_all_null():
    found = conform(pa.table({"text": ["a", "b"]}), ANY, "FILE")
    assert found.column_names == list(KINDS)
    assert all((found[kind].type, found[kind].null_count) == (ARROW[kind], 2) for kind in KINDS if kind != "text")
    with pytest.raises(UserError, match="any: no column number in FILE"):
        conform(pa.table({"text": ["a"]}), ANY, "FILE", required=["number"], fill=False)


def test_open_columns_are_numbers_text_or_flags():
    table = pa.table(
        {
            "feature_a": pa.array([1], pa.int8()),
            "feature_b": pa.array([0.5], pa.float32()),
            "feature_c": ["x"],
            "feature_d": [True],
            "other": pa.array([1], pa.int8()),
        }
    )
    found = conform(table, ANY, "FILE", required=[])
    types = [pa.int64(), pa.float64(), pa.large_string(), pa.bool_(), pa.int8()]
    assert found.schema.types == types  # `other` is for the suite to refuse
    for values in (pa.array([[1.0]]), pa.array([datetime(2026, 1, 1)]), pa.nulls(1)):
        with pytest.raises(UserError, match=r"any\.feature_a"):
            conform(pa.table({"feature_a": values}), ANY, "FILE", required=[])


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_numbers_keep_every_digit_beside_nulls(values):
    found = to_pandas(conform(pa.table({"whole": pa.array(values, pa.int64())}), ANY, "FILE", required=["whole"]), ANY)
    assert found["whole"].dtype == "Int64"
    assert [
        None if one is None else int(one) for one in found["whole"].astype(object).where(found["whole"].notna(), None)
    ] == values


def test_text_has_64_bit_offsets_wherever_arrow_holds_it():
    """32-bit ones end at 2 GiB of a column's text; 4.1 GiB were taken through build, validation and writing by hand."""
    for source in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = pa.table({"text": pa.array(["a", "b"], source), "feature_own": pa.array(["c", "d"], pa.string())})
        conformed = conform(table, ANY, "FILE")
        again = conform(pa.Table.from_pandas(to_pandas(conformed, ANY), preserve_index=False), ANY, "memory")
        for one in (conformed, again):
            assert one["text"].type == one["feature_own"].type == pa.large_string()
        handed_on = pa.Table.from_pandas(to_pandas(again, ANY), preserve_index=False)
        assert handed_on["text"].type == handed_on["feature_own"].type == pa.large_string()


HOURS = [
    pa.array(["07:00", "08:00"]),
    pa.array(["7", "8"]),
    pa.array(["7", "8"]).dictionary_encode(),
    pa.array(["7", "8"], pa.large_string()),
    pa.array([True, False]),
]


@pytest.mark.parametrize("values", HOURS, ids=lambda values: str(values.type))
def test_a_local_hour_that_is_no_number_is_refused_in_one_sentence(values):
    table = pa.table({"context_local_hour": values})
    with pytest.raises(UserError) as caught:
        conform(table, TABLES["impressions"], "FILE", required=["context_local_hour"])
    said = str(caught.value)
    assert said.startswith("impressions.context_local_hour: holds ") and "from 0 to below 24" in said
    renamed = conform(pa.table({"context_clock": values}), TABLES["impressions"], "FILE", required=["context_clock"])
    assert renamed.num_rows == 2


@pytest.mark.parametrize(
    "values", [pa.array([7, None], pa.int8()), pa.array([7.5, None]), pa.array([7.5, 8], pa.float32())]
)
def test_a_local_hour_may_be_any_number(values):
    found = conform(
        pa.table({"context_local_hour": values}), TABLES["impressions"], "FILE", required=["context_local_hour"]
    )
    assert found["context_local_hour"].to_pylist() == values.to_pylist()


def _thousands(count):
    return pa.array(range(count * 1000), pa.int32())


@pytest.mark.parametrize(
    ("convert", "last_step", "kept"),
    [
        (lambda stored: to_pandas(stored.pop()), (module.pd, "DataFrame"), 1),
        (lambda stored: conform(stored.pop(), ANY, "FILE", ["number"]), (pa, "table"), 2),
    ],
)
def test_a_stored_column_is_freed_once_it_is_converted(convert, last_step, kept, monkeypatch):
    """kept: what Arrow holds before the last step, relative to the stored table: the converted columns (of int64 in
    place of int32, or as they were), and not the stored ones beside them."""
    names = ["number", *(f"feature_{place}" for place in range(19))]
    before = pa.total_allocated_bytes()
    stored = [pa.table({name: pa.chunked_array([_thousands(50), _thousands(50)]) for name in names})]
    stored_bytes, step, held = pa.total_allocated_bytes() - before, getattr(*last_step), []

    def measured(*arguments, **options):
        held.append((pa.total_allocated_bytes() - before) / stored_bytes)
        return step(*arguments, **options)

    monkeypatch.setattr(*last_step, measured)
    converted = convert(stored)
    assert len(converted) == 100_000
    assert held[-1] == pytest.approx(kept, abs=0.15)


CONTRACTED = Table(
    "any", False, ("text",), (*(Column(kind, kind) for kind in KINDS[:5]), Column("many", "whole", nullable=True))
)
STORED = {
    "text": pa.array(["a", "b"], pa.large_string()),
    "timestamp": pa.array([0, 1], UTC),
    "number": pa.array([0.5, None]),
    "whole": pa.array([1, 2]),
    "flag": pa.array([True, False]),
    "many": pa.array([1, 2]),
}


def test_a_conformed_table_has_the_dtypes_of_the_contract_and_any_other_has_not():
    frame = to_pandas(conform(pa.table(STORED), CONTRACTED, "FILE"), CONTRACTED)
    assert has_dtypes(frame, CONTRACTED)
    others = [
        frame.iloc[1:],
        frame.drop(columns="many"),
        frame.assign(extra=1),
        frame.assign(text=frame["text"].astype(object)),
        frame.assign(timestamp=frame["timestamp"].astype("datetime64[ns, UTC]")),
        frame.assign(timestamp=frame["timestamp"].dt.tz_localize(None)),
        frame.assign(number=frame["number"].astype("float32")),
        frame.assign(whole=frame["whole"].astype("Int64")),
        frame.assign(many=frame["many"].astype("int64")),
        frame.assign(flag=frame["flag"].astype("int64")),
    ]
    assert [has_dtypes(other, CONTRACTED) for other in others] == [False] * len(others)


def test_a_whole_number_that_is_null_needs_the_nullable_dtype():
    stored = pa.table({**STORED, "whole": pa.array([1, None])})
    frame = to_pandas(conform(stored, CONTRACTED, "FILE"), CONTRACTED)
    assert frame["whole"].dtype == "Int64" and has_dtypes(frame, CONTRACTED)

import base64
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from components.contract.files import tables as module
from components.contract.files.tables import (
    has_table,
    read_frame,
    read_json,
    read_table,
    row_groups,
    write_batches,
    write_bytes,
    write_json,
    write_table,
    write_text,
)
from components.contract.schema import TABLES
from components.settings.errors import UserError
from components.settings.paths import ROOT
from tests.components.contract.samples import sample


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    return UPath(tmp_path) if request.param == "local" else UPath(f"memory://{tmp_path.name}-{os.getpid()}")


@pytest.mark.parametrize("of_arrow", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 10, 25])
def test_a_table_is_converted_and_written_by_row_groups(tmp_path, monkeypatch, rows, of_arrow):
    """The file is the one that pyarrow writes of the whole table, and a type depends on all rows, not on the first."""
    frame = pd.DataFrame({"image_id": pd.Series([f"i{row}" for row in range(rows)], dtype="str")})
    frame = frame.assign(number=np.arange(rows) / 3, image=pd.Series([None] * rows, dtype=object))
    if rows:
        frame.loc[rows - 1, "image"] = b"png"
    whole = pa.Table.from_pandas(frame, preserve_index=False)
    converted, row_group = [], module._row_group
    monkeypatch.setattr(module, "ROW_GROUP", 10)
    monkeypatch.setattr(module, "_row_group", lambda *place: converted.append(row_group(*place)) or converted[-1])
    write_table(whole if of_arrow else frame, UPath(tmp_path / "images.parquet"))
    assert [len(group) for group in converted] == [min(10, rows - start) for start in range(0, max(rows, 1), 10)]
    pq.write_table(
        whole.replace_schema_metadata(None), tmp_path / "whole.parquet", compression="zstd", row_group_size=10
    )
    assert (tmp_path / "images.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("sizes", [[0], [7], [10], [3, 4, 5, 0, 21, 1], [10, 10]])
def test_blocks_become_the_file_of_the_whole_table_with_a_row_group_at_a_time(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(module, "ROW_GROUP", 10)
    rows = np.arange(sum(sizes))
    frame = pd.DataFrame({"id": pd.Series([f"i{row}" for row in rows], dtype="str"), "number": rows / 3})
    begun = []

    def blocks():
        for stop in np.cumsum(sizes):
            begun.append(stop)
            yield frame.iloc[stop - sizes[len(begun) - 1] : stop]

    ahead = []
    groups = (ahead.append(begun[-1]) or group for group in row_groups(blocks()))
    assert write_batches(groups, UPath(tmp_path / "blocks.parquet")) == len(frame)
    write_table(frame, UPath(tmp_path / "whole.parquet"))
    assert (tmp_path / "blocks.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    if len(sizes) > 2:
        assert ahead[0] < len(frame), "the first row group is written before the last block is made"


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_as_they_were_written(folder, name):
    frame = sample()[name]
    write_table(frame, folder / f"{name}.parquet")
    found = read_table(folder, name)
    assert list(found.columns) == list(frame.columns)
    for column in frame:
        pd.testing.assert_series_equal(found[column], frame[column], check_dtype=False)


def test_dtypes_are_those_of_the_contract(tmp_path):
    folder, frame = UPath(tmp_path), sample()["impressions"]
    write_table(frame, folder / "impressions.parquet")
    dtypes = read_table(folder, "impressions").dtypes.astype(str)
    assert dtypes["timestamp"] == "datetime64[us, UTC]"
    assert dtypes["click"] == "int64"
    assert dtypes["conversion"] == "Int64"
    assert dtypes["experiment_id"] == "str"  # all null
    assert dtypes["propensity"] == "float64"


def test_days_are_read_in_order(folder):
    frame = sample()["events"]
    days = frame["timestamp"].dt.strftime("%Y-%m-%d")
    for day in sorted(set(days), reverse=True):
        write_table(frame[days == day], folder / "events" / f"day={day}" / "part.parquet")
    assert has_table(folder, "events")
    found = read_table(folder, "events")
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)
    assert read_table(folder, "events", columns=["kind"]).columns.tolist() == ["kind"]


@pytest.mark.parametrize("files", ["impressions.parquet", "impressions/day=2026-03-01/part-{}.parquet"])
def test_rows_stand_in_order_of_time_whatever_the_files_order(folder, files):
    """One file in no order, or two that are each in order but overlap; rows of one moment stay as they came."""
    frame = sample()["impressions"]
    frame.loc[10:12, "timestamp"] = frame["timestamp"][10]
    shuffled = frame.sample(frac=1.0, random_state=0).sort_values("timestamp", kind="stable").iloc[::-1]
    parts = [shuffled] if "{" not in files else [frame.iloc[::2], frame.iloc[1::2]]
    for number, part in enumerate(parts):
        write_table(part, folder / files.format(number))
    found = read_table(folder, "impressions")
    written = pd.concat(parts)
    same = written["impression_id"][written["timestamp"] == frame["timestamp"][10]].tolist()
    assert len(same) == 3
    assert found["impression_id"].tolist() == [*frame["impression_id"][:10], *same, *frame["impression_id"][13:]]
    pd.testing.assert_frame_equal(
        found.set_index("impression_id").loc[list(frame["impression_id"])].reset_index()[list(frame)],
        frame,
        check_dtype=False,
    )
    narrow = read_table(folder, "impressions", ["impression_id"])
    assert narrow["impression_id"].tolist() == found["impression_id"].tolist()


def test_only_the_columns_asked_for_are_read_and_needed(tmp_path):
    folder = UPath(tmp_path)
    frame = sample()["impressions"]
    write_table(frame.drop(columns="feedback"), folder / "impressions.parquet")
    assert read_table(folder, "impressions", ["click", "propensity"]).columns.tolist() == ["click", "propensity"]
    assert read_table(folder, "impressions", ["click", "feedback"])["feedback"].isna().all()
    write_table(frame.drop(columns="position"), folder / "impressions.parquet")
    with pytest.raises(UserError, match=r"impressions: no column position in .*impressions\.parquet"):
        read_table(folder, "impressions", ["click", "position"])


def test_a_table_read_in_pieces_gives_the_bytes_of_one_in_one_piece(tmp_path):
    ids = [f"e{row:07d}" for row in range(50_000)]
    whole = pa.table({"event_id": pa.array(ids, pa.large_string())})
    pieces = pa.concat_tables([whole.slice(0, 17_000), whole.slice(17_000)])
    for name, table in (("whole", whole), ("pieces", pieces)):
        write_table(table, UPath(tmp_path) / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()


def test_equal_tables_give_equal_bytes(tmp_path):
    for name, frame in sample().items():
        first, second = UPath(tmp_path) / f"{name}-1", UPath(tmp_path) / f"{name}-2"
        write_table(frame, first)
        write_table(frame.copy().set_axis(np.arange(len(frame)) + 7), second)  # the index is not part of it
        assert first.read_bytes() == second.read_bytes()
        assert pq.ParquetFile(first.path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_arrow_tables_and_any_frame_can_be_written(folder):
    write_table(pa.table({"a": [1, None], "b": ["x", None]}), folder / "deep" / "any.parquet")
    found = read_frame(folder / "deep" / "any.parquet")
    assert found["a"].dtype == "Int64"
    assert found["b"].isna().tolist() == [False, True]
    with pytest.raises(UserError, match="no file"):
        read_frame(folder / "other.parquet")


# Bad files: each is one sentence that names table and file.


def _write(folder, content):
    path = folder / "campaigns.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _whole() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(sample()["campaigns"]), sink)
    return sink.getvalue().to_pybytes()


def test_a_missing_table_is_named(folder):
    folder.mkdir(parents=True, exist_ok=True)
    assert not has_table(folder, "campaigns")
    with pytest.raises(UserError, match=r"campaigns: no file .*campaigns\.parquet.*every data set needs this table"):
        read_table(folder, "campaigns")
    with pytest.raises(UserError, match=r"events: .*optional"):
        read_table(folder / "nowhere", "events")


def test_a_csv_is_named_where_parquet_is_due(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "campaigns.csv").write_text("campaign,locale\na,en\n")
    assert has_table(folder, "campaigns")
    with pytest.raises(UserError, match=r"campaigns: found .*campaigns\.csv; expected Parquet"):
        read_table(folder, "campaigns")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"campaign,locale\nspring,en\n", "not a Parquet file"),
        (b"PAR1", "truncated"),
        (b"PAR1PAR1", "truncated"),
        (b"PAR1" + b"\0" * 40 + b"PAR1", "damaged"),
    ],
)
def test_what_is_no_parquet_is_named(folder, content, said):
    path = _write(folder, content)
    with pytest.raises(UserError, match=said) as caught:
        read_table(folder, "campaigns")
    assert str(caught.value).startswith("campaigns: ")
    assert path.name in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_is_an_error_of_its_own(tmp_path_factory, data):
    whole = _whole()
    folder = UPath(tmp_path_factory.mktemp("cut"))
    _write(folder, whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(UserError, match=r"^campaigns: .*campaigns\.parquet"):
        read_table(folder, "campaigns")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_byte_is_read_or_refused_but_never_a_crash(tmp_path_factory, data):
    whole = bytearray(_whole())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    folder = UPath(tmp_path_factory.mktemp("flip"))
    _write(folder, bytes(whole))
    try:
        read_table(folder, "campaigns")
    except UserError as error:
        assert str(error).startswith("campaigns")


@pytest.mark.parametrize("place", [20, 327, 607, 983, 1293])
def test_a_footer_whose_sizes_contradict_each_other_is_read_or_refused(folder, place):
    """With most of these bytes pyarrow's reader of a column's metadata would end the process."""
    whole = _whole()
    begins = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for flip in (1, 32, 48, 64):
        damaged = bytearray(whole)
        damaged[begins + place] ^= flip
        _write(folder, bytes(damaged))
        try:
            read_table(folder, "campaigns")
        except UserError as error:
            assert str(error).startswith("campaigns")


@pytest.mark.parametrize(("text", "no_text"), [(b"brand_color", b"\xe6rand_color"), (b"#1a2b3c", b"#1a\xc8b3c")])
def test_text_that_is_no_text_is_refused(folder, text, no_text):
    assert text in _whole()
    _write(folder, _whole().replace(text, no_text))
    with pytest.raises(UserError, match=r"campaigns: .* is damaged"):
        read_table(folder, "campaigns")


def test_a_time_zone_that_is_no_text_is_refused(folder):
    whole = _whole()
    arrows_own = pq.read_metadata(pa.BufferReader(whole)).metadata[b"ARROW:schema"]
    schema = base64.b64decode(arrows_own)
    assert b"UTC" in schema
    _write(folder, whole.replace(arrows_own, base64.b64encode(schema.replace(b"UTC", b"U\xd8C"))))
    with pytest.raises(UserError, match=r"campaigns: .* is damaged"):
        read_table(folder, "campaigns")


def test_a_table_without_rows_is_named(folder):
    write_table(sample()["events"].head(0), folder / "events.parquet")
    with pytest.raises(UserError, match=r"events: no rows in .*events\.parquet"):
        read_table(folder, "events")


def test_a_naive_time_is_named(folder):
    frame = sample()["impressions"]
    write_table(frame.assign(timestamp=frame["timestamp"].dt.tz_localize(None)), folder / "impressions.parquet")
    with pytest.raises(UserError, match=r"impressions\.timestamp: naive times .*impressions\.parquet"):
        read_table(folder, "impressions")


def test_two_columns_of_one_name_are_refused(folder):
    frame = sample()["campaigns"]
    twice = pa.Table.from_pandas(frame).append_column("locale", pa.array(["en", "en"]))
    write_table(twice, folder / "campaigns.parquet")
    with pytest.raises(UserError, match="two columns of one name"):
        read_table(folder, "campaigns")


@pytest.mark.parametrize(
    ("earlier", "later", "said"),
    [
        (1, "wet", r"int64 in .*day=2026-03-01.* and string in .*day=2026-03-02"),
        (2**60, 0.5, "int64 in .* and double in"),
    ],
)
def test_a_column_whose_type_changes_from_day_to_day_is_named(folder, earlier, later, said):
    frame = sample()["impressions"]
    for day, value in ((1, earlier), (2, later), (3, later)):
        at = folder / "impressions" / f"day=2026-03-0{day}" / "part-0.parquet"
        write_table(frame.assign(context_w=value), at)
    with pytest.raises(UserError, match=f"impressions: .*context_w holds {said}") as told:
        read_table(folder, "impressions")
    assert "2026-03-03" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("events/part.parquet", "not in a folder"),
        ("events/day=2026-3-1/part.parquet", "not in a folder"),
        ("events/day=2026-13-01/part.parquet", "not in a folder"),
        ("events/day=2026-03-01/part.csv", "; expected Parquet"),
        ("events/day=2026-03-01/deep/part.parquet", "not in a folder"),
    ],
)
def test_a_misplaced_part_is_named(folder, name, said):
    write_table(sample()["events"], folder / "events/day=2026-03-02/part.parquet")
    write_table(sample()["events"], folder / name)
    with pytest.raises(UserError, match=said) as caught:
        read_table(folder, "events")
    assert name in str(caught.value)


def test_a_table_stored_in_both_ways_or_in_an_empty_folder_is_named(tmp_path):
    folder = UPath(tmp_path)
    (folder / "events").mkdir()
    with pytest.raises(UserError, match="no Parquet file"):
        read_table(folder, "events")
    write_table(sample()["events"], folder / "events.parquet")
    with pytest.raises(UserError, match="keep one"):
        read_table(folder, "events")


# Writes are whole or absent.


class _Killed(BaseException):
    """Stands for kill -9: nothing in the code may catch it."""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_killed_before_its_rename_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = UPath(tmp_path) / "report.json"
    write_json({"version": 1}, path)

    def kill(*arguments):
        raise _Killed

    monkeypatch.setattr(module.os, step, kill)
    with pytest.raises(_Killed):
        write_json({"version": 2}, path)
    monkeypatch.undo()
    assert read_json(path) == {"version": 1}
    assert [one.name for one in path.parent.iterdir()] == ["report.json"]


def test_a_process_killed_mid_write_leaves_no_file_of_that_name(tmp_path):
    target = UPath(tmp_path) / "images.parquet"
    code = (
        "import os, sys; from upath import UPath; from components.contract.files.tables import write_table; "
        "from tests.components.contract.samples import sample; os.replace = lambda *arguments: os._exit(9); "
        "write_table(sample()['images'], UPath(sys.argv[1]))"
    )
    child = subprocess.run([sys.executable, "-c", code, str(target)], cwd=ROOT)  # a fork would share our threads' locks
    assert child.returncode == 9
    assert not target.exists()
    leftovers = [one.name for one in UPath(tmp_path).iterdir()]
    assert all(name.startswith(".") for name in leftovers), "a leftover must be hidden from readers and digests"
    write_table(sample()["images"], target)
    assert len(read_frame(target)) == 12


def test_a_table_that_cannot_be_written_leaves_the_old_one(folder):
    path = folder / "any.parquet"
    write_table(pd.DataFrame({"a": [1]}), path)
    with pytest.raises(pa.ArrowException):
        write_table(pd.DataFrame({"a": [1, "x"]}), path)
    assert read_frame(path)["a"].tolist() == [1]


def test_an_upload_that_fails_half_way_is_not_published(monkeypatch):
    path = UPath("memory://half/any.parquet")

    def broken(*_, **options):
        raise OSError("disk full")

    monkeypatch.setattr(module.pq.ParquetWriter, "write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        write_table(pd.DataFrame({"a": [1]}), path)
    assert not path.exists()


def test_text_and_bytes_are_written_whole(folder):
    write_text("新款\n", folder / "a" / "page.md")
    write_bytes(b"\0\1", folder / "a" / "raw")
    assert (folder / "a" / "page.md").read_bytes() == "新款\n".encode()
    assert (folder / "a" / "raw").read_bytes() == b"\0\1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_json_comes_back(value):
    path = UPath("memory://json/value.json")
    write_json(value, path)
    assert read_json(path) == value


def test_json_has_sorted_keys_numpy_values_and_one_form(folder):
    path = folder / "value.json"
    write_json({"b": np.int64(1), "a": np.array([1.5]), "c": np.float32(0.5), "名": np.bool_(True)}, path)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [1.5], "b": 1, "c": 0.5, "名": True}
    assert text.index('"a"') < text.index('"b"')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [np.nan]}, np.float32("inf")])
def test_json_has_no_nan_and_no_infinity(folder, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(value, folder / "value.json")
    assert not (folder / "value.json").exists()


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "[Infinity]"])
def test_what_is_no_json_is_named(tmp_path, text):
    path = UPath(tmp_path) / "value.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"value\.json: not valid JSON"):
        read_json(path)
    with pytest.raises(UserError, match="no such file"):
        read_json(path.parent / "other.json")

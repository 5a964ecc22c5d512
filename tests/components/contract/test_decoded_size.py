"""Small files that would fill a machine's memory are refused before they are decoded, and ordinary ones are not."""

import io
import json
import re
import subprocess
import sys
import tracemalloc
import zipfile

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from components.contract.files.decoded_size import LIMIT_VARIABLE, check_archive, check_network, limit_gib
from components.contract.files.tables import read_table
from components.evaluation import evaluate_files
from components.images.network_encoder import load_network
from components.interest.models.two_tower import NETWORK_FILE, PAIR_MAP_FILE, Network
from components.settings.errors import UserError
from components.settings.paths import ROOT
from tests.components.contract.samples import sample
from tests.components.images.sketches import dense_encoder

SMALL = "0.02"  # GiB


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, SMALL)


def repeated_text(rows: int, length: int) -> pa.Table:
    """One text in a dictionary, named by each row."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * length]))
    return pa.table({"impression_id": pa.array([f"i{row}" for row in range(rows)]), "context_note": text})


def one_number(rows: int) -> pa.Table:
    return pa.table({"impression_id": pa.array(np.zeros(rows, np.int64)), "propensity": pa.array(np.zeros(rows))})


def one_long_text(_rows: int) -> pa.Table:
    return pa.table({"impression_id": pa.array(["0" * 60_000_000]), "propensity": [0.5]})


def long_lists(rows: int) -> pa.Table:
    return pa.table({"impression_id": ["a"], "feature_x": pa.array([np.zeros(rows)])})


BOMBS = {
    "a text that each row repeats": repeated_text(20_000, 100_000),
    "one number, run-length encoded": one_number(4_000_000),
    "zeros, compressed": one_long_text(1),
    "a list of zeros": long_lists(4_000_000),
}


@pytest.mark.parametrize("table", BOMBS.values(), ids=BOMBS)
def test_a_parquet_bomb_is_refused_before_it_is_read(table, tmp_path):
    path = tmp_path / "impressions.parquet"
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 400_000
    for read in (
        lambda: read_table(UPath(tmp_path), "impressions"),
        lambda: evaluate_files(str(path), str(path), None, (0.0, 1.0)),
    ):
        before = pa.total_allocated_bytes()
        with pytest.raises(UserError) as caught:
            read()
        said = str(caught.value)
        assert str(path) in said and LIMIT_VARIABLE in said and f"{path.stat().st_size:,} bytes" in said
        assert re.search(r"become [\d,.]+ GiB", said)
        assert pa.total_allocated_bytes() - before < 2**24


def test_the_limit_is_a_setting(tmp_path, monkeypatch):
    pq.write_table(BOMBS["one number, run-length encoded"], tmp_path / "log.parquet", compression="zstd")
    monkeypatch.setenv(LIMIT_VARIABLE, "1")
    with pytest.raises(UserError, match="column action is missing"):
        evaluate_files(str(tmp_path / "log.parquet"), "nowhere.parquet", None, (0.0, 1.0))
    for wrong in ("much", "0", "-1", "inf", "nan"):
        monkeypatch.setenv(LIMIT_VARIABLE, wrong)
        with pytest.raises(UserError, match=f"{LIMIT_VARIABLE} is '{wrong}'"):
            limit_gib()


def test_only_the_columns_that_are_read_count(tmp_path):
    table = pd.concat([sample()["impressions"]] * 20, ignore_index=True)
    bomb = repeated_text(len(table), 100_000)["context_note"]
    pq.write_table(pa.Table.from_pandas(table).append_column("context_note", bomb), tmp_path / "impressions.parquet")
    assert len(read_table(UPath(tmp_path), "impressions", ["impression_id", "click"])) == len(table)
    with pytest.raises(UserError, match=LIMIT_VARIABLE):
        read_table(UPath(tmp_path), "impressions")


@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_ordinary_and_large_files_are_no_bombs(compression, dictionary, tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "0.0001")
    names = [f"s{row:08d}" for row in range(50_000)]
    many = pa.table({"shopper_id": names, "feature_x": np.random.default_rng(0).random(len(names))})
    pq.write_table(many, tmp_path / "shoppers.parquet", compression=compression, use_dictionary=dictionary)
    assert len(read_table(UPath(tmp_path), "shoppers", ["shopper_id", "feature_x"])) == len(names)


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def changed(keras_file: bytes, **members: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(keras_file)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    return zipped({**content, **{name.replace("__", "."): value for name, value in members.items()}})


def hdf5(rows: int) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("w", shape=(rows,), dtype="f4", chunks=(100_000,), compression="gzip", fillvalue=0)
    return stream.getvalue()


def config_of(keras_file: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(keras_file)) as archive:
        return archive.read("config.json")


def wide(keras_file: bytes) -> bytes:
    """The same network, its dense layer made enormous."""
    return re.sub(rb'"units": \d+', b'"units": 900000000', config_of(keras_file))


@pytest.mark.parametrize("kind", ["archive", "hdf5", "layers"])
def test_a_network_that_would_take_too_much_is_refused_before_it_is_made(kind):
    good = dense_encoder((8, 8, 1), 3)
    bombs = {
        "archive": changed(good, notes=bytes(60_000_000)),
        "hdf5": changed(good, model__weights__h5=hdf5(10_000_000)),
        "layers": changed(good, config__json=wide(good)),
    }
    tracemalloc.start()
    with pytest.raises(UserError, match=LIMIT_VARIABLE):
        load_network(bombs[kind])
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()
    with pytest.raises(UserError, match=LIMIT_VARIABLE):
        Network.from_files({PAIR_MAP_FILE: b"", NETWORK_FILE: bombs[kind]})


def test_an_ordinary_network_is_loaded_with_its_weights():
    import keras

    good = dense_encoder((8, 8, 1), 3)
    network = load_network(good)
    names = [layer.name for layer in network.layers]
    again = load_network(good)
    assert [layer.name for layer in again.layers] == names
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).count_params() == 9


def test_what_is_no_network_is_left_to_keras():
    for content in (b"", b"PK", zipped({"config.json": b"{"}), zipped({"config.json": json.dumps({"a": 1}).encode()})):
        check_network(content, "this")
        with pytest.raises(UserError, match="this is no Keras network"):
            load_network(content)


def test_an_archive_is_held_to_what_its_directory_says():
    with pytest.raises(UserError, match=LIMIT_VARIABLE):
        check_archive(zipped({"a": bytes(40_000_000)}), "this")
    assert check_archive(zipped({"a": b"b"}), "this").read("a") == b"b"


READS_IN_A_DAEMON_THREAD = """
import sys, threading, time
from upath import UPath
from components.contract.files.tables import read_frame
done = threading.Event()

def read():
    read_frame(UPath(sys.argv[1]))
    done.set()
    time.sleep(100)

threading.Thread(target=read, daemon=True).start()
assert done.wait(60)
"""


def test_a_process_that_has_read_a_file_ends_without_a_line(tmp_path):
    pq.write_table(pa.table({"n": [1]}), tmp_path / "n.parquet")
    command = [sys.executable, "-c", READS_IN_A_DAEMON_THREAD, str(tmp_path / "n.parquet")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")

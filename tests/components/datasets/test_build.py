import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.card import read_card
from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_table
from components.contract.schema import TABLES
from components.contract.validation.validate import load_dataset
from components.datasets import Built, build, dataset_files, verify
from components.datasets.dataset_files import write_dataset
from components.datasets.shipped_digests import committed_digests
from components.settings.errors import UserError
from components.simulator import load_scenario

NOT_SIMULATED = {"features_from", "body", "design", "keep_probability", "ingested_at"}


@pytest.fixture
def small_photos(photos, monkeypatch):
    monkeypatch.setattr(sys.modules[build.__module__], "load_photos", lambda existing, cache: photos)


def test_a_build_reads_back_as_it_was_made(tiny, tmp_path):
    tables, card = tiny
    folder = UPath(tmp_path / "marketplace")
    write_dataset(tables, card, folder)
    back, card_back = load_dataset(folder)
    assert card_back == card
    assert set(back) == set(TABLES)
    for name, table in tables.items():
        absent = back[name].columns.difference(table.columns)  # not written, so all null
        assert set(absent) <= NOT_SIMULATED and back[name][absent].isna().all(axis=None)
        read = back[name].drop(columns=absent)
        pd.testing.assert_frame_equal(read, table, check_dtype=False, check_column_type=False)
    days = sorted(path.name for path in (folder / "candidates").iterdir())
    assert days == ["day=2026-01-05", "day=2026-01-06", "day=2026-01-07"]
    assert len(read_table(folder, "candidates")) == 6000


def test_two_builds_are_equal_to_the_byte(tiny_config, small_photos, tmp_path):
    digests = [digest_tree(build("marketplace", UPath(tmp_path / clone), tiny_config).folder) for clone in ("a", "b")]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 3 * 3 + 5 + 1


def test_a_picture_in_the_table_is_an_uncompressed_png(tiny, photos):
    content = tiny[0]["images"]["image"].iloc[0]
    assert content.startswith(b"\x89PNG")
    assert photos.pictures[0].tobytes()[:28] in content  # the first line of pixels stands in it as it is


def test_another_scenario_keeps_out_of_the_shipped_sets_way(tiny_config, small_photos, tmp_path):
    data = UPath(tmp_path)
    shipped = build("marketplace", data, tiny_config)
    before = digest_tree(shipped.folder)
    null = build("marketplace", data, tiny_config.model_copy(update={"scenario": "null"}))
    assert null == Built("marketplace-null", data / "marketplace-null", fresh=True)
    assert read_card(null.folder).name == "marketplace-null"
    assert digest_tree(shipped.folder) == before


def test_a_scenario_of_ones_own_travels_with_its_data(tiny_config, small_photos, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("extends: baseline\nid: summer-sale\neffects: {quality: 0.3}\n", encoding="utf-8")
    config = tiny_config.model_copy(update={"scenario": str(path)})
    built = build("marketplace", UPath(tmp_path / "data"), config)
    assert built.name == "marketplace-summer-sale"
    scenario = load_scenario(str(path))
    assert build("marketplace", UPath(tmp_path / "data"), config).fresh  # nothing has changed: may build again
    path.write_text("extends: baseline\nid: summer-sale\neffects: {quality: 0.4}\n", encoding="utf-8")
    with pytest.raises(UserError, match="was built with other settings: scenario"):
        build("marketplace", UPath(tmp_path / "data"), config)
    path.unlink()
    assert load_scenario(read_card(built.folder).simulator.scenario) == scenario


def test_other_settings_never_overwrite(tiny_config, small_photos, tmp_path):
    data = UPath(tmp_path)
    folder = build("marketplace", data, tiny_config).folder
    before = digest_tree(folder)
    with pytest.raises(UserError, match=r"was built with other settings: seed 20261 \(now 5\)"):
        build("marketplace", data, tiny_config.model_copy(update={"seed": 5}))
    assert digest_tree(folder) == before
    assert build("marketplace", data, tiny_config).fresh  # the same settings may build again
    assert digest_tree(folder) == before


def test_a_folder_that_was_not_built_here_is_left_alone(tiny_config, small_photos, tmp_path):
    (tmp_path / "marketplace").mkdir()
    (tmp_path / "marketplace" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"holds files but no dataset.yaml"):
        build("marketplace", UPath(tmp_path), tiny_config)
    assert (tmp_path / "marketplace" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_build_that_dies_leaves_what_was_there(tiny, tmp_path, monkeypatch):
    tables, card = tiny
    folder = UPath(tmp_path / "marketplace")
    write_dataset(tables, card, folder)
    before = digest_tree(folder)
    real, written = dataset_files.write_table, []

    def dies(table, path):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path)
        real(table, path)

    monkeypatch.setattr(dataset_files, "write_table", dies)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tables, card, folder)
    assert digest_tree(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["marketplace"]


def test_unknown_names_are_told_the_known_ones(tiny_config, tmp_path):
    with pytest.raises(UserError, match="there are marketplace, openbandit, storefront"):
        build("marketplaces", UPath(tmp_path), tiny_config)
    with pytest.raises(UserError, match="only the shipped data sets"):
        verify(UPath(tmp_path), "mine")
    with pytest.raises(UserError, match="adloom data build openbandit"):
        verify(UPath(tmp_path), "openbandit")


def test_verify_names_what_differs(tmp_path, tiny_config):
    data = UPath(tmp_path)
    built = build("openbandit", data, tiny_config)
    assert verify(data, "openbandit") == len(committed_digests("openbandit")) == 11
    assert not build("openbandit", data, tiny_config).fresh  # right to the byte: nothing to do
    path = built.folder / "creatives.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"2")
    (built.folder / "campaigns.parquet").unlink()
    (built.folder / "extra.parquet").write_bytes(b"")
    with pytest.raises(UserError) as error:
        verify(data, "openbandit")
    for fault in ("campaigns.parquet is missing", "creatives.parquet is different", "extra.parquet is unexpected"):
        assert fault in str(error.value)


@pytest.mark.slow
def test_the_default_marketplace_is_as_committed(tmp_path):
    """The whole build at its default size, against the committed digests: the same bytes on every machine."""
    from components.settings.sections import SimulatorConfig

    built = build("marketplace", UPath(tmp_path), SimulatorConfig())
    assert built.fresh
    assert verify(UPath(tmp_path), "marketplace") == 90
    clicks = read_table(built.folder, "impressions", columns=["click"])["click"]
    assert len(clicks) == SimulatorConfig().impressions
    assert np.isclose(clicks.mean(), 0.02, atol=0.002)
    shutil.rmtree(tmp_path / "marketplace")

import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from upath import UPath

from components.cli.data import data as data_command
from components.contract.card import read_card
from components.contract.validation.validate import load_dataset
from components.datasets import AlreadyAdded, add
from components.datasets.dataset_files import write_dataset
from components.settings.errors import UserError


@pytest.fixture
def mine(tiny, tmp_path):
    """A user's folder: the smallest data set that the contract allows, by day."""
    tables, card = tiny
    kept = {name: tables[name] for name in ("campaigns", "creatives", "impressions", "products", "images", "shoppers")}
    folder = UPath(tmp_path / "mine")
    real = tuple(name for name in kept if name != "images")
    write_dataset(kept, card.model_copy(update={"real": ("images",), "simulated": real}), folder)
    return folder


def edit_card(folder, **changes):
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}), encoding="utf-8")


def test_a_folder_is_copied_under_its_new_name(mine, tmp_path):
    (mine / "notes.txt").write_text("not a table", encoding="utf-8")
    folder = add("shop_2026", mine, UPath(tmp_path / "data"))
    assert folder == UPath(tmp_path / "data" / "shop_2026")
    assert read_card(folder).name == "shop_2026"
    assert read_card(mine).name == "marketplace"  # the user's own copy stays as it was
    ours, theirs = load_dataset(folder)[0], load_dataset(mine)[0]
    for name, table in theirs.items():
        pd.testing.assert_frame_equal(ours[name], table)
    assert not (folder / "notes.txt").exists()


def test_nothing_is_overwritten(mine, tmp_path):
    data = UPath(tmp_path / "data")
    add("shop", mine, data)
    with pytest.raises(UserError, match="exists already"):
        add("shop", mine, data)


@pytest.mark.parametrize("name", ["marketplace", "openbandit", "marketplace-mine"])
def test_names_of_shipped_sets_are_kept(name, mine, tmp_path):
    with pytest.raises(UserError, match="reserved for data sets that Adloom builds"):
        add(name, mine, UPath(tmp_path / "data"))


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "Upper", "white space", "-x"])
def test_a_name_is_no_path(name, mine, tmp_path):
    with pytest.raises(UserError, match="lower-case letters"):
        add(name, mine, UPath(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def damage(kind, folder):
    if kind == "csv":
        (folder / "creatives.parquet").unlink()
        (folder / "creatives.csv").write_text("a,b\n", encoding="utf-8")
    elif kind == "missing table":
        shutil.rmtree(folder / "impressions")
    elif kind == "truncated":
        path = folder / "campaigns.parquet"
        path.write_bytes(path.read_bytes()[:50])
    elif kind == "naive":
        table = pd.read_parquet(folder / "campaigns.parquet")
        table.assign(starts_at=table["starts_at"].dt.tz_localize(None)).to_parquet(folder / "campaigns.parquet")
    elif kind == "no card":
        (folder / "dataset.yaml").unlink()
    elif kind == "card lists too much":
        edit_card(folder, simulated=["campaigns", "creatives", "impressions", "products", "shoppers", "events"])
    elif kind == "card lists too little":
        edit_card(folder, simulated=["campaigns", "creatives", "impressions", "products"])


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("csv", "expected Parquet"),
        ("missing table", "impressions"),
        ("truncated", "campaigns"),
        ("naive", "naive times"),
        ("no card", "dataset.yaml: no such file"),
        ("card lists too much", "events"),
        ("card lists too little", "shoppers"),
    ],
)
def test_a_faulty_folder_is_refused_and_leaves_nothing(kind, named, mine, tmp_path):
    damage(kind, mine)
    with pytest.raises(UserError, match=named):
        add("shop", mine, UPath(tmp_path / "data"))
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        add("shop", UPath(tmp_path / "nothing"), UPath(tmp_path / "data"))


def test_the_very_copy_is_told_from_another_data_set(mine, tmp_path):
    data = UPath(tmp_path / "data")
    add("shop", mine, data)
    with pytest.raises(AlreadyAdded, match="exists already"):
        add("shop", mine, data)
    edit_card(mine, licence="another")
    with pytest.raises(UserError, match="exists already") as other:
        add("shop", mine, data)
    assert not isinstance(other.value, AlreadyAdded)


def test_an_addition_killed_before_dvc_is_finished_by_the_same_command(mine, tmp_path, monkeypatch):
    """Killed after the folder stands and before `dvc add`; a killed pull left a folder that dvc must not take in."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    add("shop", mine, UPath("data"))
    (tmp_path / "data" / ".other.0123abcd.partial").mkdir()
    (tmp_path / "data" / ".other.0123abcd.partial" / "half").touch()
    command = [data_command, ["add", "shop", str(mine)]]
    assert CliRunner().invoke(*command, catch_exceptions=False).exit_code == 0
    listed = yaml.safe_load((tmp_path / "data.dvc").read_text())["outs"][0]
    assert listed["nfiles"] == sum(path.is_file() for path in (tmp_path / "data" / "shop").rglob("*"))
    with pytest.raises(AlreadyAdded, match="exists already"):  # now there is nothing left to do
        CliRunner().invoke(*command, catch_exceptions=False)

import json
import sys

import pytest
from upath import UPath

from benchmarks import scale
from components.contract.files.digests import digest_tree
from components.datasets.dataset_files import write_dataset
from components.datasets.fashion_mnist import load_photos
from components.datasets.marketplace import build_tables
from components.settings.params_file import load_settings

SMALL = (
    "simulator.seed=999",
    "simulator.impressions=900",
    "simulator.events=1200",
    "simulator.shoppers=80",
    "simulator.days=9",
)


def test_a_data_set_built_by_days_is_the_one_built_at_once(tmp_path, monkeypatch):
    photos = load_photos().head(2000, 300)
    monkeypatch.setattr(scale, "load_photos", lambda **_: photos)
    scale.build_by_days(SMALL, tmp_path / "by-days")
    config = load_settings("params.yaml", scale.NAME, SMALL).simulator
    write_dataset(*build_tables(config, photos), UPath(tmp_path / "at-once"))
    by_days = digest_tree(UPath(tmp_path / "by-days"))
    assert len(by_days) > 3 * 9
    assert by_days == digest_tree(UPath(tmp_path / "at-once"))


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
def test_the_fitted_exponent_is_the_power_of_the_growth(power):
    sizes = [1e5, 2e5, 6e5]
    assert scale.exponent(sizes, [3.0 * size**power for size in sizes]) == pytest.approx(power, abs=1e-3)
    assert scale.exponent([1e5], [1.0]) is None
    assert scale.exponent([1e5, 2e5], [0.0, 0.0]) is None


def test_an_extrapolation_continues_a_line_and_faster_growth_by_its_power():
    line = scale.extrapolated([100, 200, 300], [99.0, 12.0, 13.0], 1000)
    assert line["value"] == pytest.approx(20.0)
    assert "200 and 300" in line["rests_on"] and "line" in line["rests_on"]
    square = scale.extrapolated([100, 200], [1.0, 4.0], 400)
    assert square["value"] == pytest.approx(16.0)
    assert "power" in square["rests_on"]
    assert scale.extrapolated([100], [1.0], 400) is None


def test_a_stage_that_was_stopped_has_no_part_in_the_growth():
    def figures(size):
        return {name: 2.0 * size for name in scale.FIGURES}

    runs = {10: {"features": figures(10)}, 20: {"features": figures(20)}, 60: {"features": None}, 80: {}}
    found = scale.summary(runs, ("features",))["features"]
    assert found["exponents"]["peak_gib"] == pytest.approx(1.0)
    assert "10 and 20" in found["billion"]["peak_gib"]["rests_on"]
    assert found["billion"]["core_hours"] == pytest.approx(2e9 / 3600, rel=1e-3)
    json.dumps(found, allow_nan=False)


def test_a_command_that_takes_too_much_memory_is_stopped(tmp_path):
    hungry = "import time; held = b'x' * (400 << 20); time.sleep(60)"
    assert scale.metered([sys.executable, "-c", hungry], tmp_path, tmp_path / "log", 0.2) is None
    modest = scale.metered([sys.executable, "-c", "import time; time.sleep(1)"], tmp_path, tmp_path / "log", 0.2)
    assert 0.5 < modest["seconds"] < 30


def test_a_command_that_fails_ends_the_benchmark_and_names_its_screen(tmp_path):
    with pytest.raises(SystemExit, match="ended with 3; its screen is in"):
        scale.metered([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, tmp_path / "log", 1.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--impressions", "many"], "many"), (["--impressions", "0"], "0"), (["--stages", "cooking"], "cooking")],
)
def test_wrong_options_are_refused_by_name(arguments, named, capsys):
    with pytest.raises(SystemExit) as refused:
        scale.options_of(arguments)
    assert refused.value.code == 2
    assert named in capsys.readouterr().err

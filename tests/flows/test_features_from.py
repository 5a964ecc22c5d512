"""Open columns that became known in the middle of the log, through the files that stages leave to each other."""

import shutil

import numpy as np
import pandas as pd

from components.contract.files.tables import read_frame, write_table
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.workflow import run_stage
from components.workflow.stage_inputs import built_features


def test_stages_hand_on_what_an_impression_may_see_of_a_creative(built_shop, tmp_path):
    shutil.copytree(built_shop.data, tmp_path / "data")
    paths = Paths.of("marketplace", str(tmp_path / "data"), str(tmp_path / "artifacts"))
    creatives = read_frame(paths.data / "creatives.parquet")
    times = pd.concat([read_frame(file, ["timestamp"])["timestamp"] for file in _parts(paths)])
    middle = times.min() + (times.max() - times.min()) / 4  # in the time that teaches
    timed = np.arange(len(creatives)) % 2 == 0
    begins = pd.Series([middle.floor("s")] * len(creatives)).where(timed).astype("datetime64[us, UTC]")
    write_table(creatives.assign(features_from=begins), paths.data / "creatives.parquet")
    settings = load_settings(built_shop.params, "marketplace")
    for name in ("validation", "features"):
        run_stage.run(name, settings, paths)
    model, built = built_features(paths)
    assert set(built.earlier["creative_id"]) == set(creatives["creative_id"][timed])
    before, after = built.creatives_at(times.min()), built.creatives_at(times.max())
    pd.testing.assert_frame_equal(after, built.creatives)
    assert before.loc[timed, "creative_prior"].tolist() == [np.float32(model.creative.free.means[0])] * timed.sum()
    pd.testing.assert_frame_equal(before[~timed], after[~timed])
    assert not run_stage.run("features", settings, paths)  # and the stage is fresh with the file that it wrote


def _parts(paths):
    return sorted(path for path in (paths.data / "impressions").rglob("*.parquet") if "settled" not in path.name)

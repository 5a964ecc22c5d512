"""A pair feature that reads events, chosen by a setting, through the stages to the scores that a policy acts on."""

import json

import numpy as np
import pytest

from components.contract.files.tables import files_in, read_frame
from components.interest import CalibratedModel, predict_pairs
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.workflow import run_stage
from components.workflow.stage_inputs import built_features

pytestmark = pytest.mark.slow


def test_views_of_the_last_hours_reach_the_predictions_by_a_setting_alone(built_shop, tmp_path):
    settings = load_settings(built_shop.params, "marketplace", ("features.pairs=[repeats, category_views_6h]",))
    paths = Paths.of("marketplace", str(built_shop.data), str(tmp_path))
    for name in ("validation", "features", "interest"):
        run_stage.run(name, settings, paths)
    model, features = built_features(paths)
    assert model.pairs == features.pairs == ("repeats", "category_views_6h")
    assert set(features.past.products["category"]) and len(features.past.events)
    stored = CalibratedModel.from_files(files_in(paths.stage("interest") / "model" / "interest"))
    assert stored.pairs == ("repeats:7d", "repeats:ever", "category_views_6h")
    scored = read_frame(paths.stage("interest") / "predictions.parquet")
    again = predict_pairs(stored, features, scored[["impression_id", "creative_id"]])
    np.testing.assert_array_equal(again, scored["p_click"].to_numpy())
    logged = np.arange(len(features.impressions))
    values = features.pairs_of(logged, np.zeros(len(logged), dtype=np.int64))
    assert values[:, 2].any(), "somebody looked at that category in the six hours before"
    assert json.loads((paths.stage("features") / "messages.json").read_text()) == list(features.messages)

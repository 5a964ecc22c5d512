"""What a stage reads of earlier ones: features of an earlier version are refused with the command that helps."""

import pandas as pd
import pytest

from components.contract.files.tables import write_table
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.workflow.stage_inputs import built_features


def test_features_of_an_earlier_version_are_refused_with_the_command_that_builds_them_anew(tmp_path):
    """They held the propensity, which now comes from the validated tables alone."""
    paths = Paths.of("shop", workdir=str(tmp_path))
    for name in ("impressions", "creatives", "shopper_profiles"):
        write_table(
            pd.DataFrame({"impression_id": ["i1"], "propensity": [0.5]}), paths.stage("features") / f"{name}.parquet"
        )
    with pytest.raises(UserError, match=r"an earlier version of Adloom .* `adloom stage features --dataset shop`"):
        built_features(paths)

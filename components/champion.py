"""The champion's snapshot -> what it would do now, by the features, the model and the policy that it pins."""

import numpy as np
import pandas as pd

from components.config import FeaturesConfig, PolicyConfig
from components.contract.tables import read_json
from components.features import FeatureModel, build_features
from components.inputs import files_in
from components.interest import CalibratedModel, predict_pairs
from components.paths import Paths
from components.policy.act import act


def champion_probabilities(
    paths: Paths, tables: dict[str, pd.DataFrame], pairs: pd.DataFrame, judged: pd.DataFrame
) -> np.ndarray | None:
    """Its probability of each of `pairs`, float64 [n_pairs], grouped in the order of `judged`; None without one."""
    if not paths.champion.exists():
        return None
    pinned = FeatureModel.from_files(files_in(paths.champion / "model" / "features"))
    model = CalibratedModel.from_files(files_in(paths.champion / "model" / "interest"))
    built = build_features(pinned, tables, FeaturesConfig())
    policy = PolicyConfig.model_validate(read_json(paths.champion / "policy.json"))
    return act(policy, predict_pairs(model, built, pairs), pairs, judged)

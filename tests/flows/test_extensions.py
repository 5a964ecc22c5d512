"""A model, a policy and an estimator of one's own, each one file and one line: from settings to registry and back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.files.digests import digest_package
from components.contract.files.tables import files_in, read_frame, read_json
from components.evaluation.estimators.estimators import (
    ESTIMATORS,
    Contributions,
    Estimator,
    FiniteBound,
    ModelUse,
    WeightedRows,
)
from components.evaluation.held_out import JUDGE, held_out
from components.features import FeatureModel, build_features
from components.interest import CalibratedModel, predict_pairs
from components.interest.model_kinds import MODEL_KINDS
from components.policies import POLICIES
from components.policies.policy_package import PER_SHOPPER, PolicyPackage
from components.policies.ragged_rows import draw_per_row, row_sums
from components.registry.mlflow_store import fetch_package, find_version, open_store
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import STAGES, Paths
from components.settings.sections import FeaturesConfig
from components.workflow import run_stage
from components.workflow.publishing import publication
from components.workflow.run_stage import checked
from components.workflow.stage_inputs import validated
from tests.components.interest import category_rates
from tests.components.policies import probit_policy

pytestmark = pytest.mark.slow
OWN = (
    "interest.models=[category_rates]",
    "interest.category_rates.prior_impressions=20.0",
    "evaluation.policy.name=probit",
    "evaluation.policy.probit.error=0.5",
    "evaluation.policy.temperatures=[0.1, 0.5]",
    "evaluation.policy.segments=4",
    "evaluation.policy.candidates=[{name: uniform}]",
)


def half_weighted(rows: WeightedRows, shrinkage: float) -> Contributions:
    """IPS with weights drawn half of the way to 1."""
    weight = (rows.weight + 1) / 2
    return Contributions(np.zeros_like(weight), weight * rows.reward, np.ones_like(weight), weight)


@pytest.fixture
def registered(monkeypatch):
    """The three extensions, one line each."""
    monkeypatch.setitem(MODEL_KINDS, "category_rates", category_rates.KIND)
    monkeypatch.setitem(POLICIES, "probit", probit_policy.KIND)
    monkeypatch.setitem(ESTIMATORS, "half_ips", Estimator(half_weighted, ModelUse.NONE, FiniteBound.REWARDS))


@pytest.fixture
def published(registered, shop):
    """Settings, paths and outcome of a run of the small shop with all three; without photos, for it is faster so."""
    images = pd.read_parquet(shop.data / "images.parquet")
    images.assign(category=None).to_parquet(shop.data / "images.parquet", index=False)
    settings, paths = checked(load_settings(shop.params, "marketplace", OWN)), Paths.of("marketplace")
    publication.snapshot("extended", settings, paths)
    for name in STAGES:
        if name == "evaluation":
            publication.charge("extended", settings, paths)
        run_stage.run(name, settings, paths)
    return settings, paths, publication.publish("extended", settings, paths, "a-flow-run")


def acting(package: Path, tables, rows) -> np.ndarray:
    """What the form per_shopper of the policy in `package` shows of each pair, by the package alone."""
    policy = PolicyPackage.from_files(
        {name: file for name, file in files_in(UPath(package)).items() if "/" not in name}
    )
    features = FeatureModel.from_files(files_in(UPath(package / "model" / "features")))
    model = CalibratedModel.from_files(files_in(UPath(package / "model" / "interest")))
    assert (policy.parameters.policy, model.name) == ("probit", "category_rates")
    assert policy.parameters.policy_settings == {"error": 0.5, "draws": 64}
    pairs = rows.pairs[["impression_id", "creative_id"]]
    scored = pairs.assign(p_click=predict_pairs(model, build_features(features, tables, FeaturesConfig()), pairs))
    return policy.probabilities(PER_SHOPPER, rows.impressions, scored, rows.offsets)


def test_what_is_registered_acts_as_what_was_judged(published, tmp_path):
    from components.workflow.stage_inputs import built_features

    settings, paths, outcome = published
    tables, _ = validated(paths)
    _, built = built_features(paths)
    tables["impressions"] = tables["impressions"].assign(reward=tables["impressions"]["click"].astype(float))
    rows = held_out(tables, built, read_frame(paths.stage("interest") / "predictions.parquet"), JUDGE, None)
    made = PolicyPackage.from_files(files_in(paths.stage("evaluation") / "policy"))
    judged = made.probabilities(PER_SHOPPER, rows.impressions, rows.pairs, rows.offsets)
    digest = digest_package(paths.stage("promotion") / "policy")
    version = find_version(open_store(), "extended-policy", digest)
    assert version.number == outcome["candidate"]
    fetch_package(version, tmp_path / "fetched")
    shown = acting(tmp_path / "fetched", tables, rows)
    np.testing.assert_array_equal(shown, judged)
    np.testing.assert_allclose(row_sums(shown, rows.offsets), 1.0)
    drawn = draw_per_row(shown, rows.offsets, np.random.default_rng(0))
    assert (shown[drawn] > 0).all(), "one draw of exact propensities is what acts"
    first = slice(0, rows.offsets[50])
    part = made.probabilities(
        PER_SHOPPER, rows.impressions.head(50), rows.pairs.iloc[first].reset_index(drop=True), rows.offsets[:51]
    )
    np.testing.assert_allclose(part, judged[first], rtol=1e-12)

    evaluated = read_json(paths.stage("evaluation") / "evaluation.json")
    assert [(one["name"], one["chosen"]) for one in evaluated["candidates"]] == [("probit", True), ("uniform", False)]
    assert "# Choice of the policy" in (paths.docs / "evaluation.md").read_text()
    assert evaluated["judged"] and {record["form"] for record in evaluated["forms"]} == {"table", "per_shopper"}
    for record in evaluated["forms"]:
        estimates = {estimate["estimator"]: estimate for estimate in record["logs"][0]["evaluation"]["estimates"]}
        assert estimates["half_ips"]["value"] is not None and estimates["half_ips"]["ci_low"] is not None
    assert json.loads((paths.stage("interest") / "metrics.json").read_text())["champion"] == "category_rates"
    assert "half_ips" in (paths.docs / "evaluation.md").read_text()
    assert run_stage.question(settings, paths)  # the same settings, written out or not, are the same question


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluation.policy.name=oracle", "evaluation.policy.name: no policy is called 'oracle'; there are chi_square"),
        ("evaluation.policy.probit.error=-1.0", "evaluation.policy.probit.error: Input should be greater than 0"),
        ("evaluation.policy.probit.eror=1.0", "evaluation.policy.probit.eror: unknown setting; did you mean error"),
        ("evaluation.policy.oracle={a: 1}", "evaluation.policy.oracle: no kind of this name is registered"),
    ],
)
def test_a_wrong_setting_of_a_policy_is_named_before_a_run_begins(built_shop, override, words):
    with pytest.raises(UserError, match=words):
        checked(load_settings(built_shop.params, "marketplace", (*OWN, override)))

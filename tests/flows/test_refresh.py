"""A run that refits the champion: it charges nothing, and the last refit is scored on the impressions since."""

import shutil

import numpy as np
import pytest
from upath import UPath

from components.contract.files.tables import read_frame
from components.evaluation.gate.refresh_evidence import RefreshEvidence
from components.features.time_splits import Splits
from components.policies.policy_package import TABLE
from components.registry.mlflow_store import digest_of, open_store, version_of
from components.registry.promotion import CHAMPION, promote
from components.registry.refresh_records import ACTS, RefreshState, record_refresh
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.workflow.evaluation_inputs import read_evaluation_inputs
from components.workflow.publishing.nightly_refit import (
    DAY,
    log_until,
    refit_overrides,
    refreshed_champion,
    score_refit,
)
from components.workflow.publishing.publication import charge, publish, snapshot
from components.workflow.stage_inputs import validated

pytestmark = pytest.mark.slow
NAME = "marketplace-policy"
SCORED = 0.6  # share of the judged impressions that came after the refit was made


class PromotedShop:
    """The finished shop in a registry of its own, where a person has promoted its first policy."""

    def __init__(self, shop, folder) -> None:
        self.params, self.data = shop.params, shop.data
        self.paths = Paths.of("marketplace", str(shop.data), str(folder / "artifacts"))
        shutil.copytree(shop.folder / "artifacts" / "marketplace", str(self.paths.artifacts))
        shutil.rmtree(self.paths.champion, ignore_errors=True)
        self.paths.champion_record.unlink(missing_ok=True)
        settings = self.settings("promotion.refresh=false")
        snapshot("marketplace", settings, self.paths)
        charge("marketplace", settings, self.paths)
        publish("marketplace", settings, self.paths, "a-flow-run")
        self.client = open_store()
        promote(self.client, NAME, force=True, reason="a trial", by="ann")
        snapshot("marketplace", settings, self.paths)
        self.champion = version_of(self.client, NAME, CHAMPION)

    def settings(self, *overrides: str):
        return load_settings(self.params, "marketplace", ("promotion.refresh=true", *overrides))

    def refit_made_at(self, until: int) -> None:
        """Record the champion itself as its refit, made when the log ended at `until`."""
        digest, evidence = digest_of(self.champion), RefreshEvidence(0.05, 0.95)
        state = RefreshState(digest, digest, TABLE, until, ACTS, 0.02, evidence, ("a trial",))
        record_refresh(self.client, self.champion, state, self.champion)


@pytest.fixture(scope="module")
def shop(finished_shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refits")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.setenv("ADLOOM_ARTIFACT_ROOT", str(folder / "mlflow"))
    patch.setenv("ADLOOM_STATE", str(folder))
    patch.chdir(finished_shop[0].folder)
    yield PromotedShop(finished_shop[0], folder)
    patch.undo()


def test_the_same_recipe_refits_the_champion_and_another_asks_the_ledger(shop):
    def refreshed(*overrides):
        return refreshed_champion(shop.client, NAME, shop.settings(*overrides))

    assert refreshed().number == refreshed("evaluation.policy.seed=7", "evaluation.bootstrap=20").number == 1
    assert refreshed("features.train_share=0.7", "features.select_share=0.05").number == 1  # of the log, not the recipe
    assert refreshed("features.text_dimensions=8") is None
    assert refreshed("evaluation.policy.exploration=0.2") is None
    assert refreshed("promotion.refresh=false") is None
    assert charge("marketplace", shop.settings(), shop.paths) is None
    assert charge("marketplace", shop.settings("promotion.refresh=false"), shop.paths)


def test_the_first_night_has_no_refit_to_score_and_a_night_without_impressions_none_either(shop):
    assert score_refit("marketplace", shop.settings(), shop.paths) is None
    last, overrides = log_until(shop.paths), refit_overrides("marketplace", shop.settings(), shop.paths)
    assert last - 1.2 * DAY < splits_of(shop, overrides).select_until <= last - DAY
    shop.refit_made_at(last)
    assert score_refit("marketplace", shop.settings(), shop.paths) is None


def splits_of(shop, overrides: tuple[str, ...]) -> Splits:
    settings = shop.settings(*overrides)
    return Splits.fit(validated(shop.paths)[0]["impressions"], settings.features, None)


def test_a_refit_learns_from_all_but_what_scores_the_last_one(shop):
    last = log_until(shop.paths)
    before = splits_of(shop, ())
    shop.refit_made_at(last - 2 * DAY)
    overrides = refit_overrides("marketplace", shop.settings(), shop.paths)
    refit = splits_of(shop, overrides)
    assert last - 2.3 * DAY < refit.select_until <= last - 2 * DAY
    assert refit.train_until > before.train_until
    rows, shares = len(validated(shop.paths)[0]["impressions"]), shop.settings().features
    judging = 1 - shares.train_share - shares.calibration_share - shares.select_share
    assert overrides[-1] == f"evaluation.proof_impressions={round(judging * rows)}"


def test_after_a_long_time_and_in_other_runs_the_shares_stay(shop):
    shop.refit_made_at(log_until(shop.paths) - 4 * DAY)
    assert refit_overrides("marketplace", shop.settings(), shop.paths) == ()
    shop.refit_made_at(log_until(shop.paths) - DAY)
    for other in ("promotion.refresh=false", "evaluation.policy.exploration=0.2"):
        assert refit_overrides("marketplace", shop.settings(other), shop.paths) == ()


def test_a_temperature_is_chosen_for_the_impressions_that_are_to_prove_it(shop):
    config = shop.settings("evaluation.proof_impressions=12345").evaluation
    assert read_evaluation_inputs(config, shop.paths).select_slice().outcomes.judged == 12345


def test_the_last_refit_is_scored_on_the_impressions_since(shop):
    """The refit is the champion itself, so that its advantage is the margin's share of the champion's value."""
    settings = shop.settings("promotion.refresh_margin=0.5")
    rows = read_evaluation_inputs(settings.evaluation, shop.paths).judge
    moments = rows.impressions["timestamp"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    until = int(np.quantile(moments, 1 - SCORED))
    shop.refit_made_at(until)
    night = score_refit("marketplace", settings, shop.paths)
    assert night.refit == digest_of(shop.champion) and night.rows == (moments > until).sum() > 0
    total = squares = 0.0
    for row in np.flatnonzero(moments > until):
        own = slice(rows.offsets[row], rows.offsets[row + 1])
        impression, pairs, champion = rows.impressions.iloc[row], rows.pairs.iloc[own], rows.baseline[own]
        guess = pairs["p_click"].to_numpy() if impression["consent"] else np.full(len(pairs), rows.click_rate)
        new = 0.005 if has_new(shop, impression["campaign"]) else 0.0  # of new creatives, which the log lacks
        target = (1 - new) * champion - 0.5 * champion
        shown = pairs["creative_id"].to_numpy() == impression["creative_id"]
        (weight,) = target[shown] / impression["propensity"]
        value = (target * guess).sum() + weight * (impression["click"] - guess[shown][0])
        total, squares = total + value, squares + value**2
    assert (night.total, night.squares) == pytest.approx((total, squares), rel=1e-9)


def has_new(shop, campaign: str) -> bool:
    catalogue = read_frame(UPath(shop.paths.champion) / "catalogue.parquet")
    return bool((catalogue["new"] & (catalogue["campaign"] == campaign)).any())


def test_a_reward_that_is_final_later_cannot_be_refreshed(shop):
    with pytest.raises(UserError, match=r"promotion\.refresh: .*whose conversion is not final then"):
        snapshot("marketplace", shop.settings("evaluation.reward=conversion"), shop.paths)

"""The policy that a run proposes: fixed before the judged rows, worth something by the shop's own law."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.evaluation.held_out import SELECT, HeldOut, held_out, with_consent
from components.features import build_features, fit_features
from components.features.time_splits import JUDGE
from components.interest import pair_errors, predict_pairs
from components.interest.training import train_calibrated
from components.policies import POLICIES, eligible_pairs
from components.policies.decision_table import ANY, CELL, segment_names
from components.policies.kinds.learned_scores import PastDecisions
from components.policies.policy_package import FORMS, PER_SHOPPER, PolicyPackage
from components.policies.proposal import LearnedModels, propose
from components.policies.ragged_rows import row_maxima, row_sums, spread
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, InterestConfig, PolicyConfig
from tests.components.features.shop import START, shop

FEATURES = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
CONFIG = PolicyConfig(temperatures=(0.1, 0.5), segments=4, contexts=20, exploration=0.1, new_share=0.05)


def tables_of(seed: int = 3) -> dict[str, pd.DataFrame]:
    tables = shop(seed=seed, impressions=3000, liking=1.5)
    until = START + pd.Timedelta(days=90)
    campaigns = tables["campaigns"].assign(starts_at=START, ends_at=until)
    never = pd.Series([pd.NaT] * len(tables["creatives"]), dtype="datetime64[us, UTC]")
    soon = never.copy()
    soon[0] = START + pd.Timedelta(days=30)
    return {
        **tables,
        "campaigns": campaigns,
        "creatives": tables["creatives"].assign(active_from=never, active_until=soon),
    }


@pytest.fixture(scope="module")
def tables():
    return tables_of()


def rewarded(tables) -> dict[str, pd.DataFrame]:
    """The tables with what each impression earned: its clicks."""
    impressions = tables["impressions"]
    return {**tables, "impressions": impressions.assign(reward=impressions["click"].astype(float))}


def learn(tables, errors: bool = False) -> tuple[LearnedModels, pd.DataFrame]:
    """Models, and the scored pairs of the rows that select and judge."""
    model = fit_features(tables, FEATURES)
    features = build_features(model, tables, FEATURES)
    interest = train_calibrated(features, "logistic", InterestConfig(bootstrap=20))
    pairs = eligible_pairs(tables, features.held_out())
    pairs = pairs.assign(p_click=predict_pairs(interest, features, pairs))
    if errors:
        pairs = pairs.assign(p_click_error=pair_errors(interest, features, pairs))
    return LearnedModels(model, features, interest), pairs


def selected(tables, learned: LearnedModels, pairs: pd.DataFrame) -> HeldOut:
    """The rows on which a policy is chosen, with the errors of their scores if `pairs` has them."""
    rows = with_consent(held_out(rewarded(tables), learned.features, pairs, SELECT, None))
    if "p_click_error" not in pairs:
        return rows
    errors = pairs[["impression_id", "creative_id", "p_click_error"]]
    return replace(rows, pairs=rows.pairs.merge(errors, on=["impression_id", "creative_id"]))


def proposed(tables, pool=None, config=CONFIG):
    learned, pairs = learn(tables, POLICIES[config.name].needs_errors)
    rows = selected(tables, learned, pairs)
    return (*propose(learned, tables, pool, rows.select_slice(1000), config), learned, pairs)


@pytest.fixture(scope="module")
def proposal(tables):
    return proposed(tables)


def test_the_logged_propensities_are_the_contracts_and_scores_of_other_pairs_are_refused(tables, proposal):
    *_, learned, pairs = proposal
    scores = pairs[["impression_id", "creative_id", "p_click"]]
    rows = held_out(rewarded(tables), learned.features, scores, JUDGE, None)
    assert [name for name in rows.impressions if name.startswith("shopper_")] == ["shopper_id"], "its history is large"
    logged = tables["impressions"].set_index("impression_id")["propensity"]
    assert "propensity" not in learned.features.impressions
    np.testing.assert_array_equal(rows.impressions["propensity"], logged[rows.impressions["impression_id"]])
    assert rows.pairs["p_click"].tolist() == predict_pairs(learned.interest, learned.features, rows.pairs).tolist()
    for others in (scores.iloc[:-1], scores.iloc[::-1], scores.assign(creative_id="c")):
        with pytest.raises(UserError, match="scored other pairs than the eligible ones; run the stage interest again"):
            held_out(rewarded(tables), learned.features, others, JUDGE, None)


def test_nothing_that_happens_from_the_first_judged_row_on_changes_a_byte(tables, proposal):
    policy, _, learned, _ = proposal
    judging = learned.features.impressions["split"] == JUDGE
    clicks = tables["impressions"]["click"]
    flipped = tables["impressions"].assign(click=clicks.where(~judging.to_numpy(), 1 - clicks))
    events = tables["events"]
    late = events["timestamp"] >= learned.model.splits.starts(JUDGE)
    assert late.any() and judging.any()
    other, *_ = proposed({**tables, "impressions": flipped, "events": events[~late].reset_index(drop=True)})
    assert other.files() == policy.files()


def test_only_consenting_shoppers_with_a_past_are_in_the_map(tables, proposal):
    policy, *_ = proposal
    consent = tables["shoppers"].set_index("shopper_id")["consent"]
    assert len(policy.segments) > 50 and policy.segments["shopper_id"].is_unique
    assert consent[policy.segments["shopper_id"]].all()
    assert policy.segments["segment"].nunique() == CONFIG.segments


def test_who_refused_consent_changes_no_byte(tables, proposal):
    policy, *_ = proposal
    refusing = set(tables["shoppers"].loc[~tables["shoppers"]["consent"], "shopper_id"])
    without = {name: tables[name] for name in tables}
    for name in ("impressions", "events", "shoppers"):
        rows = tables[name]
        without[name] = rows[~rows["shopper_id"].isin(refusing)].reset_index(drop=True)
    ends, kept = (each["impressions"]["timestamp"].agg(["min", "max"]).tolist() for each in (tables, without))
    assert kept == ends, "or the log's time would be cut elsewhere: by moments, which teach nothing"
    other, *_ = proposed(without)
    assert other.files() == policy.files()


def test_every_cell_is_a_distribution_and_the_fallback_is_whole(tables, proposal):
    policy, *_ = proposal
    sums = policy.decisions.groupby(["segment", "placement", "campaign"])["probability"].sum()
    np.testing.assert_allclose(sums, 1.0)
    for campaign in tables["campaigns"]["campaign"]:
        assert (ANY, ANY, campaign) in sums.index
        for placement in ("home", "search"):
            assert (ANY, placement, campaign) in sums.index


def test_each_form_takes_its_own_temperature_of_those_offered(proposal):
    policy, forecasts, *_ = proposal
    assert set(forecasts) == set(FORMS)
    for form in FORMS:
        assert [forecast.temperature for forecast in forecasts[form]] == [0.1, 0.5]
        assert policy.parameters.temperatures[form] in (0.1, 0.5)


def test_both_forms_earn_more_than_uniform_choice_by_the_shops_law(tables, proposal):
    policy, _, learned, pairs = proposal
    rows = held_out(rewarded(tables), learned.features, pairs, JUDGE, None)
    category = (
        tables["creatives"]
        .set_index("creative_id")["product_id"]
        .map(tables["products"].set_index("product_id")["category"])
    )
    touched = tables["events"].merge(tables["products"][["product_id", "category"]], on="product_id")
    favourite = touched.groupby("shopper_id")["category"].agg(lambda seen: seen.value_counts().index[0])
    shopper = np.repeat(rows.impressions["shopper_id"].to_numpy(), np.diff(rows.offsets))
    liked = category[rows.pairs["creative_id"]].to_numpy() == favourite.reindex(shopper).to_numpy()
    rate = 1 / (1 + 9 * np.exp(-np.where(liked, 1.5, -0.5)))
    even = row_sums(rate, rows.offsets) / np.diff(rows.offsets)
    for form in FORMS:
        shown, unlogged_share = policy.shown_and_unlogged(form, rows.impressions, rows.pairs, rows.offsets)
        assert (unlogged_share == 0).all()
        assert row_sums(shown * rate, rows.offsets).mean() > 1.1 * even.mean(), form


def test_a_pool_is_in_the_catalogue_with_its_campaigns_dates_and_gets_its_share(tables):
    pool = tables["creatives"].head(2).assign(creative_id=["new1", "new2"], origin="flow-1", active_until=pd.NaT)
    policy, _, learned, pairs = proposed(tables, pool)
    known = policy.catalogue.set_index("creative_id")
    assert policy.new == {"new1", "new2"} and known.loc["new1", "preference"] == 0.0
    ends = tables["campaigns"]["ends_at"].iloc[0]
    assert known.loc["new1", "active_until"] == ends and known.loc["new1", "active_from"] == START
    first = tables["creatives"]["creative_id"].iloc[0]
    assert known.loc[first, "active_until"] == START + pd.Timedelta(days=30), "its own end comes before the campaign's"
    rows = held_out(rewarded(tables), learned.features, pairs, JUDGE, None)
    _, unlogged_share = policy.shown_and_unlogged("table", rows.impressions, rows.pairs, rows.offsets)
    campaigns = set(pool["campaign"])
    np.testing.assert_allclose(unlogged_share, np.where(rows.impressions["campaign"].isin(campaigns), 0.05, 0.0))


def test_without_events_everyone_gets_the_fallback(tables):
    bare = {name: table for name, table in tables.items() if name != "events"}
    policy, *_ = proposed(bare)
    assert policy.segments.empty and set(policy.decisions["segment"]) == {ANY}


def test_the_ad_that_a_cell_shows_most_has_reasons_in_words(proposal):
    policy, _, learned, _ = proposal
    reasons = policy.reasons
    first = policy.decisions.drop_duplicates(CELL).set_index(CELL)["creative_id"]
    assert (reasons.set_index(CELL)["creative_id"] == first.reindex(pd.MultiIndex.from_frame(reasons[CELL]))).all()
    assert len(reasons[CELL].drop_duplicates()) > 0.9 * len(first)
    by_cell = reasons.groupby(CELL)
    assert (by_cell["rank"].apply(list).map(len) <= 3).all() and (by_cell["rank"].min() == 1).all()
    assert by_cell["effect"].apply(lambda effects: effects.abs().is_monotonic_decreasing).all()
    assert (reasons.groupby(CELL)["effect"].sum() > 0).mean() > 0.8, "what is shown most is mostly what scores best"
    categories = learned.features.creatives.set_index("creative_id").filter(like="creative_category:")
    named = reasons[reasons["en"].str.startswith("the category ")]
    assert len(named)
    for row in named.itertuples():
        value = row.en.removeprefix("the category ").split(" ")[0]
        assert categories.loc[row.creative_id, f"creative_category:{value}"] == 1 and f"“{value}”" in row.zh
    pd.testing.assert_frame_equal(PolicyPackage.from_files(policy.files()).reasons, reasons)
    earlier = {name: content for name, content in policy.files().items() if name != "reasons.parquet"}
    assert PolicyPackage.from_files(earlier).reasons is None


@pytest.mark.parametrize("name", ["rules", "uniform"])
def test_a_policy_that_does_not_choose_by_the_interest_model_has_no_reasons(tables, name):
    policy = proposed(tables, config=CONFIG.model_copy(update={"name": name}))[0]
    assert policy.reasons is None if name == "rules" else policy.reasons.empty


def test_thompson_sampling_uses_how_sure_the_model_is_in_both_forms(tables):
    config = CONFIG.model_copy(update={"name": "thompson", "temperatures": (0.05,)})
    policy, _, learned, pairs = proposed(tables, config=config)
    judged = with_consent(held_out(rewarded(tables), learned.features, pairs, JUDGE, None))
    unsure = judged.pairs.merge(pairs[["impression_id", "creative_id", "p_click_error"]])
    of_both = [
        policy.probabilities(PER_SHOPPER, judged.impressions, shown, judged.offsets)
        for shown in (unsure, unsure.assign(p_click_error=0.0))
    ]
    for probabilities in of_both:
        np.testing.assert_allclose(row_sums(probabilities, judged.offsets), 1.0)
    explored, exploited = (row_maxima(probabilities, judged.offsets).mean() for probabilities in of_both)
    assert explored < exploited - 0.1
    stored = PolicyPackage.from_files(policy.files())
    again = stored.probabilities(PER_SHOPPER, judged.impressions, unsure, judged.offsets)
    np.testing.assert_array_equal(again, of_both[0])
    scales = learned.interest.model.scales
    certain = replace(learned.interest.model, scales=replace(scales, variances=np.zeros(len(scales.variances))))
    as_if_sure = replace(learned, interest=replace(learned.interest, model=certain))
    selecting = selected(tables, learned, pairs).select_slice(1000)
    sure, _ = propose(as_if_sure, tables, None, selecting, config)
    largest = [table.decisions.groupby(CELL)["probability"].max().mean() for table in (policy, sure)]
    assert largest[0] < largest[1] - 0.05


@pytest.mark.parametrize("name", [name for name, kind in POLICIES.items() if kind.learn is not None])
def test_a_policy_with_scores_of_its_own_shows_the_best_of_each_segment(tables, name):
    """Both forms agree with the scores, which are those of consenting rows before the select split."""
    config = CONFIG.model_copy(update={"name": name})
    policy, _, learned, pairs = proposed(tables, config=config)
    rows = learned.features.impressions
    known = rows[rows["consent"] & ~rows["split"].isin([SELECT, JUDGE])]
    segment = segment_names(policy.segments, known["shopper_id"])
    past = PastDecisions(known[["creative_id", "click"]].assign(segment=segment), tables["creatives"])
    expected = POLICIES[name].learn(POLICIES[name].settings(), past)
    pd.testing.assert_frame_equal(policy.scores.rows, expected.rows)
    again = PolicyPackage.from_files(policy.files())
    judged = held_out(rewarded(tables), learned.features, pairs, JUDGE, None)
    shown = again.probabilities(PER_SHOPPER, judged.impressions, judged.pairs.drop(columns="p_click"), judged.offsets)
    requests = spread(segment_names(policy.segments, judged.impressions["shopper_id"]), judged.offsets)
    scores = expected.of(requests, judged.pairs["creative_id"])
    best = scores == spread(row_maxima(scores, judged.offsets), judged.offsets)
    assert (shown[best] > shown[~best].max()).all()
    table = policy.decisions.assign(
        score=expected.of(policy.decisions["segment"].to_numpy(dtype=object), policy.decisions["creative_id"])
    )
    first = table.sort_values("probability", ascending=False).groupby(["segment", "placement", "campaign"]).first()
    most = table.groupby(["segment", "placement", "campaign"])["score"].max()
    np.testing.assert_allclose(first["score"], most[first.index])


def test_a_policy_for_conversions_leaves_clickbait_alone(tables):
    """One headline is clicked as often as others, and its clicks never convert: the objective decides who is shown."""
    impressions, headline = tables["impressions"], tables["creatives"].set_index("creative_id")["headline"]
    bait = headline.iloc[0]
    honest = (headline[impressions["creative_id"]] != bait).to_numpy()
    bought = (impressions["click"] == 1) & honest & (np.arange(len(impressions)) % 2 == 0)
    rows = tables["impressions"].assign(conversion=bought.astype("int64"))
    told = {**tables, "impressions": rows}
    learned, pairs = learn(told)
    held = held_out(rewarded(told), learned.features, pairs, JUDGE, None)
    selecting = with_consent(held_out(rewarded(told), learned.features, pairs, SELECT, None)).select_slice(1000)
    is_bait = (headline[held.pairs["creative_id"]] == bait).to_numpy()
    shares = {}
    for objective in ("click", "conversion"):
        policy, _ = propose(learned, told, None, selecting, CONFIG.model_copy(update={"objective": objective}))
        again = PolicyPackage.from_files(policy.files())
        assert again.parameters.objective == objective
        for form in FORMS:
            shown = again.probabilities(form, held.impressions, held.pairs, held.offsets)
            shares[objective, form] = shown[is_bait].sum() / len(held.impressions)
    for form in FORMS:
        assert shares["conversion", form] < 0.7 * shares["click", form]

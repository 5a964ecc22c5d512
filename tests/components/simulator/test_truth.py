import numpy as np
import pandas as pd
import pytest

from components.contract.schema import TABLES
from components.contract.time_window import mask_open_conversions
from components.settings.errors import UserError
from components.settings.sections import SimulatorConfig
from components.simulator import ill_feedback_truth, load_scenario, reward_truth, simulate, truth
from components.simulator.ad_day import NO_EXPOSURES, simulate_ads
from components.simulator.market import open_market
from components.simulator.photos.product_photos import encode_png
from components.simulator.simulate import ends_at, simulate_log

TINY = {"shoppers": 400, "campaigns": 2, "creatives_per_campaign": 12, "events": 800, "impressions": 6000}


NOT_SIMULATED = {"features_from", "body", "design", "keep_probability", "ingested_at"}


@pytest.fixture(scope="module")
def tiny(photos):
    config = SimulatorConfig(**TINY, days=6)
    return config, simulate(config, load_scenario("baseline"), photos)


def test_columns_are_the_contracts_and_nothing_latent(tiny):
    _, tables = tiny
    assert set(tables) == set(TABLES)
    for name, table in tables.items():
        declared = TABLES[name]
        assert {column.name for column in declared.columns} - set(table.columns) <= NOT_SIMULATED, name
        assert all(declared.column(column) or declared.is_open(column) for column in table.columns), name
    own = {column for name, table in tables.items() for column in table.columns if TABLES[name].is_open(column)}
    shoppers = {"feature_age_band", "feature_locale", "feature_member"}
    assert own == shoppers | {"feature_prior", "context_device", "context_local_hour"}


def test_sizes_are_those_asked_for(tiny):
    _, tables = tiny
    assert [len(tables[name]) for name in ("shoppers", "campaigns", "creatives", "events", "impressions")] == [
        400,
        2,
        24,
        800,
        6000,
    ]
    assert tables["impressions"]["timestamp"].is_monotonic_increasing
    assert set(tables["campaigns"]["locale"]) == {"en", "zh-CN"}
    assert 0 < (~tables["shoppers"]["consent"]).mean() < 0.15


def test_equal_arguments_give_equal_tables(tiny, photos):
    config, tables = tiny
    again = simulate(config, load_scenario("baseline"), photos)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, again[name])
    other = simulate(config.model_copy(update={"seed": 1}), load_scenario("baseline"), photos)
    assert not other["impressions"]["creative_id"].equals(tables["impressions"]["creative_id"])


def test_a_day_does_not_depend_on_how_many_follow(photos):
    scenario = load_scenario("baseline")
    logs = []
    for days in (2, 4):
        config = SimulatorConfig(**{**TINY, "impressions": 500 * days, "events": 100 * days}, days=days)
        logs.append(simulate_log(open_market(config, scenario, photos)))
    for short, long in zip(*logs, strict=True):
        pd.testing.assert_frame_equal(short, long.head(len(short)))


@pytest.mark.parametrize("scenario_id", ["baseline", "fatigue", "drift"])
def test_truth_is_the_click_rate_of_a_policy_that_really_runs(scenario_id, photos, tmp_path):
    """Another policy chooses; its clicks per impression meet the truth of what it showed within 4 standard errors."""
    path = tmp_path / "own.yaml"
    annoying = "feedback: {hide: 0.05, report: 0.01, element: template, annoying: badge, annoyance: 4.0}"
    path.write_text(f"extends: {scenario_id}\nid: own\nclick_rate: 0.2\n{annoying}\n", encoding="utf-8")
    config = SimulatorConfig(scenario=str(path), **{**TINY, "impressions": 30_000}, days=10)
    market = open_market(config, load_scenario(str(path)), photos)

    def favourite(requests, shortlist):  # nearly greedy on the shop's score: much repetition, unlike the logging
        score = np.where(shortlist >= 0, market.policy.prior[shortlist], -np.inf)
        best = score == score.max(axis=1, keepdims=True)
        return 0.02 / shortlist.shape[1] + 0.98 * best / best.sum(axis=1, keepdims=True)

    shown, days = NO_EXPOSURES, []
    for day in range(config.days):
        days.append(simulate_ads(market, day, shown, favourite, "favourite"))
        shown = shown.extended_by(days[-1].shown)
    log = pd.concat([ads.impressions for ads in days], ignore_index=True)
    tables = {
        "creatives": market.catalogue.creatives,
        "products": market.catalogue.products,
        "images": market.images,
        "impressions": log,
    }
    chance = truth(config, tables)(log[["impression_id", "creative_id"]])
    gap = log["click"].mean() - chance.mean()
    assert abs(gap) < 4 * np.sqrt((chance * (1 - chance)).mean() / len(log))
    # and it ranks: clicked rows had higher chances, by many standard errors
    clicked = log["click"].to_numpy() == 1
    assert chance[clicked].mean() > chance[~clicked].mean() + 5 * chance.std() / np.sqrt(clicked.sum())
    # and so does the truth of ill feedback, for the annoying template and for the others
    ill_chance = ill_feedback_truth(config, tables)(log[["impression_id", "creative_id"]])
    ill = log["feedback"].isin(["hide", "report"]).to_numpy()
    templates = market.catalogue.creatives.set_index("creative_id")["template"]
    annoys = (log["creative_id"].map(templates) == "badge").to_numpy()
    for rows in (annoys, ~annoys):
        gap = ill[rows].mean() - ill_chance[rows].mean()
        assert abs(gap) < 4 * np.sqrt((ill_chance[rows] * (1 - ill_chance[rows])).mean() / rows.sum())
    assert ill_chance[annoys].mean() > 3 * ill_chance[~annoys].mean()


def test_null_truth_depends_on_no_creative(photos):
    config = SimulatorConfig(scenario="null", **TINY, days=6)
    tables = simulate(config, load_scenario("null"), photos)
    pairs = tables["candidates"][["impression_id", "creative_id"]]
    chance = pd.Series(truth(config, tables)(pairs)).groupby(pairs["impression_id"]).agg(["min", "max"])
    np.testing.assert_array_equal(chance["min"], chance["max"])


def test_a_generated_creative_is_judged_by_its_picture(tiny, photos):
    config, tables = tiny
    like = tables["creatives"].iloc[[0]]
    pictures = {"good": photos.pictures[photos.ids.index(like["image_id"].iloc[0])]}
    pictures["noise"] = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    pictures["large"] = np.kron(pictures["good"], np.ones((3, 3), np.uint8))
    new = pd.concat([like.assign(creative_id=f"new-{k}", image_id=f"gen-{k}", origin="wgan-1") for k in pictures])
    drawn = pd.DataFrame(
        {"image_id": [f"gen-{k}" for k in pictures], "image": [encode_png(p) for p in pictures.values()]}
    ).astype({"image_id": "str"})
    extended = {
        **tables,
        "creatives": pd.concat([tables["creatives"], new], ignore_index=True),
        "images": pd.concat([tables["images"], drawn], ignore_index=True),
    }
    of_campaign = tables["impressions"].query("campaign == 'c00'")["impression_id"].head(200)
    judge, chance = truth(config, extended), {}
    for creative in ("cr00000", "new-good", "new-large", "new-noise"):
        pairs = pd.DataFrame({"impression_id": of_campaign, "creative_id": creative})
        chance[creative] = judge(pairs)
    np.testing.assert_allclose(chance["new-good"], chance["cr00000"], rtol=1e-12)
    np.testing.assert_allclose(chance["new-large"], chance["cr00000"], rtol=1e-9)
    people = chance["new-good"] != load_scenario("baseline").bots.click_rate
    assert (chance["new-noise"][people] < 0.7 * chance["new-good"][people]).all()


def test_strangers_are_named(tiny):
    config, tables = tiny
    judge = truth(config, tables)
    pair = pd.DataFrame({"impression_id": ["i000-000000"], "creative_id": ["cr99999"]}, dtype="str")
    with pytest.raises(UserError, match="creative_id 'cr99999'"):
        judge(pair)
    with pytest.raises(UserError, match="shopper_id"):
        truth(config.model_copy(update={"shoppers": 10}), tables)


def test_conversions_are_final_only_after_their_window(photos):
    config = SimulatorConfig(**TINY, days=12)
    market = open_market(config, load_scenario("clickbait"), photos)
    log, _ = simulate_log(market)
    settled = mask_open_conversions(log, ends_at(config), 7)
    late = settled["timestamp"] > ends_at(config) - pd.Timedelta(days=7)
    clicked = settled["click"] == 1
    assert settled.loc[clicked & late, "conversion"].isna().all()
    assert settled.loc[clicked & late, ["revenue", "conversion_timestamp"]].isna().all(axis=None)
    assert settled.loc[clicked & ~late, "conversion"].notna().all()
    assert settled.loc[~clicked, "conversion"].eq(0).all()
    assert not (settled["conversion_timestamp"] > ends_at(config)).any()


@pytest.mark.parametrize("size", [{"shoppers": 1}, {"campaigns": 1}, {"creatives_per_campaign": 1}, {"impressions": 1}])
def test_the_smallest_sizes_work(size, photos):
    config = SimulatorConfig(**{**TINY, "impressions": 60, "events": 20, **size}, days=3)
    tables = simulate(config, load_scenario("cold-start"), photos)
    assert len(tables["impressions"]) == config.impressions
    assert tables["candidates"].groupby("impression_id")["propensity"].sum().round(9).eq(1).all()


@pytest.mark.parametrize("reward", ["click", "conversion", "revenue"])
def test_the_truth_of_a_reward_is_what_the_log_earns_on_average(reward, photos):
    """Of what was logged, as the law drew it: the sum within four standard errors of what it says."""
    config = SimulatorConfig(**{**TINY, "impressions": 40_000, "shoppers": 2000}, days=6)
    market = open_market(config, load_scenario("clickbait"), photos)
    tables = simulate(config, load_scenario("clickbait"), photos)
    log, _ = simulate_log(market)  # every conversion already known
    config = config.model_copy(update={"scenario": "clickbait"})
    earned = log[reward].to_numpy(dtype=float)
    window = load_scenario("clickbait").conversion.window_days
    mean = reward_truth(config, tables, reward, window)(log[["impression_id", "creative_id"]])
    error = np.sqrt(len(earned) * earned.var())
    assert abs((earned - mean).sum()) < 4 * error and mean.sum() > 4 * error
    if reward == "click":
        np.testing.assert_array_equal(mean, truth(config, tables)(log[["impression_id", "creative_id"]]))
        assert reward_truth(config, tables, reward, 1) is not None
    else:
        assert reward_truth(config, tables, reward, window - 1) is None, "the law knows its own window alone"
    assert reward_truth(config, tables, "likes", window) is None

"""Each effect named in the design is visible in data drawn from the law, and `null` shows none.

For a row i with candidates a and logged propensities pi, and any score s(i, a),

    d_i = s(i, shown) - sum_a pi(a | x_i) s(i, a),      z = sum_i click_i d_i / sqrt(sum_i click_i d_i^2)

has mean 0 and variance 1 if clicks do not depend on what is shown, whatever the policy and however shoppers differ.
`null` must stay within |z| < 4 in each of ten tests (error probability 10 x 6e-5); an effect must give z > 3 (it
expects 5 or more, so a miss has probability below 3 % each; the seed is fixed, so a pass stays a pass).
"""

import numpy as np
import pytest

from components.simulator import vocabulary as words
from components.simulator.click_law import annoyance_factor, exposures_before, personal, quality
from components.simulator.scenario import LEVELS, Bots, ColdStart, Feedback

EFFECTS = (
    "quality",
    "taste_category",
    "taste_brand",
    "taste_price",
    "taste_look",
    "segment_template",
    "segment_headline",
    "palette_hour",
)


def z_of(log, score, outcome=None):
    """z as above; `outcome` [n] stands for the clicks where it is given."""
    happened = log.click if outcome is None else outcome
    mean = np.bincount(log.row, log.propensity * score, minlength=len(log.click))
    value = np.empty(len(log.click))
    value[log.row[log.shown]] = score[log.shown]
    contribution = happened * (value - mean)
    return contribution.sum() / np.sqrt((contribution**2).sum())


def score_of(effect, log, epoch=0):
    likes, traits = log.market.law.preferences[epoch], log.market.traits
    shopper = log.shopper[log.row]
    if effect == "quality":
        return quality(likes, traits)[log.option]
    if effect.startswith("taste_"):
        only = {name: float(name == effect) for name in EFFECTS if name.startswith("taste_")}
        effects = log.market.law.scenario.effects.model_copy(update=only)
        return personal(effects, likes, traits, shopper, log.option)
    segment = log.market.law.shoppers.segment[shopper]
    if effect == "segment_template":
        return likes.segment_template[segment, traits.template[log.option]]
    if effect == "segment_headline":
        return likes.segment_headline[segment, traits.headline[log.option]]
    return likes.palette_hour[traits.palette[log.option], log.column("context_local_hour")[log.row] // 6]


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_shows_in_baseline_and_not_in_null(effect, bright):
    z = {name: z_of(bright(name), score_of(effect, bright(name))) for name in ("baseline", "null")}
    assert z["baseline"] > 3, z
    assert abs(z["null"]) < 4, z


@pytest.mark.parametrize(("scenario", "seen"), [("fatigue", True), ("null", False)])
def test_repeated_exposure_tires(scenario, seen, bright):
    log = bright(scenario)
    moment = log.impressions["timestamp"].astype("int64").to_numpy() // 1000
    subject = log.market.traits.subject
    shown = log.shopper, subject[log.creative], moment
    before = exposures_before(shown, (log.shopper[log.row], subject[log.option], moment[log.row]), 7)
    z = z_of(log, -np.log2(1.0 + before))
    assert z > 3 if seen else abs(z) < 4, z


@pytest.mark.parametrize(("scenario", "seen"), [("clickbait", True), ("null", False)])
def test_clickbait_wins_clicks(scenario, seen, bright):
    log = bright(scenario)
    z = z_of(log, (log.market.traits.headline[log.option] == words.CLICKBAIT).astype(float))
    assert z > 3 if seen else abs(z) < 4, z


@pytest.mark.parametrize(("scenario", "loses"), [("clickbait", True), ("null", False)])
def test_clickbait_loses_sales_after_the_click(scenario, loses, bright):
    log = bright(scenario)
    clicked = (log.click == 1) & log.of_person
    bait = log.market.traits.headline[log.creative][clicked] == words.CLICKBAIT
    sold = log.impressions["conversion"].to_numpy(float)[clicked]
    spread = np.sqrt(sold.mean() * (1 - sold.mean()) * (1 / bait.sum() + 1 / (~bait).sum()))
    z = (sold[~bait].mean() - sold[bait].mean()) / spread
    assert z > 3 if loses else abs(z) < 4, z


LOUD = Feedback(like=0.3, hide=0.03, report=0.01, element="headline", annoying="clickbait", annoyance=3.0)


def said(log, *kinds):
    return np.isin(log.column("feedback").astype(object), kinds)


@pytest.mark.parametrize(("scenario", "seen"), [("baseline", True), ("null", False)])
def test_an_annoying_style_is_hidden_and_reported_more(scenario, seen, bright):
    feedback = LOUD.model_copy(update={"annoyance": 3.0 if seen else 1.0})
    log = bright(scenario, feedback=feedback)
    annoys = (log.market.traits.headline[log.option] == words.CLICKBAIT).astype(float)
    for kind in ("hide", "report"):
        z = z_of(log, annoys, outcome=said(log, kind))
        assert z > 3 if seen else abs(z) < 4, (kind, z)


@pytest.mark.parametrize("element", LEVELS)
def test_the_named_level_multiplies_ill_feedback_by_the_named_factor(element, bright):
    """Among unclicked rows the rate of an annoying creative over that of another is the factor, and the mean over
    creatives is the stated one; both within 4 standard errors (6e-5 each)."""
    level = LEVELS[element][1]
    log = bright("baseline", feedback=LOUD.model_copy(update={"element": element, "annoying": level}))
    asked = (log.click == 0) & log.of_person
    annoys = getattr(log.market.traits, element)[log.creative][asked] == LEVELS[element].index(level)
    ill = said(log, "hide", "report")[asked]
    rate, other = ill[annoys].mean(), ill[~annoys].mean()
    error = np.sqrt((1 - rate) / ill[annoys].sum() + (1 - other) / ill[~annoys].sum())
    assert abs(np.log(rate / other) - np.log(3.0)) < 4 * error
    reports = said(log, "report")[asked].sum()
    assert abs(reports - ill.sum() / 4) < 4 * np.sqrt(ill.sum() * 0.25 * 0.75)  # 0.01 of 0.03 + 0.01
    share = annoys.mean()
    due = 0.04 * (1 + 2 * share) / (1 + 2 / len(LEVELS[element]))
    assert abs(ill.mean() - due) < 4 * np.sqrt(due / len(ill))


def test_annoyance_averages_to_one_over_uniformly_shown_levels(bright):
    traits = bright("baseline").market.traits
    factor = annoyance_factor(LOUD, traits)
    by_level = [factor[traits.headline == level].mean() for level in range(len(words.HEADLINE_STYLES))]
    assert np.mean(by_level) == pytest.approx(1.0)
    assert max(by_level) == pytest.approx(3 * min(by_level))


def test_clicked_ads_are_liked_and_never_hidden_and_bots_answer_nothing(bright):
    log = bright("baseline", impressions=20_000, feedback=LOUD, bots=Bots(share=0.2, traffic=4.0, click_rate=0.08))
    clicked, liked = (log.click == 1) & log.of_person, said(log, "like")
    assert not said(log, "hide", "report")[log.click == 1].any()
    assert not liked[log.click == 0].any()
    assert abs(liked.sum() - 0.3 * clicked.sum()) < 4 * np.sqrt(clicked.sum() * 0.3 * 0.7)
    assert log.impressions["feedback"][~log.of_person].isna().all()


@pytest.mark.parametrize("position", [2, 3])
def test_lower_positions_are_examined_less(position, bright):
    log = bright("null")
    at = [log.of_person & (log.column("position") == k) for k in (1, position)]
    rate = [log.click[rows].mean() for rows in at]
    error = np.sqrt(sum((1 - r) / (r * rows.sum()) for r, rows in zip(rate, at, strict=True)))
    # Readers of longer pages are nobody special, so the ratio is examination itself; |z| < 4: error 6e-5.
    assert abs(np.log(rate[1] / rate[0]) + 0.5 * np.log(position)) < 4 * error


def test_bots_click_at_their_own_rate_and_never_buy(bright):
    log = bright("baseline", impressions=20_000, bots=Bots(share=0.2, traffic=4.0, click_rate=0.08))
    bots = ~log.of_person
    n = bots.sum()
    assert bots.mean() > 0.3  # a fifth of the shoppers with four times the traffic
    assert abs(log.click[bots].sum() - 0.08 * n) < 4 * np.sqrt(n * 0.08 * 0.92)
    assert not log.impressions["conversion"][bots].any()


def test_sales_come_later_and_within_the_window(bright):
    log = bright("baseline").impressions
    sold = log[log["conversion"] == 1]
    delay = (sold["conversion_timestamp"] - sold["timestamp"]).dt.total_seconds().to_numpy() / 86_400
    assert (delay > 0).all()
    assert (delay <= 7).all()
    expected = 1.5 * (1 - np.exp(-7 / 1.5))  # mean of an exponential cut at seven days
    assert abs(delay.mean() - expected) < 4 * delay.std() / np.sqrt(len(delay))
    assert log.loc[log["click"] == 0, "conversion"].eq(0).all()
    assert sold["revenue"].gt(0).all()


def test_campaigns_pay_by_their_billing(bright):
    log = bright("baseline")
    terms = log.market.catalogue.campaigns.set_index("campaign").loc[log.column("campaign")]
    per_view, bid = (terms["billing"] == "cpm").to_numpy(), terms["bid"].to_numpy()
    assert 0 < per_view.mean() < 1
    np.testing.assert_allclose(log.column("cost"), np.where(per_view, bid / 1000, bid * log.click), atol=1e-6)


def test_tastes_turn_under_drift(bright):
    """In its second week `drift` follows the preferences of epoch 1, which baseline never does."""
    z = {}
    for scenario in ("drift", "baseline"):
        log = bright(scenario)
        late = (log.impressions["timestamp"].dt.day >= 12).to_numpy()[log.row]
        score = score_of("taste_category", log, epoch=1) + score_of("quality", log, epoch=1)
        z[scenario] = z_of(log, score * late)
    assert z["drift"] > 3, z
    assert abs(z["baseline"]) < 4, z


def test_cold_start_brings_new_creatives_and_shoppers_late(bright):
    start = ColdStart(creatives=0.5, shoppers=0.33, from_day=9)
    log = bright("cold-start", impressions=20_000, cold_start=start)
    day = (log.impressions["timestamp"] - log.impressions["timestamp"].min().normalize()).dt.days.to_numpy()
    new = log.market.catalogue.creatives["active_from"].notna().to_numpy()
    newcomer = log.market.law.shoppers.first_day > 0
    assert new.mean() == 0.5
    assert not new[log.creative[day < 9]].any()
    assert not newcomer[log.shopper[day < 9]].any()
    assert new[log.creative[day >= 9]].mean() > 0.3
    assert newcomer[log.shopper[day >= 9]].mean() > 0.2


def test_confounded_logging_follows_what_also_moves_clicks(bright):
    """Age decides what is shown and how readily shoppers click, so that click rates per template mislead."""
    log = bright("confounded", impressions=20_000)
    age = log.market.law.shoppers.age_band[log.shopper]
    template = log.market.traits.template[log.creative]
    shown = np.array([np.bincount(template[age == band], minlength=5) / (age == band).sum() for band in range(5)])
    assert np.abs(shown - shown.mean(axis=0)).max() > 0.1
    assert log.click[age == 0].mean() > 1.3 * log.click[age == 4].mean()


def test_low_overlap_has_rare_propensities(bright):
    low, base = bright("low-overlap", impressions=5000).propensity, bright("baseline").propensity
    assert np.quantile(low, 0.25) < 0.01 < np.quantile(base, 0.01)
    assert low.min() > 0

"""Rewards: what each impression earned, when that is final, and that nothing outside the range gets into a bound."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.card import DatasetCard
from components.contract.schema import TABLES
from components.evaluation.held_out import HeldOut, rewards_not_final, sampled_unevenly, with_final_reward
from components.evaluation.judging import JudgingTables, judge
from components.evaluation.log_checks.traffic import traffic_of
from components.evaluation.logged_decisions import logged_decisions
from components.evaluation.rewards import REWARDS, logged_rewards, reward_of
from components.evaluation.split_by_policy import pooled_log, split_logs
from components.registry.experiment_plan import impressions_per_arm, plan_experiment
from components.settings.errors import UserError
from components.settings.sections import EvaluationConfig
from tests.components.evaluation.logs import known_log
from tests.components.evaluation.test_assess import QUICK
from tests.components.evaluation.test_judging import tables_of

START = pd.Timestamp("2026-01-01", tz="UTC")
CARD = DatasetCard(
    name="shop",
    source="a test",
    licence="none",
    real=("impressions",),
    simulated=(),
    currency="EUR",
    conversion_window_days=7,
    ends_at=START + pd.Timedelta(days=10),
)
REVENUE = reward_of(EvaluationConfig(reward="revenue", reward_high=100.0), "EUR")


def log_of(days, click, conversion, revenue) -> pd.DataFrame:
    """Impressions at these days after START."""
    return pd.DataFrame(
        {
            "impression_id": [f"i{number}" for number in range(len(days))],
            "shopper_id": [f"s{number}" for number in range(len(days))],
            "timestamp": START + pd.to_timedelta(days, unit="D"),
            "click": click,
            "conversion": pd.array(conversion, dtype="Int64"),
            "revenue": np.array(revenue, dtype=float),
        }
    )


# by hand: on day 3.0 the window of 7 days ends with the log on day 10; i3 and i4 are later
TINY = log_of([0, 1, 3, 3.5, 9], [1, 1, 0, 0, 1], [1, 0, 0, 0, None], [30.0, None, None, None, None])


@pytest.mark.parametrize("reward", REWARDS.values(), ids=list(REWARDS))
def test_each_reward_of_the_registry_is_a_column_of_the_contract_with_a_range_and_a_unit(reward):
    assert reward.column in {column.name for column in TABLES["impressions"].columns}
    high = 100.0 if reward.high is None else None
    stated = reward_of(EvaluationConfig(reward=reward.name, reward_high=high), "EUR")
    assert stated.low < stated.high and stated.unit
    earned = logged_rewards(stated, TINY, CARD)
    assert earned.dtype == np.float64 and earned.shape == (5,)
    assert np.isnan(earned).tolist() == [False, False, False, reward.delayed, reward.delayed]


def test_the_sums_of_a_tiny_log_by_hand():
    assert logged_rewards(REWARDS["click"], TINY, CARD).tolist() == [1, 1, 0, 0, 1]
    assert np.nansum(logged_rewards(REWARDS["conversion"], TINY, CARD)) == 1
    assert logged_rewards(REVENUE, TINY, CARD)[:3].tolist() == [30, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.booleans()), min_size=1, max_size=30), st.integers(0, 9))
def test_whether_a_reward_is_final_depends_on_its_time_alone(rows, window):
    """What was clicked or bought must not decide which rows count."""
    days, click, bought = (np.array(column) for column in zip(*rows, strict=True))
    over = START + pd.to_timedelta(days, unit="D") + pd.Timedelta(days=window) <= pd.Timestamp(CARD.ends_at)
    conversion = [int(b) if done else None for b, done in zip(click & bought, over | ~click, strict=True)]
    conversion = [0 if not clicked else known for clicked, known in zip(click, conversion, strict=True)]
    table = log_of(days, click.astype(int), conversion, np.where(click & bought & over, 20.0, np.nan))
    table.loc[len(table)] = ["known", "s", START - pd.Timedelta(days=30), 1, 1, 20.0]  # not null throughout
    card = CARD.model_copy(update={"conversion_window_days": window})
    for reward, value in ((REWARDS["conversion"], 1.0), (REVENUE, 20.0)):
        earned = logged_rewards(reward, table, card)[:-1]
        assert (~np.isnan(earned) == over).all()
        assert np.nansum(earned) == value * (click & bought & over).sum()


@pytest.mark.parametrize(
    ("revenue", "words"),
    [
        (120.0, r"column revenue: 120.0 of impression i0 .* is above 100 EUR: set evaluation.reward_high"),
        (-5.0, r"column revenue: -5.0 of impression i0 .* is below 0: leave refunds out"),
        (np.nan, r"column revenue: nan of impression i0 .* is null although the conversion window has passed"),
    ],
)
def test_a_reward_that_would_void_the_bound_is_refused(revenue, words):
    with pytest.raises(UserError, match=words):
        logged_rewards(REVENUE, log_of([0, 1], [1, 1], [1, 1], [revenue, 10.0]), CARD)


def test_no_log_takes_a_reward_outside_its_range():
    impressions = pd.DataFrame({"impression_id": ["1"], "shopper_id": ["s"], "creative_id": ["a"]})
    impressions = impressions.assign(timestamp=START, propensity=0.5)
    pairs, creatives = pd.DataFrame({"creative_id": ["a", "b"]}), pd.DataFrame({"creative_id": ["a", "b"]})
    with pytest.raises(UserError, match=r"the reward 12 of impression 1 is outside the range \[0, 1\]"):
        logged_decisions(impressions, pairs, np.array([0, 2]), creatives, np.array([12.0]))


@pytest.mark.parametrize("column", ["conversion", "revenue"])
def test_a_data_set_without_the_column_is_told_so(column):
    reward = REVENUE if column == "revenue" else REWARDS["conversion"]
    for table in (TINY.drop(columns=column), TINY.assign(**{column: np.nan})):
        with pytest.raises(UserError, match=rf"evaluation.reward {column} needs the column {column} .* shop does not"):
            logged_rewards(reward, table, CARD)


@pytest.mark.parametrize("kept", [None, [1.0] * 4, [0.1, 0.1, 0.1, 0.1], [None, 1.0, None, 1.0]], ids=str)
def test_a_log_that_kept_all_rows_alike_is_no_finding(kept):
    rows, *_ = held(np.arange(4.0))
    impressions = rows.impressions if kept is None else rows.impressions.assign(keep_probability=kept)
    assert sampled_unevenly(replace(rows, impressions=impressions.astype({"reward": float}))) == ()


def test_a_log_that_kept_clicks_and_a_tenth_of_the_rest_is_critical():
    rows, *_ = held(np.arange(4.0))
    kept = pd.Series([None, 0.1, 0.1, 0.1], dtype=float)
    (finding,) = sampled_unevenly(replace(rows, impressions=rows.impressions.assign(keep_probability=kept)))
    assert (finding.kind, finding.severity, finding.share) == ("sampled_unevenly", "critical", 0.75)
    assert "kept between 0.1 and 1 of the rows (keep_probability of impressions)" in finding.message


@pytest.mark.parametrize(
    ("given_settings", "words"),
    [
        ({"reward": "likes"}, "no reward is called 'likes'; there are click, conversion, revenue"),
        ({"reward": "revenue"}, "revenue needs evaluation.reward_high: the most EUR"),
        ({"reward": "click", "reward_high": 5.0}, "evaluation.reward_high 5: a click is at most 1"),
    ],
)
def test_settings_that_do_not_go_together_are_one_sentence(given_settings, words):
    with pytest.raises(UserError, match=words):
        reward_of(EvaluationConfig(**given_settings), "EUR")


def held(reward) -> tuple[HeldOut, dict[str, pd.DataFrame], object]:
    """Rows of a known log that earned `reward` float64 [n]; NaN: not final."""
    known = known_log(5, n=len(reward))
    rows, tables = tables_of(known, np.full(len(reward), "one"))
    return replace(rows, impressions=rows.impressions.assign(reward=reward), click_rate=0.05, prior=2.5), tables, known


def test_rows_that_are_not_final_are_left_out_and_counted():
    reward = np.arange(600) % 7 * 1.0
    reward[500:] = np.nan
    rows, _, _ = held(reward)
    (finding,) = rewards_not_final(rows)
    assert (finding.kind, finding.severity) == ("rewards_not_final", "notice")
    assert finding.message.startswith("100 impressions (16.7%) are left out")
    assert with_final_reward(rows).impressions["reward"].tolist() == reward[:500].tolist()
    assert rewards_not_final(with_final_reward(rows)) == () and with_final_reward(with_final_reward(rows)).pairs.equals(
        with_final_reward(rows).pairs
    )


def test_the_logs_carry_the_chosen_reward_and_its_range_and_models_keep_their_own_prior():
    rows, tables, known = held(np.arange(600) % 7 * 10.0)
    refused = rows.impressions.assign(consent=np.arange(600) > 9)
    rows = replace(rows, impressions=refused)
    (part,) = split_logs(rows, tables["creatives"], known.target, REVENUE)
    for log in (part.log, pooled_log(rows, tables["creatives"], REVENUE)):
        assert log.reward_range == (0.0, 100.0) and log.unit == "EUR"
        assert log.reward.sum() == rows.impressions["reward"].sum()
        assert log.prior == 2.5, "in reward units, for the rows that teach nothing"
        assert (log.score[: rows.offsets[10]] == 0.05).all(), "a score is a P(click), whatever the reward"
    gains = part.values(np.full(len(part.log.action), 4.0))
    assert gains == pytest.approx({"target": 4.0, "baseline": 4.0, "lift": 0.0})


def test_where_too_few_rewards_are_final_evaluation_abstains_and_says_why():
    known = known_log(5, n=6000)
    rows, tables = tables_of(known, np.full(6000, "one"))
    reward = np.where(np.arange(6000) < 100, 40.0 * known.log.reward, np.nan)
    rows = replace(rows, impressions=rows.impressions.assign(reward=reward))
    lost = pd.DataFrame({"creative_id": [], "logging_policy": []})
    more = JudgingTables(REVENUE, tables["creatives"], tables["creatives"], lost, rewards_not_final(rows))
    left = with_final_reward(rows)
    pairs = left.offsets[-1]
    judgement = judge(left, known.target[:pairs], np.zeros(100), QUICK, more)
    evaluation = judgement.assessments["one"].evaluation
    assert evaluation.verdict == "abstain"
    assert (
        "notice: 5,900 impressions (98.3%) are left out because their rewards are not final yet" in evaluation.reasons
    )


def test_the_bound_of_a_reward_scales_with_it():
    """Clicks that pay 20 EUR each are the same log in another unit: so is everything that is said of it."""
    known = known_log(5, n=6000)
    bounds, carried = [], []
    for factor, reward in ((1.0, REWARDS["click"]), (20.0, replace(REVENUE, high=20.0))):
        rows, tables = tables_of(known, np.full(6000, "one"))
        rows = replace(rows, impressions=rows.impressions.assign(reward=factor * known.log.reward))
        lost = pd.DataFrame({"creative_id": [], "logging_policy": []})
        more = JudgingTables(reward, tables["creatives"], tables["creatives"], lost)
        judgement = judge(rows, known.target, np.zeros(6000), QUICK, more)
        bounds.append(judgement.gate.lower_bound(0.025) / factor)
        carried.append(judgement.assessments["one"])
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-6)
    assert carried[1].traffic.mean_reward == pytest.approx(20 * carried[0].traffic.mean_reward)
    assert carried[0].traffic.mean_square == 1.0 and carried[1].traffic.mean_square == pytest.approx(20.0)
    assert carried[1].traffic.design_effect == pytest.approx(carried[0].traffic.design_effect)
    records = [
        {"guards": {"guard_bound": 0.1, "segment_bound": 0.0}, "logs": [assessment.to_dict()]} for assessment in carried
    ]
    for record in records:
        record["logs"][0]["evaluation"]["lift"] = {"value": 0.01 * (20 if record is records[1] else 1), "ci_low": -1.0}
    clicks, euros = (
        plan_experiment("c", None, record, reward, 7)
        for record, reward in zip(records, (REWARDS["click"], REVENUE), strict=True)
    )
    assert clicks.planned == pytest.approx(euros.planned) or clicks.planned == euros.planned
    assert (clicks.unit, euros.unit) == ("clicks", "EUR")


def test_the_size_of_a_test_on_money_sees_the_lift_as_often_as_promised():
    """Every twentieth impression pays 5 to 95 EUR; the treatment has a tenth more such impressions."""
    generator = np.random.default_rng(0)
    sizes = generator.uniform(5, 95, 200_000)
    mean, square = 0.05 * sizes.mean(), 0.05 * (sizes**2).mean()
    n = impressions_per_arm(mean, 0.1, 1.0, square / mean)
    z = []
    for _ in range(400):
        arms = [np.where(generator.random(n) < p, generator.choice(sizes, n), 0.0) for p in (0.05, 0.055)]
        error = np.sqrt(sum(arm.var() / n for arm in arms))
        z.append((arms[1].mean() - arms[0].mean()) / error)
    assert (np.array(z) > 1.96).mean() == pytest.approx(0.8, abs=0.07)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=50))
def test_traffic_of_clicks_is_what_a_share_says(clicks):
    reward = np.array(clicks)
    at = START + pd.to_timedelta(np.arange(len(clicks)), unit="h")
    traffic = traffic_of(pd.DataFrame({"shopper_id": [str(n) for n in range(len(clicks))], "timestamp": at}), reward)
    assert traffic.mean_reward == reward.mean() and traffic.mean_square == 1.0
    assert traffic.design_effect == pytest.approx(1.0), "nobody comes twice"

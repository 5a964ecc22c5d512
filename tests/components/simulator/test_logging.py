import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.simulator import vocabulary as words
from components.simulator.click_law import exposures_before
from components.simulator.logging_policy import MILLION, draw_column, draw_shortlists, whole_millionths


def test_creatives_are_shown_as_often_as_their_propensities_say(bright):
    """Chi-square over ten bins of propensity and over the places of the shortlist; each wrong with probability 1e-4."""
    log = bright("baseline")
    place = np.arange(len(log.row)) % 10
    edges = np.quantile(log.propensity, np.linspace(0, 1, 11)[1:-1])
    for group in (np.searchsorted(edges, log.propensity), place):
        surplus = np.bincount(group, log.shown - log.propensity)
        # Rows of one impression repel each other, so independent variances overstate: the test errs to the safe side.
        variance = np.bincount(group, log.propensity * (1 - log.propensity))
        assert (surplus**2 / variance).sum() < stats.chi2.ppf(1 - 1e-4, 10)


def test_too_much_of_one_creative_would_be_noticed(bright):
    log = bright("baseline")
    wrong = np.where(log.option % 2 == 0, log.propensity * 1.05, log.propensity)
    even = log.option % 2 == 0
    surplus = (log.shown[even] - wrong[even]).sum()
    assert surplus**2 / (wrong[even] * (1 - wrong[even])).sum() > stats.chi2.ppf(1 - 1e-4, 1)


def test_propensities_sum_to_one_and_match_the_impressions(bright):
    log = bright("baseline")
    np.testing.assert_allclose(np.bincount(log.row, log.propensity), 1, atol=1e-12)
    np.testing.assert_array_equal(log.propensity[log.shown], log.column("propensity"))
    assert log.shown.sum() == len(log.click)


def test_the_logging_policy_follows_from_logged_columns_alone(bright):
    """Recomputed from `creatives`, `shoppers`, `impressions` and the shop's rules, to the last written millionth."""
    log = bright("confounded", impressions=20_000)
    things, policy = log.market.catalogue, log.market.policy
    prior = things.creatives["feature_prior"].to_numpy()[log.option]
    template = things.creatives["template"].map(words.TEMPLATES.index).to_numpy()[log.option]
    age = things.shoppers["feature_age_band"].map(words.AGE_BANDS.index).to_numpy()[log.shopper][log.row]
    device = log.impressions["context_device"].map(words.DEVICES.index).to_numpy()[log.row]
    settings_ = log.market.law.scenario.logging
    rules = (policy.age_rule[age, template] + policy.device_rule[device, template]) / np.sqrt(2)
    weight = np.exp(settings_.prior * prior + settings_.context * rules)
    softmax = weight / np.bincount(log.row, weight)[log.row]
    expected = settings_.exploration / np.bincount(log.row)[log.row] + (1 - settings_.exploration) * softmax
    np.testing.assert_allclose(log.propensity, expected, atol=1.1e-5)  # the largest also takes nine roundings


def test_shortlists_are_uniform_draws_of_active_creatives():
    rng = np.random.default_rng(0)
    active = [np.array([3, 4, 5, 6, 7]), np.array([9])]
    shortlist = draw_shortlists(np.repeat([0, 1], [20_000, 5]), active, 3, rng)
    first = shortlist[:20_000]
    assert (np.diff(np.sort(first, axis=1), axis=1) > 0).all()  # without replacement
    counts = np.bincount(first.ravel())[3:]
    assert stats.chisquare(counts).pvalue > 1e-4
    np.testing.assert_array_equal(shortlist[20_000:], [[9, -1, -1]] * 5)


@given(st.lists(st.floats(1e-7, 1), min_size=1, max_size=20), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_millionths_sum_to_a_million_and_forget_no_creative(weights, padding):
    chance = np.array([weights + [0.0] * padding]) / sum(weights)
    millionths = whole_millionths(chance)
    assert millionths.sum() == MILLION
    assert (millionths[chance > 0] >= 1).all()
    assert (millionths[chance == 0] == 0).all()
    np.testing.assert_allclose(millionths / MILLION, chance, atol=2.1e-5)
    assert millionths[0, draw_column(millionths, np.random.default_rng(0))[0]] > 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9 * 86_400_000)), max_size=30),
    st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_exposures_are_counted_as_by_hand(rows, window_days):
    log = tuple(np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else (np.empty(0, int),) * 3
    window = window_days * 86_400_000
    by_hand = [sum(r[:2] == row[:2] and row[2] - window <= r[2] < row[2] for r in rows) for row in rows]
    np.testing.assert_array_equal(exposures_before(log, log, window_days), by_hand)

"""One contract for every policy, then what each promises beyond it."""

import itertools

import numpy as np
import pandas as pd
import pytest

from components.policies import ChiSquare, EpsilonGreedy, Softmax, Uniform, eligible_pairs, pair_offsets
from components.policies.ragged_rows import draw, row_sums
from components.settings.errors import UserError

EVERY_POLICY = [
    ChiSquare(0.1, 0.05),
    ChiSquare(1e-3, 0.0),
    Softmax(0.1, 0.05),
    Softmax(1.0, 0.0),
    Uniform(),
    EpsilonGreedy(0.1),
    EpsilonGreedy(0.0),
]


def ragged_scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 9, 200)
    return generator.random(counts.sum()), np.concatenate([[0], np.cumsum(counts)])


@pytest.mark.parametrize("policy", EVERY_POLICY, ids=lambda policy: f"{policy.name}")
class TestEveryPolicy:
    def test_is_a_distribution_over_each_impression(self, policy):
        scores, offsets = ragged_scores(1)
        probabilities = policy.probabilities(scores, offsets)
        assert probabilities.dtype == np.float64 and probabilities.shape == scores.shape
        assert probabilities.min() >= 0
        np.testing.assert_allclose(row_sums(probabilities, offsets), 1.0, atol=1e-12)

    def test_survives_scores_at_the_edges(self, policy):
        probabilities = policy.probabilities(np.array([0.0, 1.0, 1e-300]), np.array([0, 2, 3]))
        assert np.isfinite(probabilities).all() and probabilities[2] == pytest.approx(1.0)

    def test_never_prefers_the_worse_creative(self, policy):
        scores, offsets = ragged_scores(2)
        probabilities = policy.probabilities(scores, offsets)
        for start, end in itertools.pairwise(offsets):
            assert (np.diff(probabilities[start:end][np.argsort(scores[start:end])]) >= -1e-12).all()

    def test_leaves_its_arguments_alone_and_repeats_itself(self, policy):
        scores, offsets = ragged_scores(3)
        before = scores.copy()
        first = policy.probabilities(scores, offsets)
        np.testing.assert_array_equal(first, policy.probabilities(scores, offsets))
        np.testing.assert_array_equal(before, scores)


def test_softmax_by_hand():
    scores = 1 / (1 + np.exp(-np.array([0.0, np.log(3.0) * 0.5])))
    probabilities = Softmax(temperature=0.5, exploration=0.2).probabilities(scores, np.array([0, 2]))
    np.testing.assert_allclose(probabilities, [0.8 * 0.25 + 0.1, 0.8 * 0.75 + 0.1])


def test_softmax_floor_holds_for_the_worst():
    scores, offsets = ragged_scores(4)
    probabilities = Softmax(1e-3, 0.05).probabilities(scores, offsets)
    assert (probabilities >= 0.05 / np.repeat(np.diff(offsets), np.diff(offsets)) - 1e-15).all()


def test_greedy_shares_ties():
    np.testing.assert_allclose(
        EpsilonGreedy(0.3).probabilities(np.array([0.2, 0.2, 0.1]), np.array([0, 3])), [0.45, 0.45, 0.1]
    )


def test_draw_follows_the_probabilities():
    offsets = np.arange(0, 30_001, 3)
    drawn = draw(np.tile([0.5, 0.2, 0.3], 10_000), offsets, np.random.default_rng(0)) - offsets[:-1]
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 10_000, [0.5, 0.2, 0.3], atol=0.02)


def test_an_impression_without_creatives_is_refused():
    with pytest.raises(ValueError, match="row 1"):
        Uniform().probabilities(np.ones(2), np.array([0, 2, 2]))


def impressions() -> pd.DataFrame:
    times = pd.to_datetime(["2026-01-02", "2026-01-01"], utc=True)
    return pd.DataFrame({"impression_id": ["i2", "i1"], "campaign": ["c", "c"], "timestamp": times})


def creatives() -> pd.DataFrame:
    active_from = pd.to_datetime([None, "2026-01-02"], utc=True)
    until = pd.to_datetime(["2026-01-01 23:59", None], utc=True, format="mixed")
    return pd.DataFrame(
        {"creative_id": ["a", "b"], "campaign": ["c", "c"], "active_from": active_from, "active_until": until}
    )


def test_eligible_are_the_campaigns_active_creatives():
    pairs = eligible_pairs({"creatives": creatives()}, impressions())
    assert pairs.to_dict("list") == {"impression_id": ["i2", "i1"], "creative_id": ["b", "a"]}
    np.testing.assert_array_equal(pair_offsets(pairs, impressions()), [0, 1, 2])


def test_a_creative_is_eligible_from_its_first_moment_to_its_last():
    """What validation accepts can be evaluated: of three impressions the last comes a microsecond too late."""
    times = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02 00:00:00.000001"], utc=True, format="mixed")
    rows = pd.DataFrame({"impression_id": ["i1", "i2", "i3"], "campaign": "c", "timestamp": times})
    shown = creatives().assign(active_from=times[0], active_until=[times[1], times[2]])
    pairs = eligible_pairs({"creatives": shown}, rows)
    assert pairs["impression_id"].tolist() == ["i1", "i1", "i2", "i2", "i3"]
    assert pairs["creative_id"].tolist() == ["a", "b", "a", "b", "b"]


def test_candidates_define_who_was_eligible():
    rows = {"impression_id": ["i1", "i2", "i1", "x"], "creative_id": ["a", "b", "b", "a"], "propensity": 0.5}
    pairs = eligible_pairs({"creatives": creatives(), "candidates": pd.DataFrame(rows)}, impressions())
    assert pairs["creative_id"].tolist() == ["b", "a", "b"]
    np.testing.assert_array_equal(pair_offsets(pairs, impressions()), [0, 1, 3])


def test_no_eligible_creative_names_the_impression():
    late = impressions().assign(campaign=["c", "other"])
    with pytest.raises(UserError, match="i1"):
        eligible_pairs({"creatives": creatives()}, late)


def test_softmax_leans_on_the_base_by_its_equation():
    """Two creatives of odds 1 and 2 at temperature 1, base 3:1 -> weights 3 and 2."""
    scores, offsets = np.array([1 / 2, 2 / 3]), np.array([0, 2])
    found = Softmax(temperature=1.0, exploration=0.0).probabilities(scores, offsets, np.array([0.75, 0.25]))
    assert found == pytest.approx([3 / 5, 2 / 5])
    never = Softmax(temperature=1.0, exploration=0.1).probabilities(scores, offsets, np.array([0.0, 1.0]))
    assert never == pytest.approx([0.05, 0.95])


def test_chi_square_by_hand():
    """Rewards .01 and .02 at T = 1, even base: both have w > 0 at nu = (2 - 1) / 0.75; the weights are 2 - nu / r."""
    scores, offsets = np.array([0.01, 0.02]), np.array([0, 2])
    nu = 1 / (0.5 / 0.01 + 0.5 / 0.02)
    found = ChiSquare(temperature=1.0, exploration=0.0).probabilities(scores, offsets)
    assert found == pytest.approx([(2 - nu / 0.01) / 2, (2 - nu / 0.02) / 2])
    # at T = 0.1 the worse one is out, and the better one gets all
    assert ChiSquare(0.1, 0.0).probabilities(scores, offsets) == pytest.approx([0.0, 1.0])


def test_chi_square_leans_on_the_base_and_gives_nothing_to_what_the_base_never_shows():
    scores, offsets = np.array([0.02, 0.02]), np.array([0, 2])
    assert ChiSquare(0.05, 0.0).probabilities(scores, offsets, np.array([3.0, 1.0])) == pytest.approx([0.75, 0.25])
    never = ChiSquare(0.05, 0.1).probabilities(np.array([0.01, 0.02]), offsets, np.array([1.0, 0.0]))
    assert never == pytest.approx([0.95, 0.05])


@pytest.mark.parametrize("temperature", [0.02, 0.1, 0.5])
def test_no_policy_of_the_same_reward_has_a_lift_of_smaller_variance(temperature):
    """The naive twin: a general solver of min sum base r (w - 1)^2 with the same reward, sum q = 1, q >= 0."""
    from scipy.optimize import minimize

    random = np.random.default_rng(5)
    reward, base = random.uniform(0.005, 0.05, 6), random.dirichlet(np.ones(6))
    found = ChiSquare(temperature, 0.0).probabilities(reward, np.array([0, 6]), base)

    def variance(w: np.ndarray) -> float:
        return float((base * reward * (w - 1) ** 2).sum() * 100)

    constraints = [
        {"type": "eq", "fun": lambda w: base @ w - 1},
        {"type": "eq", "fun": lambda w: 100 * ((base * reward) @ w - found @ reward)},
    ]
    solved = minimize(
        variance, np.ones(6), bounds=[(0, None)] * 6, constraints=constraints, method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    assert solved.success
    assert variance(found / base) == pytest.approx(solved.fun, rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(found, base * solved.x, atol=2e-3)

"""The confidence sequence of refits: its bound by hand, its values by hand and on average, restored exactly."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.evaluation.gate.refresh_evidence import SPAN, RefreshEvidence, refresh_values
from components.evaluation.logged_decisions import LoggedDecisions

ALPHA = 0.05
night = st.tuples(st.floats(1, 1e5), st.floats(-1e3, 1e3), st.floats(1e-3, 1e4))


def log(reward, *, propensity=(0.8, 0.25), logging=(0.8, 0.2, 0.0, 0.75, 0.25), score=(0.1, 0.2, 0.3, 0.1, 0.2)):
    """Two impressions: a of a, b, c was shown, and b of a, b."""
    return LoggedDecisions(
        impression=np.array(["i0", "i1"], dtype=object),
        offsets=np.array([0, 3, 5]),
        action=np.array([0, 1, 2, 0, 1]),
        logged=np.array([0, 4]),
        propensity=np.array(propensity),
        reward=np.array(reward, float),
        cluster=np.array([0, 1]),
        action_names=np.array(["a", "b", "c"], dtype=object),
        context=np.zeros((2, 0)),
        logging=None if logging is None else np.array(logging),
        score=None if score is None else np.array(score),
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(night, max_size=6), st.sampled_from([1.0, 0.95]))
def test_it_is_restored_exactly(nights, forgetting):
    evidence = RefreshEvidence(ALPHA, forgetting)
    for sums in nights:
        again = RefreshEvidence.from_dict(json.loads(json.dumps(evidence.to_dict())))
        assert again == evidence
        evidence = evidence.after(*sums)
        assert again.after(*sums) == evidence and again.after(*sums).lower() == evidence.lower()


def test_the_bound_by_hand():
    evidence = RefreshEvidence(ALPHA, 0.5).after(100, 3.0, 4.0).after(100, 6.0, 8.0).after(50, -1.0, 2.0)
    spread = 0.25 * 0.25 * SPAN * 4.0 / (-2 * np.log(ALPHA) + np.log(1 - 2 * np.log(ALPHA)))
    total, grown, rows = 0.5 * 6.0 - 1.0, 0.25 * 8.0 + 2.0 + spread, 0.5 * 100 + 50
    radius = np.sqrt(2 * grown * np.log(1 + np.sqrt(grown / spread) / (2 * ALPHA)))
    assert evidence.lower() == pytest.approx((total - radius) / rows)
    assert RefreshEvidence(ALPHA, 1.0).lower() == RefreshEvidence(ALPHA, 1.0).after(9, 1.0, 1.0).lower() == -np.inf


def test_a_first_night_without_any_difference_bounds_nothing():
    evidence = RefreshEvidence(ALPHA, 1.0).after(100, 0.0, 0.0).after(100, 5.0, 1.0)
    assert evidence.lower() == -np.inf


def test_the_values_by_hand():
    """Creative c cannot be shown: the refit earns nothing by it, and of the champion it counts as earning 1."""
    refit, champion = np.array([0.6, 0.2, 0.2, 0.5, 0.5]), np.array([0.5, 0.4, 0.1, 0.9, 0.1])
    first = (0.6 - 0.9 * 0.5) * 0.1 + (0.2 - 0.9 * 0.4) * 0.2 - 0.9 * 0.1
    first += (0.6 - 0.9 * 0.5) / 0.8 * (1 - 0.1)
    second = (0.5 - 0.9 * 0.9) * 0.1 + (0.5 - 0.9 * 0.1) * 0.2 + (0.5 - 0.9 * 0.1) / 0.25 * (0 - 0.2)
    values = refresh_values(log([1, 0]), refit, champion, margin=0.1)
    np.testing.assert_allclose(values, [first, second], rtol=1e-12)


def test_without_a_model_and_the_other_propensities_it_weighs_the_shown_creative():
    refit, champion = np.array([0.6, 0.2, 0.2, 0.5, 0.5]), np.array([0.5, 0.4, 0.1, 0.9, 0.1])
    values = refresh_values(log([1, 1], logging=None, score=None), refit, champion, margin=0.02)
    np.testing.assert_allclose(values, [(0.6 - 0.98 * 0.5) / 0.8, (0.5 - 0.98 * 0.1) / 0.25], rtol=1e-12)


def test_the_values_have_the_true_difference_as_their_mean_whatever_the_model_says():
    random, n = np.random.default_rng(0), 200_000
    rate, logging = np.array([0.2, 0.05, 0.1]), np.array([0.5, 0.3, 0.2])
    refit, champion = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    shown = random.choice(3, n, p=logging)
    decisions = LoggedDecisions(
        impression=np.arange(n).astype(object),
        offsets=np.arange(0, 3 * n + 1, 3),
        action=np.tile([0, 1, 2], n),
        logged=np.arange(n) * 3 + shown,
        propensity=logging[shown],
        reward=(random.random(n) < rate[shown]).astype(float),
        cluster=np.arange(n),
        action_names=np.array(["a", "b", "c"], dtype=object),
        context=np.zeros((n, 0)),
        logging=np.tile(logging, n),
        score=np.tile([0.01, 0.3, 0.2], n),
    )
    values = refresh_values(decisions, np.tile(refit, n), np.tile(champion, n), margin=0.02)
    due = refit @ rate - 0.98 * champion @ rate
    assert abs(values.mean() - due) < 4 * values.std() / np.sqrt(n)

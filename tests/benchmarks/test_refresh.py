"""The confidence sequence of refits: restored exactly, right by hand and on average, and never for a worse recipe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.refresh import (
    ALPHA,
    MARGIN,
    SPAN,
    RefreshEvidence,
    Shop,
    sequence,
    shrunken,
    softmax_policy,
    value_sums,
    worse_by,
)

night = st.tuples(st.floats(1, 1e5), st.floats(-1e3, 1e3), st.floats(1e-3, 1e4))


@settings(deadline=None, max_examples=100)
@given(st.lists(night, max_size=6), st.sampled_from([1.0, 0.95]))
def test_it_is_restored_exactly(nights, forgetting):
    evidence = RefreshEvidence(forgetting)
    for sums in nights:
        again = RefreshEvidence.from_json(evidence.to_json())
        assert again == evidence
        evidence = evidence.after(*sums)
        assert again.after(*sums) == evidence and again.after(*sums).lower() == evidence.lower()


def test_the_bound_by_hand():
    evidence = RefreshEvidence(0.5).after(100, 3.0, 4.0).after(100, 6.0, 8.0).after(50, -1.0, 2.0)
    spread = 0.25 * 0.25 * SPAN * 4.0 / (-2 * np.log(ALPHA) + np.log(1 - 2 * np.log(ALPHA)))
    total, grown, rows = 0.5 * 6.0 - 1.0, 0.25 * 8.0 + 2.0 + spread, 0.5 * 100 + 50
    radius = np.sqrt(2 * grown * np.log(1 + np.sqrt(grown / spread) / (2 * ALPHA)))
    assert evidence.lower() == pytest.approx((total - radius) / rows)
    assert RefreshEvidence(1.0).lower() == RefreshEvidence(1.0).after(9, 1.0, 1.0).lower() == -np.inf


def test_the_values_have_the_true_difference_as_their_mean():
    random = np.random.default_rng(0)
    shop = Shop.make(random)
    champion = softmax_policy(shrunken(shop.shown, shop.clicked))
    refit, wrong = worse_by(0.1)(shop, champion, 0, 60), shop.rate * 1.5
    shown, clicked = shop.log(champion, 3_000_000, random)
    rows, total, squares = value_sums(refit, champion, champion, wrong, shown, clicked)
    due = shop.value(refit) - (1 - MARGIN) * shop.value(champion)
    assert due == pytest.approx((MARGIN - 0.1) * shop.value(champion))
    assert abs(total / rows - due) < 4 * np.sqrt(squares) / rows


def test_a_worse_recipe_does_not_act_and_a_better_one_does():
    worse = [sequence("worse 3%", seed, 30, 21_000, 0.95)["acted"] for seed in range(20)]
    assert not np.any(worse)
    refits = [sequence("refit", seed, 30, 21_000, 0.95) for seed in range(5)]
    assert np.mean([run["gain"][-1] for run in refits]) > 0.03
    assert np.mean([run["acted"] for run in refits]) > 0.4
    broken = np.array([sequence("breaks", seed, 50, 21_000, 0.95)["acted"] for seed in range(5)])
    assert broken[:, 24].any() and not broken[:, -1].any()

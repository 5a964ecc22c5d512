"""The study of refits: its values are right on average, and a worse recipe does not act."""

import numpy as np
import pytest

from benchmarks.refresh import MARGIN, Shop, sequence, shrunken, softmax_policy, value_sums, worse_by


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

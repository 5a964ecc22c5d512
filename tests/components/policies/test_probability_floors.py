"""Weights to probabilities, by hand and for any input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.policies.probability_floors import with_floors
from components.policies.ragged_rows import row_sums


def floored(weight, new=None, exploration=0.0, new_share=0.0):
    weight = np.array(weight, dtype=float)
    flags = np.zeros(len(weight), dtype=bool) if new is None else np.array(new, dtype=bool)
    return with_floors(weight, flags, np.array([0, len(weight)]), exploration, new_share)


def test_by_hand():
    np.testing.assert_allclose(floored([3, 1], exploration=0.2), [0.8 * 0.75 + 0.1, 0.8 * 0.25 + 0.1])
    np.testing.assert_allclose(floored([3, 1, 0], [0, 0, 1], 0.0, 0.1), [0.9 * 0.75, 0.9 * 0.25, 0.1])
    np.testing.assert_allclose(floored([0, 0], exploration=0.2), [0.5, 0.5])  # nothing is known of either


def test_new_creatives_get_their_share_whatever_the_others_weigh():
    """A table's best may not be eligible; the new ones must not take the place that the rest of it leaves."""
    for weights in ([0.9, 0.1], [1e-9, 1e-12]):
        assert floored([*weights, 5.0, 7.0], [0, 0, 1, 1], 0.05, 0.02)[2:] == pytest.approx([0.01, 0.01])
    assert floored([1.0, 2.0], [1, 1], 0.05, 0.02) == pytest.approx([0.5, 0.5]), "only new ones are eligible"


@settings(deadline=None)  # pandas is slow on a busy machine
@given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), min_size=1, max_size=8), st.floats(0, 1), st.floats(0, 1))
def test_every_impression_is_a_distribution_with_a_floor(pairs, exploration, new_share):
    weight, new = (np.array(column) for column in zip(*pairs, strict=True))
    probabilities = floored(weight, new.astype(bool), exploration, new_share)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(row_sums(probabilities, np.array([0, len(probabilities)])), 1.0, atol=1e-9)
    known = ~new.astype(bool)
    if known.any():
        share = 0.0 if known.all() else new_share
        assert probabilities[known].min() >= (1 - share) * exploration / known.sum() - 1e-12

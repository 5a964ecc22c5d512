"""A column shows how it was rounded, and the allowance covers the number that it stands for."""

import numpy as np
import pytest

from components.evaluation.log_checks.rounding import rounding_of

VALUES = np.random.default_rng(0).dirichlet(np.full(8, 3.0), 500).ravel()


@pytest.mark.parametrize("decimals", [2, 3, 4, 5, 6])
def test_decimals_are_seen_and_allowed_for(decimals):
    written = np.round(VALUES, decimals)
    positive = written > 0
    rounding = rounding_of(written[positive])
    assert rounding.decimals == decimals
    assert (np.abs(written - VALUES)[positive] <= rounding.error(written[positive])).all()
    assert rounding.error(written[positive]).max() < 0.6 * 10.0**-decimals + 1e-8


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_significant_digits_are_seen_and_allowed_for(digits):
    small = VALUES / 100
    written = np.array([float(f"{value:.{digits}g}") for value in small])
    rounding = rounding_of(written)
    assert (np.abs(written - small) <= rounding.error(written)).all()
    assert (rounding.error(written) < 6 * 10.0**-digits * written + 1e-7).all()


@pytest.mark.parametrize(("kind", "relative"), [("float16", 2e-3), ("float32", 1e-6), ("float64", 1e-9)])
def test_types_are_seen_and_allowed_for(kind, relative):
    written = VALUES.astype(kind).astype(float)
    rounding = rounding_of(written)
    assert rounding.relative == relative
    assert (np.abs(written - VALUES) <= rounding.error(written)).all()


@pytest.mark.parametrize("values", [[0.5], [0.2], [0.3, 0.25, 0.2, 0.15, 0.1], [0.04], [0.125], [1.0], [0.3, 0.6, 0.4]])
def test_shares_that_people_choose_are_exact(values):
    assert rounding_of(np.array(values)).error(np.array(values)).max() <= 1e-9


def test_rounded_thirds_and_sevenths_are_not_exact():
    for value in (0.33, 0.14, 0.143, 0.08):
        assert rounding_of(np.array([value])).error(np.array([value]))[0] > 1e-4

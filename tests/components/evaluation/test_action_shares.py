"""Counts against expectation: the textbook test at few groups, the same meaning at thousands."""

from dataclasses import replace

import numpy as np
import pytest

from components.evaluation.log_checks.action_shares import MAX_GROUPS, _crossed, shares_chance
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies.ragged_rows import draw_per_row


def drawn(seed: int, actions: int, eligible: int, n: int = 8000, changed: np.ndarray | None = None) -> LoggedDecisions:
    """Actions drawn from the logging distribution, or where `changed` [actions] is given, that much more often."""
    generator = np.random.default_rng(seed)
    offsets = np.arange(0, n * eligible + 1, eligible)
    first = generator.integers(0, actions, n)[:, None]
    action = ((first + np.arange(eligible) * (actions // eligible)) % actions).ravel()
    mass = np.exp(generator.normal(0, 0.5, actions))[action]
    logging = mass / np.repeat(mass.reshape(n, -1).sum(axis=1), eligible)
    acted = logging if changed is None else logging * changed[action]
    acted = acted / np.repeat(acted.reshape(n, -1).sum(axis=1), eligible)
    logged = draw_per_row(acted, offsets, generator)
    names = np.arange(actions).astype(str).astype(object)
    return LoggedDecisions(
        impression=np.arange(n), offsets=offsets, action=action, logged=logged, propensity=logging[logged],
        reward=np.zeros(n), cluster=np.arange(n), action_names=names, context=np.zeros((n, 0)), logging=logging,
    )  # fmt: skip


def chance(log: LoggedDecisions, error: float = 0.0) -> float:
    return shares_chance(log, log.action, np.full(len(log.action), error))


def test_few_groups_are_the_textbook_chi_squared():
    """One action set: sum (shown - expected)^2 / expected with k - 1 degrees of freedom (Pearson 1900)."""
    from scipy.stats import chisquare

    log = drawn(0, 6, 6)
    shown = np.bincount(log.action[log.logged], minlength=6)
    expected = np.bincount(log.action, log.logging)
    assert chance(log) == pytest.approx(chisquare(shown, expected).pvalue, rel=1e-6)


@pytest.mark.parametrize(("actions", "eligible"), [(12, 4), (200, 5), (1500, 8), (4000, 10)])
def test_sound_counts_raise_no_alarm_and_chances_are_not_too_small(actions, eligible):
    chances = np.array([chance(drawn(seed, actions, eligible)) for seed in range(40)])
    assert (chances < 0.05).sum() <= 7 and chances.min() > 5e-4


@pytest.mark.parametrize(("size", "eligible"), [(300, 3), (12, 4)])
def test_the_covariance_is_that_of_the_dense_twin(size, eligible):
    """A row per impression and a column per group; the sparse product and the blocks are the same sum."""
    log = drawn(5, size, eligible, n=700)
    dense = np.zeros((log.n, size))
    dense[np.repeat(np.arange(log.n), np.diff(log.offsets)), log.action] = log.logging
    np.testing.assert_allclose(_crossed(log, log.action, size), dense.T @ dense, rtol=1e-12)


def test_one_action_of_thousands_that_is_lost_is_seen():
    changed = np.ones(2000)
    changed[7] = 0.0
    log = drawn(1, 2000, 4, n=60_000, changed=changed)
    assert MAX_GROUPS < 2000 and chance(log) < 1e-4


def test_many_actions_shown_a_little_more_often_are_seen():
    changed = np.where(np.arange(2000) % 3 == 0, 1.25, 1.0)
    assert chance(drawn(2, 2000, 4, n=60_000, changed=changed)) < 1e-6


def test_actions_that_are_all_rare_are_tested_in_bundles():
    changed = np.where(np.arange(3000) < 1500, 3.0, 1.0)
    assert chance(drawn(3, 3000, 4, n=8000, changed=changed)) < 1e-4


def test_rounding_error_of_a_group_is_one_more_standard_deviation():
    log = drawn(4, 5, 5, n=200_000)
    shifted = replace(log, logging=log.logging + np.array([0.004, -0.004, 0.0, 0.004, -0.004])[log.action])
    assert chance(shifted) < 1e-12 and chance(shifted, 0.005) > 0.05

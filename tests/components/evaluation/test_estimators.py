"""Every estimator against arithmetic done by hand, and against the truth on logs whose law is known."""

from dataclasses import replace

import numpy as np
import pytest

from components.evaluation.estimators.analysis import analyse
from components.evaluation.estimators.estimators import (
    ESTIMATORS,
    ModelUse,
    WeightedRows,
    effective_sample_size,
    on_policy,
)
from components.evaluation.estimators.shrinkage import candidates, mean_squared_errors, tune
from tests.components.evaluation.logs import known_log

TUNED = [name for name, estimator in ESTIMATORS.items() if estimator.shrinkages is not None]

# Three impressions: weights 2, 0.5, 4; rewards 1, 0, 1; q 0.5, 0.2, 0.25; q_pi 0.4, 0.3, 0.5.
ROWS = WeightedRows(
    weight=np.array([2.0, 0.5, 4.0]),
    reward=np.array([1.0, 0.0, 1.0]),
    predicted=np.array([0.5, 0.2, 0.25]),
    predicted_target=np.array([0.4, 0.3, 0.5]),
    marginal_weight=np.array([1.5, 1.0, 2.0]),
)
BY_HAND = {  # estimator, shrinkage -> value
    ("dm", np.inf): 0.4,
    ("ips", np.inf): (2 + 4) / 3,
    ("clipped_ips", 3.0): (2 + 3) / 3,
    ("snips", np.inf): 6 / 6.5,
    ("dr", np.inf): 0.4 + (2 * 0.5 - 0.5 * 0.2 + 4 * 0.75) / 3,
    ("sndr", np.inf): 0.4 + (1.0 - 0.1 + 3.0) / 6.5,
    ("switch_dr", 2.0): 0.4 + (1.0 - 0.1) / 3,
    ("dros", 1.0): 0.4 + (2 / 5 * 0.5 - 0.5 / 1.25 * 0.2 + 4 / 17 * 0.75) / 3,
    ("mips", np.inf): (1.5 + 2.0) / 3,
}


@pytest.mark.parametrize(("name", "shrinkage"), BY_HAND)
def test_by_hand(name, shrinkage):
    assert ESTIMATORS[name](ROWS, shrinkage).value() == pytest.approx(BY_HAND[name, shrinkage], abs=1e-12)


def test_every_estimator_is_tested_by_hand():
    assert {name for name, _ in BY_HAND} == set(ESTIMATORS)


def test_without_embedding_mips_has_no_value():
    from dataclasses import replace

    assert ESTIMATORS["mips"](replace(ROWS, marginal_weight=None), np.inf) is None


@pytest.mark.parametrize("name", ESTIMATORS)
def test_on_policy_every_estimator_gives_the_mean_reward(name):
    ones = np.ones(3)
    rows = WeightedRows(ones, ROWS.reward, ones * 0.5, ones * 0.5, ones)
    expected = 0.5 if name == "dm" else ROWS.reward.mean()
    got = ESTIMATORS[name](rows, np.inf).value()
    assert got == pytest.approx(expected if name != "switch_dr" else ROWS.reward.mean())
    assert on_policy(ROWS.reward).value() == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", TUNED)
def test_no_shrinkage_is_the_parent(name):
    parent = {"clipped_ips": "ips", "switch_dr": "dr", "dros": "dr"}[name]
    assert ESTIMATORS[name](ROWS, np.inf).value() == pytest.approx(ESTIMATORS[parent](ROWS, np.inf).value())


# Of two impressions each action is logged exactly as often as its propensity says: 3 of 4 times a, once b.
SHOWN = np.array([0, 0, 0, 1, 0, 0, 0, 1])
LOGGED, TARGET = np.array([0.75, 0.25]), np.array([0.4, 0.6])
EARNED = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0])


def exact_log(model: np.ndarray) -> WeightedRows:
    """model: float64 [impressions = 2, actions = 2], q."""
    owner = np.repeat([0, 1], 4)
    weight = (TARGET / LOGGED)[SHOWN]
    return WeightedRows(weight, EARNED, model[owner, SHOWN], (model @ TARGET)[owner], weight)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_it_uses_the_model_as_its_record_says(name):
    """On a log that is its own expectation, a corrected model moves nothing; a model that is leaned on does."""
    estimator = ESTIMATORS[name]
    models = np.zeros((2, 2)), np.array([[0.9, 0.1], [0.2, 0.6]])
    cut = 1.0 if estimator.shrinkages else np.inf  # the weights are 0.53 and 2.4
    uncut = [estimator(exact_log(model), np.inf) for model in models]
    first, other = (estimator(exact_log(model), cut) for model in models)
    same_terms = np.array_equal(first.residual, other.residual) and np.array_equal(first.direct, other.direct)
    assert same_terms == (estimator.model is ModelUse.NONE)
    assert (first.value() == pytest.approx(other.value(), abs=1e-12)) == (estimator.model is not ModelUse.MEAN)
    if estimator.model is ModelUse.CORRECTED:
        assert uncut[0].value() == pytest.approx(ESTIMATORS["ips"](exact_log(models[0]), np.inf).value())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_it_is_tuned_as_its_record_says(name):
    """From nothing used beyond the weight itself to all of it at the mildest; without shrinkage, none matters."""
    estimator, weight = ESTIMATORS[name], np.random.default_rng(0).lognormal(0, 1.5, 500)
    half = np.full(500, 0.5)
    rows = WeightedRows(weight, half, half, half, weight)
    if estimator.shrinkages is None:
        assert tune(name, rows) == np.inf
        values = {estimator(rows, shrinkage).value() for shrinkage in (0.1, 1.0, np.inf)}
        assert len(values) == 1
        return
    grid = candidates(name, weight)
    used = np.array([estimator(rows, shrinkage).used_weight for shrinkage in grid])
    assert len(grid) > 3 and (used >= 0).all() and (used <= weight).all()
    np.testing.assert_array_equal(used[-1], weight)
    assert (np.diff(used.sum(axis=1)) >= 0).all() and used[0].sum() < 0.9 * weight.sum()
    assert tune(name, rows) in grid


@pytest.mark.parametrize("name", ESTIMATORS)
def test_it_streams_as_its_record_says(name):
    """The terms of a chunk's rows are those of the same rows in the whole log, and need nothing but the chunk."""
    from dataclasses import fields, replace

    estimator, shrinkage = ESTIMATORS[name], 2.0
    chunked = replace(ROWS, marginal_weight=None)  # groups of actions come from the whole log
    if not estimator.streamable:
        assert estimator(chunked, shrinkage) is None and estimator(ROWS, shrinkage) is not None
        return
    whole = estimator(chunked, shrinkage)
    columns = ("weight", "reward", "predicted", "predicted_target")
    for part in (slice(0, 1), slice(1, 3)):
        terms = estimator(WeightedRows(*(getattr(ROWS, column)[part] for column in columns)), shrinkage)
        for field in fields(terms):
            np.testing.assert_array_equal(getattr(terms, field.name), getattr(whole, field.name)[part])


def test_effective_sample_size():
    assert effective_sample_size(np.array([1.0, 1.0, 1.0])) == pytest.approx(3.0)
    assert effective_sample_size(np.array([1.0, 0.0, 0.0])) == pytest.approx(1.0)
    assert effective_sample_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_sample_size(np.zeros(3)) == 0.0
    assert effective_sample_size(np.array([1e-300, 1e-300])) == pytest.approx(2.0)


@pytest.mark.parametrize("name", TUNED)
def test_tuning_takes_the_smallest_estimated_error(name):
    generator = np.random.default_rng(0)
    weight = generator.lognormal(0, 1.5, 2000)
    half = np.full(2000, 0.5)
    rows = WeightedRows(weight, generator.integers(0, 2, 2000).astype(float), half, half)
    chosen = tune(name, rows)
    mildest = candidates(name, weight)[-1]
    assert mildest == (np.inf if name == "dros" else weight.max())
    errors = mean_squared_errors(name, rows, np.array([chosen, mildest]))
    assert errors[0] <= errors[1]


def mean_errors(seeds: int, kinds: int | None) -> dict[str, float]:
    errors: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for seed in range(seeds):
        known = known_log(seed, kinds=kinds)
        for name, contributions in analyse(
            known.log, known.target, None, models=(), folds=2, seed=seed
        ).target.contributions.items():
            errors[name].append(contributions.value() - known.truth(known.target))
    return {name: abs(float(np.mean(error))) for name, error in errors.items()}


def test_near_the_truth_where_overlap_is_good():
    errors = mean_errors(seeds=10, kinds=None)
    naive = known_log(0)
    gain = naive.truth(naive.target) - naive.truth(naive.log.logging)
    assert gain > 0.01, "the target must differ for the test to mean anything"
    assert all(errors[name] < 0.003 for name in ESTIMATORS if name not in ("mips", "dm")), errors
    assert errors["dm"] < 0.005


def test_mips_needs_and_uses_an_embedding_that_says_all():
    assert mean_errors(seeds=10, kinds=4)["mips"] < 0.003
    assert mean_errors(seeds=10, kinds=None)["mips"] > 0.003


def test_reward_model_sees_no_reward_of_its_own_fold():
    """Changing a fold's rewards must not move that fold's predictions."""
    from components.evaluation.estimators.reward_models import fit_reward_models

    known = known_log(3)
    inputs, models = fit_reward_models(known.log, (known.target,), ("boosted",), 2, 0)
    mine = inputs.fold == 0
    flipped = known.log.with_reward(np.where(mine, 1 - known.log.reward, known.log.reward), (0.0, 1.0))
    again = fit_reward_models(flipped, (known.target,), ("boosted",), 2, 0)[1]
    pairs = np.repeat(mine, np.diff(known.log.offsets))
    for name in ("logistic", "boosted"):
        np.testing.assert_allclose(models[name].predicted[pairs], again[name].predicted[pairs])
        assert np.abs(models[name].predicted[~pairs] - again[name].predicted[~pairs]).max() > 1e-4


def test_logistic_matches_a_general_optimiser():
    """Same penalised likelihood, minimised by scipy."""
    from scipy.optimize import minimize

    from components.evaluation.estimators.logistic_reward import EFFECT_PENALTY, SLOPE_PENALTY, fit_logistic
    from components.evaluation.estimators.reward_features import design

    known = known_log(1, n=800)
    inputs = design(known.log, (known.target,), 2, 0)
    rows = inputs.fold == 0
    features, action, reward = inputs.logged_rows[rows], inputs.logged_action[rows], inputs.reward[rows]
    width = features.shape[1]

    def loss(theta):
        logit = features @ theta[:width] + theta[width:][action]
        fit = np.logaddexp(0, logit).sum() - reward @ logit
        return fit + SLOPE_PENALTY / 2 * (theta[1:width] ** 2).sum() + EFFECT_PENALTY / 2 * (theta[width:] ** 2).sum()

    best = minimize(loss, np.zeros(width + 12), method="BFGS", options={"gtol": 1e-7}).x
    fitted = fit_logistic(inputs, rows)
    np.testing.assert_allclose(fitted.slopes, best[:width], atol=1e-3)
    np.testing.assert_allclose(fitted.effects, best[width:], atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rows", "columns"), [(400, 20), (2000, 60), (2000, 120)])
def test_logistic_finds_the_optimum_of_rare_rewards_and_heavy_tailed_features(seed, rows, columns):
    """Plain Newton steps overshoot there and never settle; the penalised likelihood's gradient is 0 at its optimum."""
    from components.evaluation.estimators.logistic_reward import EFFECT_PENALTY, SLOPE_PENALTY, fit_logistic
    from components.evaluation.estimators.reward_features import design

    generator, known = np.random.default_rng(seed), known_log(seed, n=rows, click_rate=0.02)
    context = generator.normal(size=(rows, columns)) ** 3
    inputs = replace(design(known.log, (known.target,), 2, 0), context=context / context.std(axis=0))
    others = replace(inputs, reward=(generator.random(rows) < 0.02).astype(float))

    def steepest(inputs, fitted) -> float:
        features, action = inputs.logged_rows, inputs.logged_action
        residual = inputs.reward - 1 / (1 + np.exp(-(features @ fitted.slopes + fitted.effects[action])))
        on_slopes = features.T @ residual - SLOPE_PENALTY * np.concatenate([[0], fitted.slopes[1:]])
        on_effects = np.bincount(action, residual, len(fitted.effects)) - EFFECT_PENALTY * fitted.effects
        return max(np.abs(on_slopes).max(), np.abs(on_effects).max())

    all_rows = np.ones(rows, dtype=bool)
    fitted = fit_logistic(inputs, all_rows)
    assert steepest(inputs, fitted) < 1e-5
    assert steepest(others, fit_logistic(others, all_rows, fitted)) < 1e-5, "from the fit of other rewards"

import numpy as np
import pytest

from components.interest import metrics
from components.interest.calibration import fit_platt, sigmoid
from components.interest.metrics import calibration_error, log_losses, mean_by_shopper
from components.interest.models.prior_variance import informative_rows, maximise_evidence


def draw_clicks(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    return (rng.random(len(logits)) < sigmoid(logits)).astype(float)


def test_platt_undoes_an_overconfident_shifted_model():
    rng = np.random.default_rng(0)
    truth = -3 + rng.standard_normal(40_000)
    platt = fit_platt(-3 + 2.0 * (truth + 3) + 0.7, draw_clicks(rng, truth))
    assert platt.slope == pytest.approx(0.5, abs=0.04)
    assert platt.probabilities(-3 + 2.0 * (truth + 3) + 0.7).mean() == pytest.approx(sigmoid(truth).mean(), abs=0.003)


def test_platt_keeps_to_the_model_on_a_handful_of_clicks_and_never_turns_it_around():
    rng = np.random.default_rng(0)
    logits = -5 + rng.standard_normal(300)
    few = fit_platt(logits, draw_clicks(rng, logits))
    assert 0.6 < few.slope < 1.4
    backwards = fit_platt(logits * 3, (logits < -5).astype(float))
    assert backwards.slope > 0
    assert fit_platt(np.zeros(0), np.zeros(0)).probabilities(np.array([0.0])) == 0.5


def test_evidence_finds_the_variance_of_a_real_group_and_none_of_an_idle_one():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((20_000, 40)).astype(np.float32)
    weights = np.concatenate([0.3 * rng.standard_normal(20), np.zeros(20)])
    click = draw_clicks(rng, rows @ weights - 2.0)
    priors = maximise_evidence(rows, click, ("real",) * 20 + ("idle",) * 20, float(click.mean()))
    assert 0.2 < np.sqrt(priors.variances[0]) < 0.4
    assert np.sqrt(priors.variances[-1]) < 0.03
    assert np.corrcoef(priors.weights[:20], weights[:20])[0, 1] > 0.99
    assert priors.intercept == pytest.approx(-2.0, abs=0.1)


def test_a_sample_of_non_clicks_shifts_nothing_once_the_intercept_is_put_right():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((200_000, 3)).astype(np.float32)
    click = draw_clicks(rng, rows @ np.array([0.5, -0.3, 0.0]) - 4.0)
    informative = informative_rows(click, seed=0)
    assert click[informative].sum() == click.sum() and len(informative) <= 50_000
    priors = maximise_evidence(rows[informative], click[informative], ("all",) * 3, float(click.mean()))
    np.testing.assert_allclose(priors.weights, [0.5, -0.3, 0.0], atol=0.07)
    assert priors.intercept == pytest.approx(-4.0, abs=0.15)
    assert len(informative_rows(click[:1000], seed=0)) == 1000


def test_intervals_resample_whole_shoppers():
    rng = np.random.default_rng(3)
    shopper = np.repeat(np.arange(200), 20)
    per_shopper = rng.standard_normal(200)
    together = mean_by_shopper(per_shopper[shopper], shopper, resamples=500, seed=0)
    apart = mean_by_shopper(per_shopper[shopper], np.arange(4000), resamples=500, seed=0)
    # twenty copies of a number are one observation: standard error 1 / sqrt(200), not 1 / sqrt(4000)
    assert together.ci_high - together.ci_low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.2)
    assert (together.ci_high - together.ci_low) / (apart.ci_high - apart.ci_low) == pytest.approx(np.sqrt(20), rel=0.2)


@pytest.mark.parametrize("shoppers_at_once", [1, 7, 50])
def test_resamples_in_blocks_are_those_drawn_at_once(monkeypatch, shoppers_at_once):
    """200 resamples of 10 million shoppers would take 32 GB."""
    rng = np.random.default_rng(5)
    probability, shopper = rng.uniform(0.05, 0.3, 3000), rng.integers(0, 400, 3000)
    click = (rng.random(3000) < probability).astype(float)

    def found():
        figures = [
            mean_by_shopper(probability, shopper, 101, seed=1),
            calibration_error(probability, click, shopper, 101, 1),
        ]
        return np.array([[estimate.value, estimate.ci_low, estimate.ci_high] for estimate in figures])

    whole = found()
    block_sizes = []
    monkeypatch.setattr(metrics, "COUNTS_AT_ONCE", 400 * shoppers_at_once)
    blocks = metrics._resamples
    monkeypatch.setattr(
        metrics,
        "_resamples",
        lambda *args: (block_sizes.append(len(estimate)) or estimate for estimate in blocks(*args)),
    )
    np.testing.assert_allclose(found(), whole, rtol=1e-12)
    assert max(block_sizes) == shoppers_at_once and sum(block_sizes) == 2 * 101


def test_calibration_error_is_small_for_the_truth_and_the_gap_for_a_shift():
    rng = np.random.default_rng(4)
    probability = rng.uniform(0.05, 0.3, 50_000)
    click = (rng.random(50_000) < probability).astype(float)
    shopper = rng.integers(0, 5000, 50_000)
    right = calibration_error(probability, click, shopper, resamples=50, seed=0)
    wrong = calibration_error(probability + 0.05, click, shopper, resamples=50, seed=0)
    assert right.value < 0.008
    assert wrong.value == pytest.approx(0.05, abs=0.005) and wrong.ci_low < wrong.value < wrong.ci_high


def test_log_loss_of_a_row():
    assert log_losses(np.array([0.25, 0.25]), np.array([1.0, 0.0])).tolist() == pytest.approx(
        [-np.log(0.25), -np.log(0.75)]
    )

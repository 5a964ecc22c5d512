"""Simulated logs for `benchmarks.ope_gate`: ten actions shown uniformly, and harder logs (STRESSES)."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from components.evaluation.gate.ledger import Ledger
from components.evaluation.gate.lift_bound import LiftRows

ALPHA, CLICK_RATE, ACTIONS = 0.05, 0.02, 10
FIRST_ALPHA = Ledger(ALPHA).ask("it")[0]
MARGIN = 0.0


def challenger(generator: np.random.Generator, size: float) -> np.ndarray:
    """Probabilities [actions] with effective sample size `size` under uniform logging: 1 / (k sum pi^2)."""
    utility = generator.standard_normal(ACTIONS)
    low, high = 0.0, 30.0
    for _ in range(60):
        sharpness = (low + high) / 2
        policy = np.exp(sharpness * (utility - utility.max()))
        policy = policy / policy.sum()
        low, high = (sharpness, high) if 1 / (ACTIONS * (policy**2).sum()) > size else (low, sharpness)
    return policy


def click_rates(generator: np.random.Generator, policy: np.ndarray, lift: float) -> np.ndarray:
    """Unequal click rates, with mean 2 % under uniform logging and (1 + lift) times that under the policy."""
    uniform = np.full(ACTIONS, 1 / ACTIONS)
    noise = generator.normal(0, 0.15 * CLICK_RATE, ACTIONS)
    towards = policy - uniform
    noise = noise - noise.mean() - towards * (noise @ towards) / (towards @ towards)  # worth nothing to the policy
    gain = CLICK_RATE * lift / (policy @ towards)
    return np.clip(CLICK_RATE + noise + gain * towards, 1e-4, 1.0)


def look_sizes(impressions: int, nights: int) -> np.ndarray:
    """Impressions int64 [nights] in the log at each night's look."""
    return np.linspace(impressions / nights, impressions, nights).astype(int)


def draw_clicks(generator: np.random.Generator, rate: np.ndarray | float, impressions: int) -> np.ndarray:
    """Clicks float64 [impressions], 0 or 1, with probabilities `rate`."""
    return (generator.random(impressions) < rate).astype(float)


def draw_log(generator: np.random.Generator, rates: np.ndarray, impressions: int) -> tuple[np.ndarray, np.ndarray]:
    """(actions int64 [impressions], shown uniformly; their clicks float64) at click rates [actions]."""
    action = generator.integers(0, ACTIONS, impressions)
    return action, draw_clicks(generator, rates[action], impressions)


def lift_rows(policy: np.ndarray, action: np.ndarray, click: np.ndarray) -> LiftRows:
    """The rows of `policy`'s lift over uniform logging."""
    weight = policy * ACTIONS
    return LiftRows.from_weights(weight[action], np.ones(len(action)), click, 1.0, float(weight.max()))


def _low_size(generator: np.random.Generator, impressions: int) -> LiftRows:
    policy = challenger(generator, 0.1)
    return lift_rows(policy, *draw_log(generator, click_rates(generator, policy, 0.0), impressions))


def _heavy_tail(generator: np.random.Generator, impressions: int) -> LiftRows:
    """Weights of a Pareto distribution with index 1.8, whose variance is infinite; rewards are independent of them."""
    weight = (generator.pareto(1.8, impressions) + 1) * 0.8 / 1.8
    return LiftRows.from_weights(weight, np.ones(impressions), draw_clicks(generator, CLICK_RATE, impressions))


def _heavy_baseline(generator: np.random.Generator, impressions: int) -> LiftRows:
    """A baseline with weight 20 on one impression in forty, and a target equal to the logging policy."""
    weight = np.where(generator.random(impressions) < 1 / 40, 20.0, 0.5 / 0.975)
    clicks = draw_clicks(generator, CLICK_RATE, impressions)
    return LiftRows.from_weights(np.ones(impressions), weight, clicks, 20.0, 1.0)


def _drift(generator: np.random.Generator, impressions: int) -> LiftRows:
    """A click rate that triples, a loss of 10 % at first and a gain later; the mean lift to date is never above 0."""
    policy = challenger(generator, 0.3)
    time = np.linspace(0, 1, impressions)
    rate = CLICK_RATE * (0.5 + time)
    early = time < 0.5
    swing = np.where(early, -0.1, 0.1 * rate[early].sum() / rate[~early].sum())
    towards = (policy - 1 / ACTIONS) / ((policy - 1 / ACTIONS) @ policy)
    action = generator.integers(0, ACTIONS, impressions)
    return lift_rows(policy, action, draw_clicks(generator, rate * (1 + swing * towards[action]), impressions))


def _wrong_model(generator: np.random.Generator, impressions: int) -> LiftRows:
    """A reward model that predicts reward 1 for the target's most probable action and 0 for the others."""
    policy = challenger(generator, 0.3)
    action, click = draw_log(generator, click_rates(generator, policy, 0.0), impressions)
    score = (np.arange(ACTIONS) == policy.argmax()) * 1.0
    rows = lift_rows(policy, action, click)
    score_lift = np.full(impressions, float((policy - 1 / ACTIONS) @ score))
    return replace(rows, score=score[action], score_lift=score_lift)


def _rare_clicks(generator: np.random.Generator, impressions: int) -> LiftRows:
    policy = challenger(generator, 0.3)
    action = generator.integers(0, ACTIONS, impressions)
    return lift_rows(policy, action, draw_clicks(generator, 0.001, impressions))


STRESSES: dict[str, Callable[[np.random.Generator, int], LiftRows]] = {
    "ess_10": _low_size,
    "heavy_tail": _heavy_tail,
    "heavy_baseline": _heavy_baseline,
    "drift": _drift,
    "wrong_model": _wrong_model,
    "rare_clicks": _rare_clicks,
}

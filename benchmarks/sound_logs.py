"""Simulated logs without faults: propensities are correct, and every context that affects clicks is logged.

20,000 impressions of some 6,700 shoppers, 1.5 % clicks. Three segments of shoppers click in the ratio 1 : 2.2 : 5;
actions differ by about 35 % overall and 20 % within a segment. `uniform`: every action has the same propensity.
`confounded`: propensities depend on the segment, which is logged, so click rates per action are biased. The target
policy prefers actions by their log click rates plus noise with a standard deviation of 0.15, and explores with 10 %.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

KINDS = ("uniform", "confounded")
IMPRESSIONS, CLICK_RATE, EXPLORED = 20_000, 0.015, 0.1
ACTIONS = (3, 5, 10, 20)
SEGMENT_EFFECTS = np.array([-0.8, 0.0, 0.8])  # on the log click rate


@dataclass(frozen=True)
class SoundLog:
    """LOG and TARGET as `adloom evaluate` reads them; truth, logged: the target's and logging policy's true values."""

    log: pd.DataFrame
    target: pd.DataFrame
    truth: float
    logged: float


def sound_log(kind: str, seed: int) -> SoundLog:
    """The log of `kind` (one of KINDS) with seed `seed`."""
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    actions = int(generator.choice(ACTIONS))
    utility = generator.normal(0, 0.35, actions) + generator.normal(0, 0.2, (3, actions))  # [segments, actions]
    logging = _logging(kind, actions, generator)
    target = _explored(np.exp(2 * (utility + generator.normal(0, 0.15, (3, actions)))))
    shopper = generator.integers(0, IMPRESSIONS // 3, IMPRESSIONS)
    segment = generator.integers(0, 3, IMPRESSIONS // 3)[shopper]
    rate = np.exp(SEGMENT_EFFECTS[:, None] + utility)
    rate *= CLICK_RATE / (logging * rate).sum(axis=1)[segment].mean()
    shown = (generator.random(IMPRESSIONS)[:, None] > np.cumsum(logging, axis=1)[segment][:, :-1]).sum(axis=1)
    names = np.array([f"ad-{code:02d}" for code in range(actions)], dtype=object)
    ids = np.array([f"i{row}" for row in range(IMPRESSIONS)], dtype=object)
    log = pd.DataFrame(
        {
            "impression_id": ids,
            "action": names[shown],
            "propensity": logging[segment, shown],
            "reward": (generator.random(IMPRESSIONS) < rate[segment, shown]).astype(float),
            "shopper_id": np.char.add("s", shopper.astype(str)).astype(object),
            "context_segment": segment,
        }
    )
    pairs = {"impression_id": np.repeat(ids, actions), "action": np.tile(names, IMPRESSIONS)}
    probabilities = pd.DataFrame({**pairs, "probability": target[segment].ravel()})
    values = [float((policy * rate).sum(axis=1)[segment].mean()) for policy in (target, logging)]
    return SoundLog(log, probabilities, *values)


def _logging(kind: str, actions: int, generator: np.random.Generator) -> np.ndarray:
    """Probability of each action by segment: float64 [3, actions]."""
    if kind == "uniform":
        return np.full((3, actions), 1.0 / actions)
    leaning = SEGMENT_EFFECTS[:, None] * generator.normal(0, 1, actions)
    return _explored(np.exp(0.6 * leaning + generator.normal(0, 0.6, (3, actions))))


def _explored(mass: np.ndarray) -> np.ndarray:
    return (1 - EXPLORED) * mass / mass.sum(axis=1, keepdims=True) + EXPLORED / mass.shape[1]

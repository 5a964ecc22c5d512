"""The shop's logging policy: a shortlist per request, the probability of showing each creative of it, and the draw.

    shortlist_i: `shortlist` creatives, drawn uniformly without replacement from the active ones of the campaign    (1)
    pi(a | x_i) = e / |S_i| + (1 - e) softmax_{a in S_i} score(a, x_i)                                               (2)
    score = prior F_a + context (A[age, template_a] + D[device, template_a]) / sqrt 2

F is the logged column `feature_prior`; age and device are logged; A and D are rule tables of the shop. The score uses
nothing latent, so the log is unconfounded given its columns. Propensities are whole millionths that sum to exactly one,
so that the written values are those of the draw on every processor. Propensities are conditional on the shortlist,
which `candidates` lists.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from components.simulator import vocabulary as words
from components.simulator.population import Shoppers
from components.simulator.randomness import CATALOGUE, generator, standardised
from components.simulator.scenario import Logging

MILLION = 1_000_000


@dataclass(frozen=True)
class Requests:
    """Ad slots to fill, in order of time, int64 [n] each.

    Codes of shopper, campaign, placement and device (1: mobile), `page` (numbered within the day), `position` >= 1,
    local `hour`, and `moment` in microseconds since START.
    """

    page: np.ndarray
    shopper: np.ndarray
    campaign: np.ndarray
    position: np.ndarray
    placement: np.ndarray
    mobile: np.ndarray
    hour: np.ndarray
    moment: np.ndarray


# (requests, shortlist int64 [n, k] with -1 where it is shorter) -> probabilities float64 [n, k], rows summing to 1.
AdPolicy = Callable[[Requests, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LoggingPolicy:
    """Equation (2) as an AdPolicy: `prior` and `template` [m] of creatives, `age_band` [n], and rule tables A and D."""

    settings: Logging
    prior: np.ndarray
    template: np.ndarray
    age_band: np.ndarray
    age_rule: np.ndarray
    device_rule: np.ndarray

    name = "production-softmax"

    def __call__(self, requests: Requests, shortlist: np.ndarray) -> np.ndarray:
        """Probabilities float64 [n, k] of each shortlisted creative."""
        template = self.template[shortlist]  # (n, k)
        age = self.age_band[requests.shopper][:, None]
        rules = (self.age_rule[age, template] + self.device_rule[requests.mobile[:, None], template]) / np.sqrt(2)
        score = self.settings.prior * self.prior[shortlist] + self.settings.context * rules
        weight = np.where(shortlist >= 0, np.exp(score - score.max(axis=1, keepdims=True)), 0.0)
        length = (shortlist >= 0).sum(axis=1, keepdims=True)
        floor = np.where(shortlist >= 0, self.settings.exploration / length, 0.0)
        return floor + (1 - self.settings.exploration) * weight / weight.sum(axis=1, keepdims=True)


def logging_policy(
    seed: int, settings: Logging, prior: np.ndarray, template: np.ndarray, shoppers: Shoppers
) -> LoggingPolicy:
    """The logging policy of a marketplace, with rule tables drawn from the seed."""
    rng = generator(seed, CATALOGUE, 1)
    age_rule = standardised(rng.standard_normal((len(words.AGE_BANDS), len(words.TEMPLATES))), axis=1)
    device_rule = standardised(rng.standard_normal((len(words.DEVICES), len(words.TEMPLATES))), axis=1)
    return LoggingPolicy(settings, prior, template, shoppers.age_band, age_rule, device_rule)


def draw_shortlists(
    campaign: np.ndarray, active: list[np.ndarray], length: int, rng: np.random.Generator
) -> np.ndarray:
    """Equation (1): rows of creatives, int64 [n, length], for requests of `campaign` [n]; padded with -1.

    active: by campaign, the rows of its active creatives.
    """
    shortlist = np.full((len(campaign), length), -1, np.int64)
    for code, creatives in enumerate(active):
        rows = np.flatnonzero(campaign == code)
        size = min(length, len(creatives))
        # The creatives with the smallest of independent uniform keys are a uniform draw without replacement.
        keys = rng.random((len(rows), len(creatives)), dtype=np.float32)
        order = np.argsort(keys, axis=1, kind="stable")[:, :size]
        shortlist[rows, :size] = creatives[order]
    return shortlist


def whole_millionths(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities float64 [n, k] in millionths, int64 [n, k], that sum to exactly a million per row.

    They are rounded down, but to at least one millionth if above zero; the largest of a row takes the difference.
    """
    floored = np.floor(probabilities * MILLION).astype(np.int64)
    millionths = np.where(probabilities > 0, np.maximum(floored, 1), 0)
    rest = MILLION - millionths.sum(axis=1)
    millionths[np.arange(len(millionths)), probabilities.argmax(axis=1)] += rest
    return millionths


def draw_column(millionths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column per row, int64 [n], drawn with the probabilities `millionths` [n, k]."""
    draw = rng.integers(0, MILLION, len(millionths))
    return (draw[:, None] >= millionths.cumsum(axis=1)).sum(axis=1)

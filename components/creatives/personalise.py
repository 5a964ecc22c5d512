"""Search a generator's noise for pictures that one segment should like, and stop before the score is merely gamed.

After Kang et al. (2017, "Visually-aware fashion recommendation and design with GANs", eq. 8): there a gradient climbs
the preference score under a penalty; here the cross-entropy method (Rubinstein 1999) climbs it without one, so that any
interest model serves. A score that is optimised stops being a measure, so a second model, which the search never asks,
watches: once the two part, the search ends and the last picture on which they agreed is taken.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from components.creatives.admission import Manifold
from components.creatives.generator import NetworkGenerator

ELITE = 0.2  # share of each population that the next one is drawn around
SLACK = 0.5  # the watcher must see at least this share of the gain that the search claims
PENALTY = 1.0  # in standard deviations of the score, per unit of excess off the manifold

Score = Callable[[np.ndarray], np.ndarray]  # uint8 [n, h, w, c] -> expected click-through, float64 [n]


@dataclass(frozen=True)
class SearchStep:
    """One round. picture, noise: its best on the manifold; claimed, watched: mean scores of the elite by the model that
    is climbed and by the one that watches; excess: the elite's mean excess; parted: whether the two no longer agree."""

    step: int
    picture: np.ndarray
    noise: np.ndarray
    claimed: float
    watched: float
    excess: float
    parted: bool


@dataclass(frozen=True)
class Found:
    """The picture to show; gains over the category's average picture by both models; steps taken and why it ended."""

    picture: np.ndarray
    noise: np.ndarray
    claimed_gain: float
    watched_gain: float
    steps: int
    reason: str


def search(
    generator: NetworkGenerator,
    category: int,
    segment: int,
    score: Score,
    watch: Score,
    manifold: Manifold,
    steps: int,
    population: int,
    seed: int,
) -> Iterator[SearchStep]:
    """Rounds of the cross-entropy method as frozen records; round 0 is the category's average, before any choice."""
    random = np.random.default_rng(seed)
    centre, width = np.zeros(generator.latent), np.ones(generator.latent)
    claimed_start = watched_start = scale = 0.0
    for step in range(steps + 1):
        noise = (centre + width * random.standard_normal((population, generator.latent))).astype(np.float32)
        pictures = generator.paint(noise, np.full(population, category), np.full(population, segment))
        claimed, watched, excess = score(pictures), watch(pictures), manifold.excess(pictures)
        if step == 0:
            claimed_start, watched_start, scale = float(claimed.mean()), float(watched.mean()), float(claimed.std())
        worth = claimed - PENALTY * scale * excess
        elite = np.argsort(-worth, kind="stable")[: max(2, int(ELITE * population))]
        # round 0 reports the whole population: it is what a picture drawn at random is worth
        shown = np.arange(population) if step == 0 else elite
        gain, seen = claimed[shown].mean() - claimed_start, watched[shown].mean() - watched_start
        best = _best(worth, excess)
        yield SearchStep(
            step=step,
            picture=pictures[best],
            noise=noise[best],
            claimed=float(claimed[shown].mean()),
            watched=float(watched[shown].mean()),
            excess=float(excess[shown].mean()),
            parted=bool(step > 0 and seen < SLACK * gain),
        )
        # width never grows: noise far from the normal's own is noise that the generator was not trained on
        centre, width = noise[elite].mean(axis=0), np.minimum(noise[elite].std(axis=0) + 0.05, 1.0)


def personalise(rounds: Iterator[SearchStep]) -> Found | None:
    """Rounds of `search` -> the picture of the last one before the models part; None (abstain) if that is the first."""
    kept: list[SearchStep] = []
    reason = "all rounds were used and the models still agree"
    for step in rounds:
        if step.parted:
            reason = f"the models part at round {step.step}: the claimed gain is not seen by the other one"
            break
        kept.append(step)
    if len(kept) < 2:
        return None
    last, start = kept[-1], kept[0]
    gains = last.claimed - start.claimed, last.watched - start.watched
    return Found(last.picture, last.noise, *gains, steps=last.step, reason=reason)


def _best(worth: np.ndarray, excess: np.ndarray) -> int:
    """The row of most worth among those on the manifold; among all where none is."""
    inside = np.flatnonzero(excess == 0)
    return int(inside[worth[inside].argmax()]) if inside.size else int(worth.argmax())

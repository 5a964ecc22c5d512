"""Search a generator's noise for pictures that one segment should like, and stop before the score is merely gamed.

After Kang et al. (2017, "Visually-aware fashion recommendation and design with GANs", eq. 8): there a gradient climbs
the preference score under a penalty; here the cross-entropy method (Rubinstein 1999) climbs it without one, so that any
interest model serves. A score that is optimised stops being a measure, so a second model, which the search never asks,
watches: once the two part, the search ends and the last picture on which they agreed is taken.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.ads.copy_choice import Context, made_features
from components.features import FeatureModel
from components.generators.keras_generator import NetworkGenerator
from components.generators.quality.photo_manifold import Bounds
from components.interest import CalibratedModel
from components.interest.segment_scores import AUDIENCE_SEGMENT

ELITE = 0.2  # share of each population that the next one is drawn around
SLACK = 0.5  # the watcher must see at least this share of the gain that the search claims
LEAST = 1e-6  # of the start's score: what is claimed beyond it is no rounding
PENALTY = 1.0  # in standard deviations of the score, per unit of excess off the manifold

ROUNDS, POPULATION = 12, 60

Score = Callable[[np.ndarray], np.ndarray]  # uint8 [n, h, w, c] -> expected click-through, float64 [n]


@dataclass(frozen=True)
class SearchStep:
    """One round. picture, noise: its best on the manifold, in round 0 any there; claimed, watched: mean scores of the
    elite (in round 0 of all) by the model that is climbed and by the one that watches; excess: their mean excess;
    fault: why the search should have ended before, empty while both see a gain."""

    step: int
    picture: np.ndarray
    noise: np.ndarray
    claimed: float
    watched: float
    excess: float
    fault: str


@dataclass(frozen=True)
class Found:
    """The picture to show; gains over the category's average picture by both models; steps taken and why it ended.

    No steps: the search abstained, and the picture is an ordinary one of its category.
    """

    picture: np.ndarray
    noise: np.ndarray
    claimed_gain: float
    watched_gain: float
    steps: int
    reason: str


@dataclass(frozen=True)
class Personaliser:
    """What a picture is personalised by. halves: the model that is climbed and the one that watches, of other shoppers
    (`interest.halves`); features: the feature model of both; audience: as `draw_audience` draws it."""

    halves: tuple[CalibratedModel, CalibratedModel]
    features: FeatureModel
    audience: pd.DataFrame
    bounds: Bounds

    def find(
        self,
        generator: NetworkGenerator,
        category: int,
        segment: int,
        campaign: Mapping,
        words: pd.DataFrame,
        context: Context,
        seed: int,
    ) -> Found:
        """The picture of a category that should earn most of a segment in a context, in an ad of these words.

        campaign: of `context.wordings`; words: one row of its `context.combinations`.
        """
        own = self.audience[self.audience[AUDIENCE_SEGMENT] == segment]
        moved = self.features.context.in_context(own, context.placement, context.hour)
        named = generator.categories[category]

        def scored(model: CalibratedModel) -> Score:
            def score(pictures: np.ndarray) -> np.ndarray:
                repeated = words.iloc[np.zeros(len(pictures), int)].reset_index(drop=True)
                rows = made_features(self.features, repeated, campaign, named, pictures)
                return model.predict(moved, rows).mean(axis=0)

            return score

        climbed, watching = map(scored, self.halves)
        return personalise(
            search(generator, category, segment, climbed, watching, self.bounds, ROUNDS, POPULATION, seed)
        )


def search(
    generator: NetworkGenerator,
    category: int,
    segment: int,
    score: Score,
    watch: Score,
    bounds: Bounds,
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
        claimed, watched, excess = score(pictures), watch(pictures), bounds.excess(pictures)
        if step == 0:
            claimed_start, watched_start, scale = float(claimed.mean()), float(watched.mean()), float(claimed.std())
        worth = claimed - PENALTY * scale * excess
        elite = np.argsort(-worth, kind="stable")[: max(2, int(ELITE * population))]
        # round 0 reports the whole population: it is what a picture drawn at random is worth
        shown = np.arange(population) if step == 0 else elite
        gain, seen = claimed[shown].mean() - claimed_start, watched[shown].mean() - watched_start
        best = _best(worth if step else np.zeros(population), excess)
        yield SearchStep(
            step=step,
            picture=pictures[best],
            noise=noise[best],
            claimed=float(claimed[shown].mean()),
            watched=float(watched[shown].mean()),
            excess=float(excess[shown].mean()),
            fault=_fault(gain, seen, claimed_start) if step else "",
        )
        # width never grows: noise far from the normal's own is noise that the generator was not trained on
        centre, width = noise[elite].mean(axis=0), np.minimum(noise[elite].std(axis=0) + 0.05, 1.0)


def personalise(rounds: Iterator[SearchStep]) -> Found:
    """Rounds of `search` -> the picture of the last one before a fault; an ordinary one where that is the first."""
    kept: list[SearchStep] = []
    reason = "all rounds were used and the models still agree"
    for step in rounds:
        if step.fault:
            reason = f"round {step.step}: {step.fault}"
            break
        kept.append(step)
    last, start = kept[-1], kept[0]
    gains = last.claimed - start.claimed, last.watched - start.watched
    return Found(last.picture, last.noise, *gains, steps=last.step, reason=reason)


def _fault(gain: float, seen: float, start: float) -> str:
    """Gains of the elite by the climbed model and by the watching one, and the score they are gains over -> fault."""
    if gain <= LEAST * start:
        return "the model of interest sees no better picture"
    return "the models part: the claimed gain is not seen by the other one" if seen < SLACK * gain else ""


def _best(worth: np.ndarray, excess: np.ndarray) -> int:
    """The row of most worth among those on the manifold; among all where none is."""
    inside = np.flatnonzero(excess == 0)
    return int(inside[worth[inside].argmax()]) if inside.size else int(worth.argmax())

"""Search a generator's noise for images with a high score for one segment, checked by a second interest model.

After Kang et al. (2017, "Visually-aware fashion recommendation and design with GANs", eq. 8), who raise the preference
score by its gradient under a penalty; here the cross-entropy method (Rubinstein 1999) needs no gradient, so that any
interest model can be used. One model is optimised against; the other, trained on different shoppers, checks the result.
Once the two disagree, the search ends with the last image on which they agreed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.ads.copy.copy_choice import Context, made_features
from components.features import FeatureModel
from components.generators.keras_generator import NetworkGenerator
from components.generators.quality.photo_manifold import Bounds
from components.interest import CalibratedModel
from components.interest.segment_scores import AUDIENCE_SEGMENT

ELITE = 0.2  # share of each population to which the next one is fitted
SLACK = 0.5  # share of the claimed gain that the checking model must confirm
LEAST = 1e-6  # of the start's score: a smaller claimed gain is rounding
PENALTY = 1.0  # in standard deviations of the score, per unit of excess off the manifold

ROUNDS, POPULATION = 12, 60

Score = Callable[[np.ndarray], np.ndarray]  # uint8 [n, h, w, c] -> expected click-through, float64 [n]


@dataclass(frozen=True)
class SearchStep:
    """One round. picture, noise: the best on the manifold, in round 0 any there; claimed, watched: mean scores of the
    elite (in round 0 of all) by the optimised and by the checking model; excess: their mean excess; fault: why the
    search should have ended before this round, empty while both models show a gain."""

    step: int
    picture: np.ndarray
    noise: np.ndarray
    claimed: float
    watched: float
    excess: float
    fault: str


@dataclass(frozen=True)
class SearchResult:
    """The image; its gains over the category's average image by both models; number of steps and why the search ended.

    steps 0: the search abstained, and the image is an ordinary one of its category.
    """

    picture: np.ndarray
    noise: np.ndarray
    claimed_gain: float
    watched_gain: float
    steps: int
    reason: str


@dataclass(frozen=True)
class Personaliser:
    """Personalises images. models: the optimised and the checking one, of disjoint shoppers (interest.disjoint_models);
    features: the feature model of both; audience: of `draw_audience`."""

    models: tuple[CalibratedModel, CalibratedModel]
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
        *,
        context: Context,
        seed: int,
    ) -> SearchResult:
        """The image of a category with the best score for a segment in a context, in an ad with these texts.

        campaign: of `copy_choice.wordings`; words: one row of its `copy_choice.combinations`.
        """
        shoppers = self.audience[self.audience[AUDIENCE_SEGMENT] == segment]
        in_context = self.features.context.in_context(shoppers, context.placement, context.hour)
        category_name = generator.categories[category]

        def scored(model: CalibratedModel) -> Score:
            def score(pictures: np.ndarray) -> np.ndarray:
                repeated = words.iloc[np.zeros(len(pictures), int)].reset_index(drop=True)
                rows = made_features(self.features, repeated, campaign, category_name, pictures)
                return model.predict(in_context, rows).mean(axis=0)

            return score

        optimised, checking = map(scored, self.models)
        sizes = {"steps": ROUNDS, "population": POPULATION}
        return personalise(
            search(generator, category, segment, optimised, checking, bounds=self.bounds, seed=seed, **sizes)
        )


def search(
    generator: NetworkGenerator,
    category: int,
    segment: int,
    score: Score,
    watch: Score,
    *,
    bounds: Bounds,
    steps: int,
    population: int,
    seed: int,
) -> Iterator[SearchStep]:
    """The rounds of the cross-entropy method; round 0 is the category's average. watch: score of the checking model."""
    random = np.random.default_rng(seed)
    centre, width = np.zeros(generator.latent), np.ones(generator.latent)
    claimed_start = watched_start = scale = 0.0
    for step in range(steps + 1):
        noise = (centre + width * random.standard_normal((population, generator.latent))).astype(np.float32)
        pictures = generator.from_noise(noise, np.full(population, category), np.full(population, segment))
        claimed, watched, excess = score(pictures), watch(pictures), bounds.excess(pictures)
        if step == 0:
            claimed_start, watched_start, scale = float(claimed.mean()), float(watched.mean()), float(claimed.std())
        worth = claimed - PENALTY * scale * excess
        elite = np.argsort(-worth, kind="stable")[: max(2, int(ELITE * population))]
        # round 0 reports the whole population, as the score of a random image
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
        # at most 1, since the generator was trained on standard normal noise
        centre, width = noise[elite].mean(axis=0), np.minimum(noise[elite].std(axis=0) + 0.05, 1.0)


def personalise(rounds: Iterator[SearchStep]) -> SearchResult:
    """The image of the last round of `search` before a fault; an ordinary one if the first round has a fault."""
    sound: list[SearchStep] = []
    reason = "all rounds were used and the models still agree"
    for step in rounds:
        if step.fault:
            reason = f"round {step.step}: {step.fault}"
            break
        sound.append(step)
    last, start = sound[-1], sound[0]
    gains = last.claimed - start.claimed, last.watched - start.watched
    return SearchResult(last.picture, last.noise, *gains, steps=last.step, reason=reason)


def _fault(gain: float, seen: float, start: float) -> str:
    """The fault of a round with gains by the optimised and the checking model over the score `start`; "" if none."""
    if gain <= LEAST * start:
        return "the interest model finds no better image"
    return "the models disagree: the second model does not confirm the claimed gain" if seen < SLACK * gain else ""


def _best(worth: np.ndarray, excess: np.ndarray) -> int:
    """The row with the highest `worth` among those on the manifold, or among all if none is on it."""
    inside = np.flatnonzero(excess == 0)
    return int(inside[worth[inside].argmax()]) if inside.size else int(worth.argmax())

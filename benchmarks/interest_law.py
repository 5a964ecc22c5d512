"""What the click law says of a feature set: its eight terms, and the reference model that knows its form.

The reference fits the most probable coefficients of the law's own form, with the law's variances as priors, on the
tastes and segments that the features estimate. Only `interest_value.py` uses it; no model of Adloom's does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.simulator.click_law import QUALITY_SHARES
from components.simulator.population import HOUR_BINS
from components.simulator.scenario import Effects

TERMS = ("quality", "category", "brand", "price", "look", "segment_template", "segment_headline", "palette_hour")
TASTES = ("category", "brand", "log_price", "look")


def law_terms(card, tables, pairs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Each of TERMS in log-odds, float64 [n], by the law with every other effect set to 0."""
    from components.simulator.click_law import Situation, personal, quality, segmental
    from components.simulator.truth import positions

    law, traits, shopper_of_row = _law(card, tables)
    effects, preferences = law.scenario.effects, law.preferences[0]
    log = tables["impressions"]
    row = positions(pairs["impression_id"], log["impression_id"], "impression_id")
    creative = positions(pairs["creative_id"], tables["creatives"]["creative_id"], "creative_id")
    shopper, zeros = shopper_of_row[row], np.zeros(len(row), dtype=np.int64)
    hour = log["context_local_hour"].to_numpy(np.int64)[row]
    at = Situation(shopper, creative, zeros + 1, hour, zeros, zeros)
    nothing = {name: 0.0 for name in type(effects).model_fields}
    terms = {"quality": effects.quality * quality(preferences, traits)[creative]}
    for name in ("category", "brand", "price", "look"):
        key = f"taste_{name}"
        alone = effects.model_copy(update=nothing | {key: getattr(effects, key)})
        terms[name] = personal(alone, preferences, traits, shopper, creative)
    for name in ("segment_template", "segment_headline", "palette_hour"):
        alone = effects.model_copy(update=nothing | {name: getattr(effects, name)})
        terms[name] = segmental(alone, preferences, law.shoppers.segment, traits, at)
    return terms


def _law(card, tables):
    """The law, the creatives' traits in it, and each impression's shopper in it, int64 [impressions]."""
    import pyarrow as pa

    from components.simulator.law_traits import creative_traits
    from components.simulator.market import latent_law, look_of
    from components.simulator.scenario import load_scenario
    from components.simulator.truth import positions

    law = latent_law(card.simulator, load_scenario(card.simulator.scenario))
    images = tables["images"]
    traits = creative_traits(tables["creatives"], tables["products"], images, look_of(images), law.scenario.sells)
    shoppers = positions(tables["impressions"]["shopper_id"], pa.array(law.shoppers.ids), "shopper_id")
    return law, traits, shoppers


def reference(built, tables, card) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Log-odds of places of impressions and creatives, int64 [n] each, by the law's own form with its variances."""
    from sklearn.linear_model import LogisticRegression

    from components.features.time_splits import TRAIN
    from components.interest.predictions import logged_pairs

    law, _, _ = _law(card, tables)
    columns = LawColumns.of(built, tables, card)
    deviations = columns.deviations(law.scenario.effects)
    training, click = logged_pairs(built, TRAIN)
    place = np.arange(len(built.impressions))[_places(built, training)]
    model = LogisticRegression(C=1.0, max_iter=500, tol=1e-6)
    model.fit(columns.at(place, _creative_places(built, training)) * deviations, click)
    return lambda row, creative: model.decision_function(columns.at(row, creative) * deviations)


@dataclass(frozen=True)
class LawColumns:
    """The columns of the law's form, on the tastes and segments that the features estimate.

    codes: level of each element of a creative, int64 [m] each; levels: how many; look: float [m, 4]; x, z: the tastes
    of impressions and the traits of creatives, by name; segment, hours: int64 [n]; position: its logarithm, float [n].
    """

    codes: dict[str, np.ndarray]
    levels: dict[str, int]
    look: np.ndarray
    x: dict[str, np.ndarray]
    z: dict[str, np.ndarray]
    segment: np.ndarray
    hours: np.ndarray
    position: np.ndarray

    @classmethod
    def of(cls, built, tables, card) -> "LawColumns":
        """The columns of a data set: its features, tables and card."""
        from components.features.time_splits import TRAIN
        from components.interest.models.feature_blocks import creative_blocks, impression_blocks

        _, traits, _ = _law(card, tables)
        order = pd.Index(tables["creatives"]["creative_id"]).get_indexer(built.creatives["creative_id"])
        names = ("product", "template", "headline", "call", "palette")
        codes = {name: np.asarray(getattr(traits, name))[order] for name in names}
        log = tables["impressions"]
        row = pd.Index(log["impression_id"]).get_indexer(built.impressions["impression_id"])
        return cls(
            codes,
            {name: int(code.max()) + 1 for name, code in codes.items()},
            np.asarray(traits.look)[order],
            impression_blocks(built.of(TRAIN)).encode(built.impressions, TASTES),
            creative_blocks(built.creatives).encode(built.creatives, TASTES),
            built.impressions["segment"].to_numpy(),
            log["context_local_hour"].to_numpy(np.int64)[row] // (24 // HOUR_BINS),
            np.log(log["position"].to_numpy(float)[row]),
        )

    @property
    def segments(self) -> int:
        """Number of segments."""
        return int(self.segment.max()) + 1

    def at(self, row: np.ndarray, creative: np.ndarray) -> np.ndarray:
        """float32 [n, d] of places of impressions and creatives, int64 [n] each."""
        codes, levels, group = self.codes, self.levels, self.segment[row]
        tastes = [(self.x[name][row] * self.z[name][creative]).sum(axis=1, keepdims=True) for name in TASTES]
        elements = [_one_hot(code[creative], levels[name]) for name, code in codes.items()]
        crossed = [
            _one_hot(group * levels[name] + codes[name][creative], self.segments * levels[name])
            for name in ("template", "headline")
        ]
        palette = _one_hot(codes["palette"][creative] * HOUR_BINS + self.hours[row], levels["palette"] * HOUR_BINS)
        parts = [*tastes, self.position[row][:, None], *elements, self.look[creative], *crossed, palette]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def deviations(self, effects: Effects) -> np.ndarray:
        """The prior standard deviation of each column: the law's own; 1 for tastes and position. float32 [d]."""
        elements = [(self.levels[name], effects.quality * np.sqrt(QUALITY_SHARES[name])) for name in self.codes]
        sizes = [
            (len(TASTES) + 1, 1.0),
            *elements,
            (self.look.shape[1], effects.quality * np.sqrt(QUALITY_SHARES["look"])),
            (self.segments * self.levels["template"], effects.segment_template),
            (self.segments * self.levels["headline"], effects.segment_headline),
            (self.levels["palette"] * HOUR_BINS, effects.palette_hour),
        ]
        return np.concatenate([np.full(count, deviation) for count, deviation in sizes]).astype(np.float32)


def _one_hot(code: np.ndarray, size: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)[code]


def _places(built, pairs) -> np.ndarray:
    ids = pairs.impressions["impression_id"]
    return pd.Index(built.impressions["impression_id"]).get_indexer(ids)[pairs.row]


def _creative_places(built, pairs) -> np.ndarray:
    ids = pairs.creatives["creative_id"]
    return pd.Index(built.creatives["creative_id"]).get_indexer(ids)[pairs.column]

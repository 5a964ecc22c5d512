"""Scores that a policy learns from the log itself, in place of the interest model's: what shops do by hand.

    popularity   r(a)    = (clicks(a) + m p) / (impressions(a) + m)                                                (1)
    rules        r(g, a) = p(g) prod_e p(g, e(a)) / p(g),   p(g, l) = (clicks(g, l) + m p(l)) / (impressions(g, l) + m)
                                                                                                                   (2)

where p is the log's click rate, g a segment of shoppers, e(a) the level of element e (a template, a headline) of
creative a, m the prior's weight in impressions, and p(l) the level's rate over all segments, by (1) with levels in
place of creatives; p(g) is (1) with segments. Rates are raw counts: a logging policy that shows a creative to keen
shoppers makes it popular (see benchmarks/ope_ranking.py). They are the peers that a learned policy must beat.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from components.policies.decision_table import ANY
from components.settings.errors import UserError
from components.settings.sections import Count, Section

HIGHEST = 0.999  # the product (2) is a rough probability, which must stay below 1


class PopularityConfig(Section):
    """Settings of `evaluation.policy.popularity`."""

    prior_impressions: Count = 500  # m of equation (1)


class RulesConfig(Section):
    """Settings of `evaluation.policy.rules`."""

    elements: tuple[str, ...] = ("template", "headline")  # columns of the contract's `creatives`
    prior_impressions: Count = 500  # m of equation (2)


@dataclass(frozen=True)
class PastDecisions:
    """What scores are learned from. impressions: creative_id, segment (`any` if unknown) and click, of consenting
    shoppers and before the select split. creatives: the contract's table and the pool, with every creative to score.
    """

    impressions: pd.DataFrame
    creatives: pd.DataFrame

    @property
    def click_rate(self) -> float:
        """Clicks per impression, with one impression and half a click added: in (0, 1) also without rows."""
        return (float(self.impressions["click"].sum()) + 0.5) / (len(self.impressions) + 1)


@dataclass(frozen=True)
class LearnedScores:
    """rows: segment, creative_id, score in (0, 1); those of segment `any` are for shoppers of no other segment."""

    rows: pd.DataFrame

    def of(self, segment: np.ndarray, creative_id: pd.Series) -> np.ndarray:
        """The score of each pair of segment and creative, float64 [n]; NaN for a creative that was not scored."""
        scores = self.rows.set_index(["segment", "creative_id"])["score"]
        own = scores.reindex(pd.MultiIndex.from_arrays([segment, creative_id])).to_numpy(dtype=float)
        everyone = scores.reindex(pd.MultiIndex.from_arrays([np.full(len(segment), ANY, dtype=object), creative_id]))
        return np.where(np.isnan(own), everyone.to_numpy(dtype=float), own)


# settings, past decisions -> scores
Learn = Callable[[Section, PastDecisions], LearnedScores]


def popularity(settings: PopularityConfig, past: PastDecisions) -> LearnedScores:
    """Equation (1): the same score for everybody."""
    rate = _rates(past.impressions["creative_id"], past.impressions["click"], past.click_rate, settings)
    names = past.creatives["creative_id"]
    scores = rate.reindex(names).fillna(past.click_rate).to_numpy()
    return LearnedScores(pd.DataFrame({"segment": ANY, "creative_id": names.to_numpy(), "score": scores}))


def rules(settings: RulesConfig, past: PastDecisions) -> LearnedScores:
    """Equation (2). UserError if an element is no column of `creatives`."""
    missing = [name for name in settings.elements if name not in past.creatives]
    if missing:
        raise UserError(
            f"evaluation.policy.rules.elements: creatives has no column {missing[0]!r}; choose among template, "
            "headline, call_to_action and palette, as far as the table has them"
        )
    shown = past.impressions.merge(past.creatives[["creative_id", *settings.elements]], on="creative_id", how="left")
    groups = [(ANY, shown), *((name, rows) for name, rows in shown.groupby("segment", sort=True) if name != ANY)]
    overall = {name: _rates(shown[name], shown["click"], past.click_rate, settings) for name in settings.elements}
    segment_rate = _rates(shown["segment"], shown["click"], past.click_rate, settings)
    parts = []
    for segment, rows in groups:
        base = past.click_rate if segment == ANY else float(segment_rate[segment])
        ratios = [_ratio(past.creatives[name], rows, overall[name], base, settings) for name in settings.elements]
        score = np.minimum(reduce(np.multiply, ratios, np.full(len(past.creatives), base)), HIGHEST)
        parts.append(pd.DataFrame({"segment": segment, "creative_id": past.creatives["creative_id"], "score": score}))
    return LearnedScores(pd.concat(parts, ignore_index=True))


def _ratio(level: pd.Series, rows: pd.DataFrame, overall: pd.Series, base: float, settings: RulesConfig) -> np.ndarray:
    """p(g, l) / p(g) of each creative's level, float64 [n_creatives]; 1 for a level that is null or was never shown.

    rows: a segment's impressions, with a column named as `level`.
    """
    counted = rows.groupby(level.name)["click"].agg(["sum", "count"]).reindex(overall.index).fillna(0.0)
    prior = settings.prior_impressions
    rate = (counted["sum"] + prior * overall) / (counted["count"] + prior)
    return (rate / base).reindex(level).fillna(1.0).to_numpy(dtype=float)


def _rates(key: pd.Series, click: pd.Series, rate: float, settings: PopularityConfig | RulesConfig) -> pd.Series:
    """Equation (1) for each value of `key`; float64 by value."""
    counted = click.astype(float).groupby(key.to_numpy()).agg(["sum", "count"])
    prior = settings.prior_impressions
    return (counted["sum"] + prior * rate) / (counted["count"] + prior)

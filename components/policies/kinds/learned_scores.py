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

import numpy as np
import pandas as pd

from components.policies.decision_table import ANY
from components.policies.shrunken_rates import overall_rate, product_of_rates, relative_rates, shrunken_rates
from components.settings.errors import UserError
from components.settings.sections import Count, Section


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
        """Clicks per impression, in (0, 1)."""
        return overall_rate(self.impressions["click"])


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
    shown = past.impressions
    rate = shrunken_rates(shown["creative_id"], shown["click"], past.click_rate, settings.prior_impressions)
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
    rate, prior = past.click_rate, settings.prior_impressions
    overall = {name: shrunken_rates(shown[name], shown["click"], rate, prior) for name in settings.elements}
    segment_rate = shrunken_rates(shown["segment"], shown["click"], rate, prior)
    parts = []
    for segment, rows in groups:
        base = rate if segment == ANY else float(segment_rate[segment])
        ratios = [
            relative_rates(past.creatives[name], _in_segment(name, rows, overall[name], settings), base)
            for name in settings.elements
        ]
        score = product_of_rates(base, ratios, len(past.creatives))
        parts.append(pd.DataFrame({"segment": segment, "creative_id": past.creatives["creative_id"], "score": score}))
    return LearnedScores(pd.concat(parts, ignore_index=True))


def _in_segment(name: str, rows: pd.DataFrame, overall: pd.Series, settings: RulesConfig) -> pd.Series:
    """p(g, l) of equation (2) for each level of element `name` in a segment's impressions `rows`, by level."""
    counted = rows.groupby(name)["click"].agg(["sum", "count"]).reindex(overall.index).fillna(0.0)
    prior = settings.prior_impressions
    return (counted["sum"] + prior * overall) / (counted["count"] + prior)

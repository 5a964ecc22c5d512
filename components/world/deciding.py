"""Decisions as an ad server takes them, per segment, placement and campaign -> a Chooser of the marketplace."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.world import vocabulary as words
from components.world.logging_policy import Requests
from components.world.market import Market
from components.world.traits import codes
from components.world.truth import positions


@dataclass(frozen=True)
class DecisionTable:
    """A looked-up policy within each request's shortlist S:

        pi(a | x) = (1 - e |U| / |S|) w_a / sum_{b in S} w_b     where the table speaks of a: w_a > 0          (1)
                  = e / |S|                                      where it does not, U: those creatives of S    (2)

    and 1 / |S| where the table speaks of none of S. `weight` float64 [segments, placements, campaigns, creatives + 1],
    the last column 0 (it pads short shortlists); `segment` int64 [shoppers]; `exploration` is e.
    """

    weight: np.ndarray
    segment: np.ndarray
    exploration: float

    def __call__(self, requests: Requests, shortlist: np.ndarray) -> np.ndarray:
        """Probabilities float64 [n, k] of each shortlisted creative."""
        segment = self.segment[requests.shopper]
        cell = segment[:, None], requests.placement[:, None], requests.campaign[:, None]
        weight = self.weight[(*cell, shortlist)]  # (n, k)
        listed = shortlist >= 0
        length = listed.sum(axis=1, keepdims=True)
        told, total = weight > 0, weight.sum(axis=1, keepdims=True)
        floor = np.where(total > 0, self.exploration, 1.0) / length
        strangers = np.where(listed & ~told, floor, 0.0)
        rest = 1.0 - strangers.sum(axis=1, keepdims=True)
        return strangers + rest * np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)


def decision_table(
    market: Market, decisions: pd.DataFrame, segment: Mapping[str, int], exploration: float
) -> DecisionTable:
    """`decisions` (segment, placement, campaign, creative_id, probability) and each shopper's segment -> a Chooser.

    Placements that the shop does not have are left out.
    """
    segments = int(max(decisions["segment"].max(), *segment.values())) + 1
    creatives = market.catalogue.creatives["creative_id"]
    placement = codes(decisions["placement"], words.PLACEMENTS)
    known = placement >= 0
    rows = decisions[known]
    campaign = positions(rows["campaign"], market.catalogue.campaigns["campaign"], "campaign")
    creative = positions(rows["creative_id"], creatives, "creative_id")
    weight = np.zeros((segments, len(words.PLACEMENTS), market.config.campaigns, len(creatives) + 1))
    weight[rows["segment"].to_numpy(np.int64), placement[known], campaign, creative] = rows["probability"].to_numpy()
    own = np.array([segment[shopper] for shopper in market.law.shoppers.ids], np.int64)
    return DecisionTable(weight, own, exploration)

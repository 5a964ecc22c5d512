"""A deployed policy as an AdPolicy of the marketplace, which gets the same columns as on an ad server."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.simulator import vocabulary as words
from components.simulator.logging_policy import Requests
from components.simulator.market import Market

# impressions (shopper_id, placement, campaign), pairs (creative_id) grouped in their order, offsets int64 [n + 1] ->
# the probability of showing each pair, float64 [n_pairs]
ProbabilityFunction = Callable[[pd.DataFrame, pd.DataFrame, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DeployedPolicy:
    """An AdPolicy that asks `decide` for the probabilities."""

    market: Market
    decide: ProbabilityFunction

    def __call__(self, requests: Requests, shortlist: np.ndarray) -> np.ndarray:
        """Probabilities float64 [n, k] of each shortlisted creative."""
        catalogue = self.market.catalogue
        shoppers, campaigns = np.array(self.market.law.shoppers.ids), catalogue.campaigns["campaign"].to_numpy(object)
        impressions = pd.DataFrame(
            {
                "shopper_id": shoppers[requests.shopper],
                "placement": np.array(words.PLACEMENTS, object)[requests.placement],
                "campaign": campaigns[requests.campaign],
            }
        )
        listed = shortlist >= 0
        offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))]).astype(np.int64)
        creatives = catalogue.creatives["creative_id"].to_numpy(object)
        probability = np.zeros(shortlist.shape)
        probability[listed] = self.decide(
            impressions, pd.DataFrame({"creative_id": creatives[shortlist[listed]]}), offsets
        )
        return probability

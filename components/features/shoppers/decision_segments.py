"""Clusters of shoppers as of one moment, for a decision table: a server knows them before the next request."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.features.feature_model import FeatureModel, consenting_rows, known_events
from components.features.products.looks import Looks
from components.features.shoppers.shopper_history import HistoryQuery, attribute_events
from components.features.timeline import microseconds

MAX_SHOPPERS = 50_000  # for fitting centroids; more shoppers do not make them better


def cluster_shoppers(
    model: FeatureModel, tables: Mapping[str, pd.DataFrame], looks: Looks, *, moment: int, count: int, seed: int
) -> pd.DataFrame:
    """The segment (text) of each consenting shopper with a history: columns shopper_id, segment; at most `count`.

    looks: of the images that products name. moment: microseconds since 1970; only events and impressions
    strictly before it count. Segment 0 is the largest. No rows if the data set has no history (no events, or
    features.shopper_history is false).
    """
    empty = pd.DataFrame({"shopper_id": pd.Series(dtype="str"), "segment": pd.Series(dtype="str")})
    events = known_events(tables) if model.behaviour.activity else None
    if events is None or not model.behaviour.tastes:
        return empty
    events = events[microseconds(events["timestamp"]) < moment]
    impressions = consenting_rows(tables["impressions"], tables)
    reached = impressions.loc[microseconds(impressions["timestamp"]) < moment, "shopper_id"]
    shoppers = pd.Series(np.unique(np.concatenate([events["shopper_id"].unique(), reached.unique()])), dtype="str")
    events_by_attribute = attribute_events(events, tables.get("products"), looks, model.traits)
    if shoppers.empty or not any(len(attribute.moment) for attribute in events_by_attribute):
        return empty
    estimates, _ = model.behaviour.tastes_of(
        HistoryQuery(shoppers, shoppers, np.full(len(shoppers), moment)), events_by_attribute
    )
    tastes = tuple(estimate.astype(np.float64) for estimate in estimates)
    segments = _clusters(tastes, count, seed)
    return pd.DataFrame({"shopper_id": shoppers, "segment": pd.Series(segments.astype(str), dtype="str")})


def _clusters(tastes: tuple[np.ndarray, ...], count: int, seed: int) -> np.ndarray:
    """k-means clusters int64 [shoppers] of tastes, each float64 [shoppers, k_i] and scaled to the same total variance.

    Cluster 0 is the largest. Centroids are fitted on at most MAX_SHOPPERS.
    """
    from sklearn.cluster import KMeans

    # one scale per taste, since within a taste the axes of larger variance distinguish shoppers
    deviations = [np.sqrt(taste.var(axis=0).sum()) for taste in tastes]
    scaled = np.concatenate(
        [
            (taste - taste.mean(axis=0)) / (deviation or 1.0)
            for taste, deviation in zip(tastes, deviations, strict=True)
        ],
        axis=1,
    )
    chosen = scaled
    if len(scaled) > MAX_SHOPPERS:
        chosen = scaled[np.sort(np.random.default_rng(seed).choice(len(scaled), MAX_SHOPPERS, replace=False))]
    number = min(count, len(np.unique(np.round(chosen, 6), axis=0)))
    cluster = KMeans(number, n_init=4, random_state=seed).fit(chosen).predict(scaled)
    largest_first = np.lexsort((np.arange(number), -np.bincount(cluster, minlength=number)))
    return np.argsort(largest_first)[cluster]

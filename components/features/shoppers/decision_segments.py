"""Events so far -> which shoppers are alike, as of one moment: what a server knows before the next request comes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.features.feature_model import FeatureModel, consented
from components.features.shoppers.shopper_history import Asked, touches_of
from components.features.timeline import microseconds

MOST_SHOPPERS = 50_000  # centroids are averages; more shoppers than this only cost time


def cluster_shoppers(
    model: FeatureModel, tables: Mapping[str, pd.DataFrame], moment: int, count: int, seed: int
) -> pd.DataFrame:
    """Consenting shoppers with a past -> at most `count` segments of like tastes: shopper_id, segment (text).

    moment: microseconds since 1970; only what happened strictly before it counts. Segment 0 is the largest. No rows
    where the data set tells no past (no events, or features.shopper_history is false).
    """
    nobody = pd.DataFrame({"shopper_id": pd.Series(dtype="str"), "segment": pd.Series(dtype="str")})
    events = consented(tables.get("events"), tables) if model.behaviour.activity else None
    if events is None or not model.behaviour.tastes:
        return nobody
    events = events[microseconds(events["timestamp"]) < moment]
    seen = consented(tables["impressions"], tables)
    seen = seen.loc[microseconds(seen["timestamp"]) < moment, "shopper_id"]
    shoppers = pd.Series(np.unique(np.concatenate([events["shopper_id"].unique(), seen.unique()])), dtype="str")
    touched = touches_of(events, tables.get("products"), tables.get("images"), model.traits)
    if shoppers.empty or not any(len(touches.moment) for touches in touched):
        return nobody
    averages, _ = model.behaviour.averages(Asked(shoppers, shoppers, np.full(len(shoppers), moment)), touched)
    tastes = tuple(average.astype(np.float64) for average in averages)
    segments = _clusters(tastes, count, seed)
    return pd.DataFrame({"shopper_id": shoppers, "segment": pd.Series(segments.astype(str), dtype="str")})


def _clusters(tastes: tuple[np.ndarray, ...], count: int, seed: int) -> np.ndarray:
    """Per taste float64 [shoppers, k_i], each scaled to the same total variance -> k-means clusters, int64 [shoppers].

    Cluster 0 is the largest. Centroids are found on at most MOST_SHOPPERS.
    """
    from sklearn.cluster import KMeans

    # one scale per taste: within a taste, the axes that vary more are the ones that tell shoppers apart
    deviations = [np.sqrt(taste.var(axis=0).sum()) for taste in tastes]
    scaled = np.concatenate(
        [
            (taste - taste.mean(axis=0)) / (deviation or 1.0)
            for taste, deviation in zip(tastes, deviations, strict=True)
        ],
        axis=1,
    )
    chosen = scaled
    if len(scaled) > MOST_SHOPPERS:
        chosen = scaled[np.sort(np.random.default_rng(seed).choice(len(scaled), MOST_SHOPPERS, replace=False))]
    fewer = min(count, len(np.unique(np.round(chosen, 6), axis=0)))
    cluster = KMeans(fewer, n_init=4, random_state=seed).fit(chosen).predict(scaled)
    largest_first = np.lexsort((np.arange(fewer), -np.bincount(cluster, minlength=fewer)))
    return np.argsort(largest_first)[cluster]

"""The log -> one readable row per shopper: what they like, in words a marketer can check."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from components.features.feature_model import FeatureModel, consented
from components.features.products.text_space import PART
from components.features.shoppers.shopper_history import Asked, Touches
from components.features.timeline import Timeline, places

MOST_FAVOURITES = 3
COLUMNS = ("shopper_id", "segment", "events", "last_seen", "categories", "brands", "price_band", "top_terms")


def shopper_profiles(
    model: FeatureModel, tables: Mapping[str, pd.DataFrame], touched: tuple[Touches, ...], until: int, terms: int
) -> pd.DataFrame:
    """Consenting shoppers with events before `until` -> profiles; text columns list the favourite first, `, ` between.

    A favourite is what the shopper touched most and at least once; shoppers without one have null.
    """
    events = consented(tables.get("events"), tables)
    if events is None or not model.behaviour.tastes or not len(events):
        return pd.DataFrame({name: pd.Series(dtype="str") for name in COLUMNS})
    shoppers, count, last_seen = _seen(touched[0].timeline)
    asked = Asked(shoppers, shoppers, np.full(len(shoppers), until))
    named = dict(zip((touches.trait for touches in touched), touched, strict=True))
    return pd.DataFrame(
        {
            "shopper_id": shoppers,
            "segment": segment_of(model, asked, touched),
            "events": count,
            "last_seen": last_seen,
            "categories": _favourites(shoppers, named.get("category"), MOST_FAVOURITES),
            "brands": _favourites(shoppers, named.get("brand"), MOST_FAVOURITES),
            "price_band": _favourites(shoppers, named.get("price"), 1),
            "top_terms": _top_terms(model, shoppers, events, terms),
        }
    )


def _seen(timeline: Timeline) -> tuple[pd.Series, np.ndarray, pd.Series]:
    """The shoppers [n] in the order of their ids, their events int64 [n] and the time of the last one."""
    count = np.bincount(timeline.shopper, minlength=len(timeline.shoppers))
    last = timeline.moment[np.cumsum(count) - 1]  # of one shopper, they stand in order of time
    shoppers = pd.Series(timeline.shoppers, dtype="str")
    order = shoppers.argsort().to_numpy()
    times = pd.to_datetime(pd.Series(last[order]), unit="us", utc=True).dt.as_unit("us")
    return shoppers.iloc[order].reset_index(drop=True), count[order], times


def segment_of(model: FeatureModel, asked: Asked, touched: tuple[Touches, ...]) -> np.ndarray:
    """n questions -> int64 [n], the segment as of each moment; 0 where there are no segments."""
    if model.segments is None:
        return np.zeros(len(asked.moment), dtype=np.int64)
    averages, _ = model.behaviour.averages(asked, touched)
    return model.segments.assign(model.behaviour.tastes, averages)


def _favourites(shoppers: pd.Series, touches: Touches | None, most: int) -> np.ndarray:
    """shoppers [n] -> object [n]: their most touched levels, `, ` between; None where there is none."""
    from scipy.sparse import csr_array

    if touches is None:
        return np.full(len(shoppers), None, dtype=object)
    level, width = touches.table.argmax(axis=1)[touches.row], len(touches.columns)
    row = places(pd.Series(touches.timeline.shoppers, dtype="str"), pd.Index(shoppers))[touches.shopper]
    counts = np.bincount(row * width + level, minlength=len(shoppers) * width).reshape(len(shoppers), width)
    names = [column.partition(":")[2] for column in touches.columns]
    return _listed(csr_array(counts.astype(np.float64)), names, most)


def _top_terms(model: FeatureModel, shoppers: pd.Series, events: pd.DataFrame, most: int) -> np.ndarray:
    """Each shopper's heaviest search terms by TF-IDF; pieces of words are left out, for nobody reads them."""
    from scipy.sparse import csr_array

    space = model.traits.text
    said = events[events["text"].notna()]
    if space is None or not len(said):
        return np.full(len(shoppers), None, dtype=object)
    codes, texts = pd.factorize(said["text"])
    rows = places(said["shopper_id"], pd.Index(shoppers))
    spoken = csr_array((np.ones(len(rows)), (rows, codes)), shape=(len(shoppers), len(texts)))
    readable = [number for number, term in enumerate(space.vocabulary) if not term.startswith(PART) and len(term) > 1]
    weights = spoken @ space.tfidf(texts)[:, readable]  # (shoppers, readable terms)
    return _listed(csr_array(weights), [space.vocabulary[number] for number in readable], most)


def _listed(weights, names: list[str], most: int) -> np.ndarray:
    """Sparse weights [n, k] and k names -> object [n]: each row's heaviest names, ties in the names' order."""
    listed = np.full(weights.shape[0], None, dtype=object)
    for row in range(weights.shape[0]):
        span = slice(weights.indptr[row], weights.indptr[row + 1])
        columns, heavy = weights.indices[span], weights.data[span]
        best = columns[np.lexsort((columns, -np.round(heavy, 9)))][:most]
        if len(best):
            listed[row] = ", ".join(names[column] for column in best)
    return listed

"""Shopper profiles: one row per shopper with favourite categories, brands and search terms, for people to read."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.features.feature_model import FeatureModel
from components.features.products.text_space import WORD_PART
from components.features.shoppers.shopper_history import AttributeEvents, HistoryQuery
from components.features.timeline import Timeline, positions

MAX_FAVOURITES = 3
PROFILE_COLUMNS = ("shopper_id", "segment", "events", "last_seen", "categories", "brands", "price_band", "top_terms")


def shopper_profiles(
    model: FeatureModel,
    events: pd.DataFrame | None,
    events_by_attribute: tuple[AttributeEvents, ...],
    until: int,
    terms: int,
) -> pd.DataFrame:
    """Profiles of the shoppers of `events` before `until`; text columns are lists with `, `, favourites first.

    events: of consenting shoppers. A favourite is a level with most events of the shopper, at least one; null without
    any.
    """
    if events is None or not model.behaviour.tastes or not len(events):
        return pd.DataFrame({name: pd.Series(dtype="str") for name in PROFILE_COLUMNS})
    shoppers, count, last_seen = _activity_of(events_by_attribute[0].timeline)
    query = HistoryQuery(shoppers, shoppers, np.full(len(shoppers), until))
    named = {attribute.trait: attribute for attribute in events_by_attribute}
    return pd.DataFrame(
        {
            "shopper_id": shoppers,
            "segment": segment_of(model, query, events_by_attribute),
            "events": count,
            "last_seen": last_seen,
            "categories": _favourites(shoppers, named.get("category"), MAX_FAVOURITES),
            "brands": _favourites(shoppers, named.get("brand"), MAX_FAVOURITES),
            "price_band": _favourites(shoppers, named.get("price"), 1),
            "top_terms": _top_terms(model, shoppers, events, terms),
        }
    )


def joined_profiles(profiles: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The profiles of several blocks of shoppers in one table, by id as in `shopper_profiles`."""
    if len(profiles) == 1:
        return profiles[0]
    table = pd.concat([block for block in profiles if len(block)] or profiles[:1], ignore_index=True)
    return table.iloc[table["shopper_id"].argsort().to_numpy()].reset_index(drop=True)


def _activity_of(timeline: Timeline) -> tuple[pd.Series, np.ndarray, pd.Series]:
    """The shoppers [n] sorted by id, their numbers of events int64 [n] and the time of the last event."""
    count = np.bincount(timeline.shopper, minlength=len(timeline.shoppers))
    last = timeline.moment[np.cumsum(count) - 1]  # a shopper's events are in order of time
    shoppers = pd.Series(timeline.shoppers, dtype="str")
    order = shoppers.argsort().to_numpy()
    times = pd.to_datetime(pd.Series(last[order]), unit="us", utc=True).dt.as_unit("us")
    return shoppers.iloc[order].reset_index(drop=True), count[order], times


def segment_of(
    model: FeatureModel, query: HistoryQuery, events_by_attribute: tuple[AttributeEvents, ...]
) -> np.ndarray:
    """int64 [n], the segment as of each moment of `query`; 0 without segments."""
    if model.segments is None:
        return np.zeros(len(query.moment), dtype=np.int64)
    estimates, _ = model.behaviour.tastes_of(query, events_by_attribute)
    return model.segments.assign(model.behaviour.tastes, estimates)


def _favourites(shoppers: pd.Series, attribute: AttributeEvents | None, most: int) -> np.ndarray:
    """object [n]: the levels with most events of each shopper [n], as a list with `, `; None without any."""
    from scipy.sparse import csr_array

    if attribute is None:
        return np.full(len(shoppers), None, dtype=object)
    level, width = attribute.table.argmax(axis=1)[attribute.row], len(attribute.columns)
    row = positions(pd.Series(attribute.timeline.shoppers, dtype="str"), pd.Index(shoppers))[attribute.shopper]
    counts = np.bincount(row * width + level, minlength=len(shoppers) * width).reshape(len(shoppers), width)
    names = [column.partition(":")[2] for column in attribute.columns]
    return _listed(csr_array(counts.astype(np.float64)), names, most)


def _top_terms(model: FeatureModel, shoppers: pd.Series, events: pd.DataFrame, most: int) -> np.ndarray:
    """object [n]: each shopper's search terms of largest TF-IDF weight, without pieces of words."""
    from scipy.sparse import csr_array

    space = model.traits.text
    searches = events[events["text"].notna()]
    if space is None or not len(searches):
        return np.full(len(shoppers), None, dtype=object)
    codes, texts = pd.factorize(searches["text"])
    rows = positions(searches["shopper_id"], pd.Index(shoppers))
    counts = csr_array((np.ones(len(rows)), (rows, codes)), shape=(len(shoppers), len(texts)))
    readable = [
        number for number, term in enumerate(space.vocabulary) if not term.startswith(WORD_PART) and len(term) > 1
    ]
    weights = counts @ space.tfidf(texts)[:, readable]  # (shoppers, readable terms)
    return _listed(csr_array(weights), [space.vocabulary[number] for number in readable], most)


def _listed(weights, names: list[str], most: int) -> np.ndarray:
    """object [n]: the `most` names of largest weight in each row of sparse weights [n, k]; ties in the names' order."""
    listed = np.full(weights.shape[0], None, dtype=object)
    for row in range(weights.shape[0]):
        span = slice(weights.indptr[row], weights.indptr[row + 1])
        columns, heavy = weights.indices[span], weights.data[span]
        best = columns[np.lexsort((columns, -np.round(heavy, 9)))][:most]
        if len(best):
            listed[row] = ", ".join(names[column] for column in best)
    return listed

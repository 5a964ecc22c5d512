"""The features of one request and the P(click) of the creatives, by the models in a champion's package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from components.features import FeatureModel, creative_features
from components.features.feature_tables import segments_of
from components.features.pairs.pair_values import pair_columns
from components.features.products.creative_features import advertised_products
from components.features.products.looks import Looks, looks_of
from components.features.products.open_columns import Versions
from components.features.request_context import LOCAL_HOUR
from components.features.shoppers.shopper_history import HistoryQuery, attribute_events
from components.interest import CalibratedModel
from components.interest.request_scorer import RequestProbabilities, RequestRow

LABELS_KEPT = 10_000  # encodings of positions, placements, campaigns and contexts that are kept


@dataclass(frozen=True)
class RequestContext:
    """What a request says of itself. open: the columns `context_*` -> value, sorted by name."""

    moment: int
    position: int
    placement: str | None
    campaign: str
    open: tuple[tuple[str, object], ...] = ()


class RequestFeatures:
    """Scores creatives for requests. The shopper is unknown so far: the features are those of a new shopper."""

    def __init__(self, model: FeatureModel, interest: CalibratedModel, tables: Mapping[str, pd.DataFrame]):
        """tables: creatives (with the champion's pool) and, if there are any, products and images."""
        products = tables.get("products")
        looks = looks_of(model.traits.look, tables)
        creatives = creative_features(model, tables["creatives"], products, looks)
        shown = advertised_products(tables["creatives"], products)
        self._versions = Versions.of(creatives, model.creative.earlier(creatives, tables["creatives"], shown))
        names = pair_columns(model.pairs)
        asked = (self._versions.table, model.impression_columns, names)
        self._score, self._error = interest.for_requests(*asked), interest.errors_for_requests(*asked)
        self._unseen = np.zeros((len(self._versions.table), len(names)), dtype=np.float32)
        self._model, self._row_of = model, {name: row for row, name in enumerate(creatives["creative_id"])}
        past = _of_a_new_shopper(model, products)
        self._shopper = np.concatenate([past, np.zeros(len(model.shopper.columns), dtype=np.float32)])
        self._segment = int(segments_of(model, past[None, :])[0])
        self._labels = lru_cache(LABELS_KEPT)(self._encode_labels)
        self._open = lru_cache(LABELS_KEPT)(self._encode_open)

    def known(self, creative_id: pd.Series) -> np.ndarray:
        """Whether each creative has features: bool [n]."""
        return creative_id.isin(self._row_of).to_numpy()

    def rows_of(self, creative_id: pd.Series) -> np.ndarray:
        """The place of each known creative in the feature tables, int64 [n]."""
        return np.array([self._row_of[name] for name in creative_id], dtype=np.int64)

    def clicks(self, context: RequestContext, places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Rows of a catalogue int64 [n] -> P(click) float64 [n]; places: of each row of the catalogue (`rows_of`)."""
        return self._of_request(self._score, context, places)

    def errors(self, context: RequestContext, places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """As `clicks`, the standard errors of the probabilities, without what all the rows share.

        UserError, when they are called, if the interest model has none.
        """
        return self._of_request(self._error, context, places)

    def _of_request(
        self, score: RequestProbabilities, context: RequestContext, places: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        request = self.row(context)

        def scores(rows: np.ndarray) -> np.ndarray:
            creative = self._versions.at(places[rows], np.full(len(rows), context.moment))
            return score(request, creative, self._unseen[: len(rows)])

        return scores

    def row(self, context: RequestContext) -> RequestRow:
        """The features of a request, in the order of `FeatureModel.impression_columns`."""
        labels = self._labels(context.position, context.placement, context.campaign)
        hour = dict(context.open).get(LOCAL_HOUR)
        local_hour = None if hour is None else np.array([float(hour)])
        clock = self._model.context.clock(np.array([context.moment]), local_hour)[0]
        values = np.concatenate([self._shopper, labels, clock, self._open(context.open)])
        return RequestRow(values, self._segment)

    def _encode_labels(self, position: int, placement: str | None, campaign: str) -> np.ndarray:
        row = {"position": position, "placement": placement, "campaign": campaign}
        return self._model.context.labels(pd.DataFrame([row]))[0]

    def _encode_open(self, values: tuple[tuple[str, object], ...]) -> np.ndarray:
        return self._model.context.free.encode(pd.DataFrame([dict(values)], index=[0]))[0]


def _of_a_new_shopper(model: FeatureModel, products: pd.DataFrame | None) -> np.ndarray:
    """float32 [k]: the features of a shopper without any event or impression, by the functions of the batch path."""
    time = pd.Series([pd.Timestamp(0, tz="UTC")]).astype("datetime64[us, UTC]")
    of_another = {"timestamp": time, "shopper_id": pd.Series(["another"], dtype="str")}
    text = pd.Series([None], dtype="str")
    events = pd.DataFrame({**of_another, "kind": "view", "product_id": text, "text": text, "value": np.nan})
    impressions = pd.DataFrame({**of_another, "campaign": "", "click": 0})
    attributes: tuple = ()
    if model.behaviour.activity is not None:
        attributes = attribute_events(events, products, Looks.none(), model.traits)
    shopper = pd.Series(["new"], dtype="str")
    query = HistoryQuery(shopper, shopper, np.array([1]))
    return model.behaviour.as_of(query, events, attributes, impressions)[0]

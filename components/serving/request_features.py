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
from components.features.products.looks import looks_of
from components.features.products.open_columns import Versions, known_from
from components.features.request_context import LOCAL_HOUR
from components.features.shoppers.one_shopper import OneShopper, ShopperRows
from components.interest import CalibratedModel
from components.interest.reasons import CHINESE, ENGLISH, RequestReasons
from components.interest.request_scorer import RequestRow
from components.policies.online_policy import ClickErrors, ClickProbabilities
from components.policies.table_reasons import Sentences

LABELS_KEPT = 10_000  # encodings of positions, placements, campaigns and contexts that are kept


@dataclass(frozen=True)
class RequestContext:
    """What a request says of itself. open: the columns `context_*` -> value, sorted by name."""

    moment: int
    position: int
    placement: str | None
    campaign: str
    open: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class RequestScores:
    """Functions of rows of a catalogue int64 [n]. probabilities: P(click), float64 [n]; errors: their standard errors,
    without what all the rows share, float64 [n] (UserError if the interest model has none); reasons: with the place of
    the shown one, why it is shown; None if the kind of model cannot say it.
    """

    probabilities: ClickProbabilities
    errors: ClickErrors
    reasons: Callable[[np.ndarray, int], Sentences | None]


class RequestFeatures:
    """Scores creatives for requests, from what a request says and the shopper's rows (none if unknown)."""

    def __init__(self, model: FeatureModel, interest: CalibratedModel, tables: Mapping[str, pd.DataFrame]):
        """tables: creatives (with the champion's pool) and, if there are any, products, images and shoppers."""
        products = tables.get("products")
        looks = looks_of(model.traits.look, tables)
        creatives = creative_features(model, tables["creatives"], products, looks)
        shown = advertised_products(tables["creatives"], products)
        self._versions = Versions.of(creatives, model.creative.earlier(creatives, tables["creatives"], shown))
        names = pair_columns(model.pairs)
        asked = (self._versions.table, model.impression_columns, names)
        self._score, self._error = interest.for_requests(*asked), interest.errors_for_requests(*asked)
        effects = interest.facts_for_requests(*asked)
        self._reasons = None if effects is None else RequestReasons(effects, self._versions.table)
        self._model, self._row_of = model, {name: row for row, name in enumerate(creatives["creative_id"])}
        self._history = OneShopper(model, creatives, products, looks)
        self._own = _OwnColumns(model, tables.get("shoppers"))
        self._labels = lru_cache(LABELS_KEPT)(self._encode_labels)
        self._open = lru_cache(LABELS_KEPT)(self._encode_open)

    def known(self, creative_id: pd.Series) -> np.ndarray:
        """Whether each creative has features: bool [n]."""
        return creative_id.isin(self._row_of).to_numpy()

    def rows_of(self, creative_id: pd.Series) -> np.ndarray:
        """The place of each known creative in the feature tables, int64 [n]."""
        return np.array([self._row_of[name] for name in creative_id], dtype=np.int64)

    def scores(
        self, context: RequestContext, places: np.ndarray, shopper_id: str | None, rows: ShopperRows
    ) -> "RequestScores":
        """What the interest model says of the request.

        places: of each row of the catalogue (`rows_of`). shopper_id, rows: of a shopper who may be known; None and no
        rows for others.
        """
        request = self.row(context, shopper_id, rows)

        def pairs(catalogue_rows: np.ndarray) -> tuple[RequestRow, np.ndarray, np.ndarray]:
            creative = places[catalogue_rows]
            version = self._versions.at(creative, np.full(len(creative), context.moment))
            return request, version, self._history.pair_values(rows, context.moment, creative)

        return RequestScores(
            lambda catalogue_rows: self._score(*pairs(catalogue_rows)),
            lambda catalogue_rows: self._error(*pairs(catalogue_rows)),
            lambda catalogue_rows, shown: self._sentences(pairs(catalogue_rows), shown),
        )

    def _sentences(self, pairs: tuple[RequestRow, np.ndarray, np.ndarray], shown: int) -> Sentences | None:
        if self._reasons is None:
            return None
        reasons = self._reasons.of(*pairs, shown)
        return {language: tuple(reason.text(language) for reason in reasons) for language in (ENGLISH, CHINESE)}

    def row(self, context: RequestContext, shopper_id: str | None, rows: ShopperRows) -> RequestRow:
        """The features of a request, in the order of `FeatureModel.impression_columns`."""
        past = self._history.past(rows, context.campaign, context.moment)
        labels = self._labels(context.position, context.placement, context.campaign)
        hour = dict(context.open).get(LOCAL_HOUR)
        local_hour = None if hour is None else np.array([hour], dtype=np.float64)
        clock = self._model.context.clock(np.array([context.moment]), local_hour)[0]
        own = self._own.at(shopper_id, context.moment)
        values = np.concatenate([past, own, labels, clock, self._open(context.open)])
        return RequestRow(values, int(segments_of(self._model, past[None, :])[0]))

    def _encode_labels(self, position: int, placement: str | None, campaign: str) -> np.ndarray:
        row = {"position": position, "placement": placement, "campaign": campaign}
        return self._model.context.labels(pd.DataFrame([row]))[0]

    def _encode_open(self, values: tuple[tuple[str, object], ...]) -> np.ndarray:
        return self._model.context.free.encode(pd.DataFrame([dict(values)], index=[0]))[0]


class _OwnColumns:
    """The open columns of shoppers, as build_features gives them: zeros for a shopper who is not in the table."""

    def __init__(self, model: FeatureModel, shoppers: pd.DataFrame | None):
        self._none = np.zeros(len(model.shopper.columns), dtype=np.float32)
        self._row: dict[str, int] = {}
        if len(self._none) and shoppers is not None:
            self._row = {name: row for row, name in enumerate(shoppers["shopper_id"])}
            self._values, self._missing = model.shopper.encode(shoppers), model.shopper.missing()
            self._known_from = known_from(shoppers)

    def at(self, shopper_id: str | None, moment: int) -> np.ndarray:
        """float32 [k]."""
        row = -1 if shopper_id is None else self._row.get(shopper_id, -1)
        if row < 0:
            return self._none
        return self._values[row] if self._known_from[row] <= moment else self._missing

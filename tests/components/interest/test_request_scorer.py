"""One request at a time, by arrays, scores as tables do: every kind of interest model, and one without towers."""

import numpy as np
import pytest

from components.features.pairs.pair_values import pair_columns
from components.features.time_splits import SELECT
from components.interest import CalibratedModel, train_interest
from components.interest.model_kinds import MODEL_KINDS
from components.interest.model_protocol import Pairs
from components.interest.predictions import pairs_at
from components.interest.request_scorer import RequestRow, TableScorer, request_scorer
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig, InterestConfig
from tests.components.features.shop import shop
from tests.components.interest import category_rates

FEATURES = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3, select_share=0.39)
NETWORK = {"epochs": 2, "batch_size": 128, "hidden": (16,)}
KINDS = ("category_rates", *MODEL_KINDS)


@pytest.fixture(scope="module")
def tables():
    return shop(seed=5, liking=1.5)


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name == "network")) for name in KINDS])
def champion(request, features, monkeypatch) -> CalibratedModel:
    """A model of each kind; `category_rates` has no scorer of its own."""
    monkeypatch.setitem(MODEL_KINDS, "category_rates", category_rates.KIND)
    return train_interest(features, InterestConfig(models=(request.param,), network=NETWORK, bootstrap=20)).champion


def requests(features, model) -> list[tuple[RequestRow, Pairs]]:
    """Some impressions as requests, each with all creatives as a table of pairs."""
    rows = np.flatnonzero(features.impressions["split"] == SELECT)[::40]
    values = features.impressions[list(model.impression_columns)].to_numpy(dtype=np.float32)
    column = np.arange(len(features.creatives))
    return [
        (
            RequestRow(values[row], int(features.impressions["segment"].iloc[row])),
            pairs_at(features, np.full(len(column), row), column),
        )
        for row in rows
    ]


def test_a_request_is_scored_as_a_table_of_its_pairs(champion, features, model):
    names = pair_columns(features.pairs)
    score = champion.for_requests(features.versions.table, model.impression_columns, names)
    scored = requests(features, model)
    assert len(scored) > 5
    for request, pairs in scored:
        np.testing.assert_allclose(score(request, pairs.column, pairs.values), champion.probabilities(pairs), rtol=1e-6)


def test_the_order_of_pair_features_is_the_servers_and_not_the_models(features, model):
    champion = train_interest(features, InterestConfig(models=("logistic",), bootstrap=20)).champion
    names = pair_columns(features.pairs)
    score = champion.for_requests(features.versions.table, model.impression_columns, (*names[::-1], "of others"))
    request, pairs = requests(features, model)[0]
    values = np.column_stack([pairs.values[:, ::-1], np.ones(len(pairs.values), np.float32)])
    np.testing.assert_allclose(score(request, pairs.column, values), champion.probabilities(pairs), rtol=1e-6)
    with pytest.raises(UserError, match=f"needs the pair feature {names[0]}"):
        champion.for_requests(features.versions.table, model.impression_columns, names[1:])
    with pytest.raises(UserError, match="the features lack column"):
        champion.for_requests(features.versions.table, model.impression_columns[:-1], names)


def test_a_kind_without_towers_is_scored_through_tables(features, model):
    rates = category_rates.CategoryRates({"creative_category:Bag": -1.0}, base=-3.0)
    assert isinstance(request_scorer(rates, features.creatives, model.impression_columns, ()), TableScorer)

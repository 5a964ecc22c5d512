"""The form per shopper on the path of requests: new and known shoppers have the probabilities of the batch path."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.files.tables import write_bytes, write_table
from components.features import FeatureModel, build_features, fit_features
from components.features.shoppers.one_shopper import ShopperRows
from components.features.timeline import microseconds
from components.interest import CalibratedModel, score_pairs, train_interest
from components.interest.predictions import pairs_at
from components.interest.reasons import decision_reasons
from components.policies import POLICIES
from components.policies.campaign_limits import campaign_terms
from components.policies.online_policy import AdRequest
from components.policies.policy_package import PolicyPackage
from components.serving.history_store import HistoryStore
from components.serving.request_features import RequestContext
from components.serving.served_policy import read_champion
from components.serving.shop_tables import ShopTables
from components.settings.sections import FeaturesConfig, InterestConfig, ServingConfig
from components.workflow.publishing.deployed_policy import read_package
from tests.components.features.shop import shop
from tests.components.policies.packages import PARAMETERS, catalogue

CONFIG = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3, pairs=("repeats", "category_views_6h"))


@pytest.fixture(scope="module")
def tables():
    tables = shop(seed=5, impressions=3000, liking=1.5)
    hour = np.random.default_rng(1).integers(0, 24, len(tables["impressions"]))
    device = np.random.default_rng(2).choice(["phone", "desk"], len(hour))
    logged = tables["impressions"].assign(context_local_hour=hour.astype(float), context_device=device)
    until = pd.Timestamp("2100-01-01", tz="UTC")
    campaigns = tables["campaigns"].assign(starts_at=logged["timestamp"].min(), ends_at=until)
    return {**tables, "impressions": logged, "campaigns": campaigns}


@pytest.fixture(scope="module")
def learned(tables) -> tuple[FeatureModel, CalibratedModel]:
    model = fit_features(tables, CONFIG)
    built = build_features(model, tables, CONFIG)
    return model, train_interest(built, InterestConfig(models=("logistic",), bootstrap=20)).champion


@pytest.fixture(params=["chi_square", "thompson"])
def folder(tables, learned, tmp_path, request):
    """A package whose pool has a creative that the shop lacks; with a policy that needs the model's errors, or not."""
    parameters = replace(PARAMETERS, policy=request.param, errors=POLICIES[request.param].needs_errors)
    creatives = tables["creatives"]
    of_shop = dict(zip(creatives["creative_id"], creatives["campaign"], strict=True))
    listed = catalogue({**of_shop, "new1": "spring"}, new=("new1",)).assign(value=1.0)
    empty = pd.DataFrame({"segment": [], "placement": [], "campaign": [], "creative_id": []}, dtype="str")
    segments = pd.DataFrame({"shopper_id": ["shopper001"], "segment": ["0"]})
    package = PolicyPackage(parameters, empty.assign(probability=0.0, impressions=0), segments, listed)
    place = UPath(tmp_path / "package")
    models = {"features": learned[0].files(), "interest": learned[1].files()}
    for name, content in package.files().items():
        write_bytes(content, place / name)
    for kind, files in models.items():
        for name, content in files.items():
            write_bytes(content, place / "model" / kind / name)
    write_table(creatives.head(1).assign(creative_id="new1", origin="vae-1"), place / "pool" / "creatives.parquet")
    return place


def known_shop(tables) -> ShopTables:
    consenting = frozenset(tables["shoppers"].loc[tables["shoppers"]["consent"], "shopper_id"])
    card = SimpleNamespace(name="shop")
    return ShopTables(card, {name: rows for name, rows in tables.items() if name != "impressions"}, consenting, {})


def with_pool(tables, folder, asked: pd.DataFrame) -> dict[str, pd.DataFrame]:
    creatives = pd.concat([tables["creatives"], pd.read_parquet(folder / "pool" / "creatives.parquet")])
    return {**tables, "impressions": asked, "creatives": creatives.reset_index(drop=True)}


def due(learned, folder, built, asked: pd.DataFrame, number: int, creative_ids) -> np.ndarray:
    """The probabilities of the batch path for row `number` of `asked`."""
    row = asked.iloc[[number]]
    pairs = pd.DataFrame({"impression_id": row["impression_id"].iloc[0], "creative_id": creative_ids})
    pairs = score_pairs(learned[1], built, pairs, errors=True)
    return read_package(folder).per_shopper(row, pairs, np.array([0, len(pairs)]))


def test_the_reasons_of_a_request_are_those_of_the_batch_path(tables, learned, folder):
    served = served_by(folder, tables)
    asked = tables["impressions"].iloc[::500].assign(shopper_id="a newcomer").reset_index(drop=True)
    built = build_features(learned[0], with_pool(tables, folder, asked), CONFIG)
    moments = microseconds(asked["timestamp"])
    for number, row in asked.iterrows():
        request = request_of(row, int(moments[number]), None)
        assert served.decide(*request).reasons is None, "not asked"
        decision = served.decide(*request, explain=True)
        column = built.creatives.set_index("creative_id").index.get_indexer(decision.creative_ids)
        pairs = pairs_at(built, np.full(len(column), number), column)
        (reasons,) = decision_reasons(learned[1], pairs, pairs.row * 0, column[[decision.chosen]])
        for language in ("en", "zh"):
            assert decision.reasons[language] == tuple(reason.text(language) for reason in reasons)


def request_of(row, moment: int, shopper_id: str | None) -> tuple[AdRequest, int, list]:
    context = [("context_device", row["context_device"]), ("context_local_hour", row["context_local_hour"])]
    asked = AdRequest(row["impression_id"], moment, (row["campaign"],), shopper_id, row["placement"])
    return asked, row["position"], context


def served_by(folder, tables):
    acting = {"acts": "per_shopper", "forms": ["per_shopper"]}
    return read_champion(folder, acting, (3, "f" * 64)).served(known_shop(tables), ServingConfig())


def test_a_new_shoppers_request_is_decided_as_in_batch(tables, learned, folder):
    served = served_by(folder, tables)
    asked = tables["impressions"].iloc[::300].assign(shopper_id="a newcomer").reset_index(drop=True)
    built = build_features(learned[0], with_pool(tables, folder, asked), CONFIG)
    moments = microseconds(asked["timestamp"])
    for number, row in asked.iterrows():
        decision = served.decide(*request_of(row, int(moments[number]), None))
        expected = due(learned, folder, built, asked, number, decision.creative_ids)
        np.testing.assert_allclose(decision.probabilities, expected, rtol=2e-5)
        assert ("new1" in decision.creative_ids) == (row["campaign"] == "spring")


@pytest.mark.parametrize("form", ["per_shopper", "table"])
def test_the_campaign_that_earns_most_shows_its_ad_but_for_a_share(tables, folder, form):
    """The twin scores every ad of each campaign and multiplies by the bid; the creative's propensity is unchanged."""
    config = ServingConfig(campaign_choice="value", campaign_exploration=0.2)
    champion = read_champion(folder, {"acts": form, "forms": [form]}, (3, "f" * 64), with_models=True)
    row = tables["impressions"].iloc[0]
    moment = int(microseconds(tables["impressions"]["timestamp"])[0])
    for billing, bids in (("cpc", (1.0, 1.0)), ("cpc", (1.0, 3.0)), ("cpm", (0.1, 900.0)), ("cpm", (3.0, None))):
        campaigns = tables["campaigns"].assign(billing=[billing, "cpc"], bid=pd.Series(bids, dtype=float))
        shop = replace(known_shop(tables), terms=campaign_terms(campaigns))
        served = champion.served(shop, config)
        open_, position, context = request_of(row, moment, None)
        open_, earned = replace(open_, campaigns=()), {}
        for name, bid in zip(campaigns["campaign"], bids, strict=True):
            eligible = served.online.eligible(replace(open_, campaigns=(name,)))
            asked = RequestContext(moment, position, row["placement"], name, tuple(context))
            best = served.features.scores(asked, served.places, None, ShopperRows()).probabilities(eligible.rows).max()
            cpm = billing == "cpm" and name == campaigns["campaign"].iloc[0]
            earned[name] = (bid or 0.0) * (0.001 if cpm else best)
        best = max(earned, key=earned.get)
        for number in range(4):
            request = replace(open_, decision_id=f"i{number}")
            decision = served.decide(request, position, context)
            assert decision.campaign_probability == pytest.approx(0.9 if decision.campaign == best else 0.1)
            alone = served.decide(replace(request, campaigns=(decision.campaign,)), position, context)
            assert alone.campaign_probability == 1.0 and alone.creative_id == decision.creative_id
            np.testing.assert_array_equal(alone.probabilities, decision.probabilities)


def test_a_known_shoppers_request_is_decided_as_in_batch(tables, learned, folder, tmp_path):
    """The history is loaded from the log; point in time, so that a past request sees only what was there before it."""
    data = UPath(tmp_path / "data")
    for name in ("events", "impressions"):
        write_table(tables[name], data / f"{name}.parquet")
    shop, served = known_shop(tables), served_by(folder, tables)
    store = HistoryStore(tmp_path / "journal.db", 10_000, shop.may_know)
    log = tables["impressions"]
    moments, now = microseconds(log["timestamp"]), int(microseconds(log["timestamp"]).max()) + 1
    assert store.load(data, "shop", now) > 3000 and store.load(data, "shop", now) == 0
    built = build_features(learned[0], with_pool(tables, folder, log), CONFIG)
    personal = 0
    for number in range(7, len(log), 250):
        row = log.iloc[number]
        shopper = row["shopper_id"] if shop.may_know(row["shopper_id"]) else None
        decision = served.decide(*request_of(row, int(moments[number]), shopper), store.rows)
        expected = due(learned, folder, built, log, number, decision.creative_ids)
        np.testing.assert_allclose(decision.probabilities, expected, rtol=2e-5)
        without = served.decide(*request_of(row, int(moments[number]), shopper))
        personal += not np.allclose(decision.probabilities, without.probabilities, rtol=1e-3)
    assert personal > 3, "histories matter"
    store.close()

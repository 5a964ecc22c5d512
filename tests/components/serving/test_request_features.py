"""The form per shopper over HTTP's path: a request of a new shopper has the probabilities of the batch path."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.files.tables import write_bytes, write_table
from components.features import FeatureModel, build_features, fit_features
from components.features.timeline import microseconds
from components.interest import CalibratedModel, score_pairs, train_interest
from components.policies import POLICIES
from components.policies.online_policy import AdRequest
from components.policies.policy_package import PolicyPackage
from components.serving.served_policy import read_served_policy
from components.serving.shop_tables import ShopTables
from components.settings.sections import FeaturesConfig, InterestConfig
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


def test_a_new_shoppers_request_is_decided_as_in_batch(tables, learned, folder):
    known = ShopTables(None, {name: table for name, table in tables.items() if name != "impressions"}, frozenset(), {})
    served = read_served_policy(folder, {"acts": "per_shopper", "forms": ["per_shopper"]}, known, (3, "f" * 64), 0)
    asked = tables["impressions"].iloc[::300].assign(shopper_id="a newcomer").reset_index(drop=True)
    creatives = pd.concat([tables["creatives"], pd.read_parquet(folder / "pool" / "creatives.parquet")])
    with_asked = {**tables, "impressions": asked, "creatives": creatives.reset_index(drop=True)}
    built = build_features(learned[0], with_asked, CONFIG)
    moments = microseconds(asked["timestamp"])
    for number, row in asked.iterrows():
        request = AdRequest(row["impression_id"], int(moments[number]), (row["campaign"],), None, row["placement"])
        context = [("context_device", row["context_device"]), ("context_local_hour", row["context_local_hour"])]
        decision = served.decide(request, row["position"], context)
        pairs = pd.DataFrame({"impression_id": row["impression_id"], "creative_id": decision.creative_ids})
        pairs = score_pairs(learned[1], built, pairs, errors=True)
        package = PolicyPackage.from_files(
            {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        )
        due = package.per_shopper(asked.iloc[[number]], pairs, np.array([0, len(pairs)]))
        np.testing.assert_allclose(decision.probabilities, due, rtol=2e-5)
        assert ("new1" in decision.creative_ids) == (row["campaign"] == "spring")

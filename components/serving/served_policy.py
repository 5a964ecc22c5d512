"""The policy that answers requests: its creatives' ads, its probabilities and what it is called in the log."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from components.contract.files.tables import files_in, read_frame
from components.features import FeatureModel
from components.features.shoppers.one_shopper import ShopperRows
from components.interest import CalibratedModel
from components.policies.logging_preference import logging_policy_name
from components.policies.online_policy import AdDecision, AdRequest, OnlinePolicy, online_policy, uniform_policy
from components.serving.request_features import RequestContext, RequestFeatures
from components.serving.shop_tables import ShopTables
from components.workflow.publishing.deployed_policy import ads_of, read_package

UNIFORM = "uniform"  # name in the log of the choice without a champion
POOL = {"creatives": "creative_id", "images": "image_id"}  # tables of a package's pool, and their keys


@dataclass(frozen=True)
class Ad:
    """The texts of a creative, and by size the name of the file with its picture."""

    headline: str | None
    call_to_action: str | None
    pictures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServedPolicy:
    """version: of the registered policy; None: a uniform choice. form: that acts. logging_policy: its name in the log.
    ads: by creative_id. pictures: PNG bytes by file name. places: of the catalogue's rows in the feature tables.
    """

    version: int | None
    form: str
    logging_policy: str
    online: OnlinePolicy
    ads: Mapping[str, Ad]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    features: RequestFeatures | None = None
    places: np.ndarray | None = None

    def decide(
        self,
        request: AdRequest,
        position: int,
        context: Sequence[tuple[str, object]],
        history: Callable[[str, int], ShopperRows] = lambda shopper_id, moment: ShopperRows(),
    ) -> AdDecision:
        """One of the eligible creatives. UnknownCampaign or NothingEligible if there are none.

        context: the columns `context_*` and their values, sorted by name. history: shopper_id and moment -> what is
        known of the shopper; read only if the policy needs it.
        """
        eligible = self.online.eligible(request)
        if not self.online.needs_clicks:
            return self.online.decide(request, eligible)
        row = RequestContext(request.moment, position, request.placement, eligible.campaign, tuple(context))
        shopper = request.shopper_id
        rows = ShopperRows() if shopper is None else history(shopper, request.moment)
        clicks, errors = self.features.scores(row, self.places, shopper, rows)
        return self.online.decide(request, eligible, clicks, errors if self.online.needs_errors else None)


def uniform_choice(shop: ShopTables, seed: int) -> ServedPolicy:
    """Every eligible creative of the shop with the same probability: the answer without a champion."""
    return ServedPolicy(
        None, UNIFORM, UNIFORM, uniform_policy(shop.catalogue, seed), _ads(shop.tables["creatives"], {})
    )


def read_served_policy(
    folder: Path, acting: Mapping, shop: ShopTables, version: tuple[int, str], seed: int
) -> ServedPolicy:
    """The policy in the checked package `folder`, in the form that its decision passed.

    acting: `acts`, `forms` (deployed_policy.forms_of). version: the number and the digest of the registered version.
    Creatives of its catalogue that neither the shop nor its pool has can no longer be shown.
    """
    place = UPath(folder)
    package = read_package(place)
    form = acting["acts"] or package.parameters.forms[0]
    tables = _with_pool(shop.tables, place)
    catalogue = package.catalogue
    there = catalogue["creative_id"].isin(tables["creatives"]["creative_id"])
    package = replace(package, catalogue=catalogue[there].reset_index(drop=True))
    online = online_policy(package, form, seed)
    features = places = None
    if online.needs_clicks:
        model = FeatureModel.from_files(files_in(place / "model" / "features"))
        interest = CalibratedModel.from_files(files_in(place / "model" / "interest"))
        features = RequestFeatures(model, interest, tables)
        places = features.rows_of(package.catalogue["creative_id"])
    number, digest = version
    drawn = ads_of(place)
    return ServedPolicy(
        number,
        form,
        f"{logging_policy_name(digest)}-{form}",
        online,
        _ads(tables["creatives"], drawn),
        {name: (place / "pool" / "ads" / name).read_bytes() for name in drawn},
        features,
        places,
    )


def _with_pool(tables: Mapping[str, pd.DataFrame], package: UPath) -> dict[str, pd.DataFrame]:
    """The shop's tables with the creatives and images of the package's pool that they lack."""
    joined = dict(tables)
    for name, key in POOL.items():
        file, present = package / "pool" / f"{name}.parquet", joined.get(name)
        if file.exists():
            pool = read_frame(file)
            if present is not None:
                new = pool[~pool[key].isin(present[key])].reindex(columns=present.columns)
                pool = pd.concat([present, new], ignore_index=True)
            joined[name] = pool
    return joined


def _ads(creatives: pd.DataFrame, drawn: Mapping[str, Mapping[str, str]]) -> dict[str, Ad]:
    """The ad of each creative; drawn: file name -> creative_id and size."""
    pictures: dict[str, dict[str, str]] = {}
    for name, ad in drawn.items():
        pictures.setdefault(ad["creative_id"], {})[ad["size"]] = name
    texts = (creatives[name].where(creatives[name].notna(), None) for name in ("headline", "call_to_action"))
    return {
        creative: Ad(headline, call_to_action, pictures.get(creative, {}))
        for creative, headline, call_to_action in zip(creatives["creative_id"], *texts, strict=True)
    }

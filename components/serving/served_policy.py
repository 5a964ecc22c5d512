"""The policy that answers requests: its creatives' ads, its probabilities and what it is called in the log.

A `Champion` is a package as it was read and checked; with the shop's tables of the moment it makes a `ServedPolicy`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from components.contract.files.tables import files_in, read_frame
from components.features import FeatureModel
from components.features.shoppers.one_shopper import ShopperRows
from components.interest import CalibratedModel
from components.policies.campaign_choice import by_value, evenly
from components.policies.campaign_limits import CPM, Limits, no_limits
from components.policies.logging_preference import logging_policy_name
from components.policies.online_policy import (
    AdDecision,
    AdRequest,
    Eligible,
    OnlinePolicy,
    online_policy,
    uniform_policy,
)
from components.policies.policy_package import PolicyPackage
from components.serving.request_features import RequestContext, RequestFeatures, RequestScores
from components.serving.shop_tables import ShopTables
from components.settings.sections import ServingConfig
from components.workflow.creative_review import rejected_ids
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
    shop: the tables by which it decides. ads: by creative_id. pictures: PNG bytes by file name. places: of the
    catalogue's rows in the feature tables. champion: that it was made of. exploration: of a choice between campaigns by
    value (campaign_choice.py); None: each alike.
    """

    version: int | None
    form: str
    logging_policy: str
    shop: ShopTables
    online: OnlinePolicy
    ads: Mapping[str, Ad]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    features: RequestFeatures | None = None
    places: np.ndarray | None = None
    champion: "Champion | None" = None
    exploration: float | None = None

    def with_shop(self, shop: ShopTables, config: ServingConfig) -> "ServedPolicy":
        """The same policy by other tables of the shop."""
        return uniform_choice(shop, config.seed) if self.champion is None else self.champion.served(shop, config)

    def decide(
        self,
        request: AdRequest,
        position: int,
        context: Sequence[tuple[str, object]],
        history: Callable[[str, int], ShopperRows] = lambda shopper_id, moment: ShopperRows(),
        limits: Limits = no_limits,
        *,
        explain: bool = False,
    ) -> AdDecision:
        """One of the eligible creatives. UnknownCampaign or NothingEligible if there are none.

        context: the columns `context_*` and their values, sorted by name. history: shopper_id and moment -> what is
        known of the shopper; read only if it is needed. limits: of the campaigns, for this request. explain:
        whether to give the reasons of the decision.
        """
        shopper = request.shopper_id

        @cache
        def rows() -> ShopperRows:
            return ShopperRows() if shopper is None else history(shopper, request.moment)

        @cache
        def scores(campaign: str) -> RequestScores:
            row = RequestContext(request.moment, position, request.placement, campaign, tuple(context))
            return self.features.scores(row, self.places, shopper, rows())

        def by_earnings(found: Sequence[Eligible]) -> np.ndarray:
            return by_value([self._earned(one, scores) for one in found], self.exploration)

        eligible = self.online.eligible(request, limits, evenly if self.exploration is None else by_earnings)
        if not self.online.needs_clicks:
            decision = self.online.decide(request, eligible)
            return replace(decision, reasons=self.online.explain(request, decision)) if explain else decision
        known = scores(eligible.campaign)
        errors = known.errors if self.online.needs_errors else None
        decision = self.online.decide(request, eligible, known.probabilities, errors)
        return replace(decision, reasons=known.reasons(eligible.rows, decision.chosen)) if explain else decision

    def _earned(self, eligible: Eligible, scores: Callable[[str], RequestScores]) -> float:
        """What an impression of the campaign's best ad is expected to earn: equation (1) of campaign_choice.py."""
        terms = self.shop.terms[eligible.campaign]
        if terms.billing == CPM or not terms.bid:
            return terms.earned(0.0)
        return terms.earned(float(scores(eligible.campaign).probabilities(eligible.rows).max()))


def uniform_choice(shop: ShopTables, seed: int) -> ServedPolicy:
    """Every eligible creative of the shop with the same probability: the answer without a champion."""
    return ServedPolicy(
        None, UNIFORM, UNIFORM, shop, uniform_policy(shop.catalogue, seed), _ads(shop.tables["creatives"], {})
    )


@dataclass(frozen=True)
class Champion:
    """What a version's package holds: the policy, the models if they are needed, its pool and the pool's ads.

    version: number and digest. form: that acts. pool: tables by name. drawn: file name -> creative_id and size of ads.
    rejected: keys of the new creatives that people rejected since (creative_review.py), which are not shown.
    """

    version: tuple[int, str]
    form: str
    package: PolicyPackage
    models: tuple[FeatureModel, CalibratedModel] | None
    pool: Mapping[str, pd.DataFrame]
    drawn: Mapping[str, Mapping[str, str]]
    pictures: Mapping[str, bytes]
    rejected: frozenset[str] = frozenset()

    def served(self, shop: ShopTables, config: ServingConfig) -> ServedPolicy:
        """The policy that acts in the shop. config: the seed of the draws, and the choice between campaigns.

        When a creative is active is in the tables of the shop and of the pool, as are the campaigns: creatives of the
        catalogue that neither has, or whose campaign the shop does not have, can no longer be shown.
        """
        tables = self._with_pool(shop.tables)
        active = shop.active(tables["creatives"]).set_index("creative_id")[["active_from", "active_until"]]
        catalogue = self.package.catalogue.drop(columns=list(active))
        there = active.index.difference(list(rejected_ids(tables["creatives"], self.rejected)))
        catalogue = catalogue[catalogue["creative_id"].isin(there)].join(active, on="creative_id")
        package = replace(self.package, catalogue=catalogue.reset_index(drop=True))
        features = places = None
        if self.models is not None:
            features = RequestFeatures(*self.models, tables)
            places = features.rows_of(package.catalogue["creative_id"])
        number, digest = self.version
        return ServedPolicy(
            number,
            self.form,
            f"{logging_policy_name(digest)}-{self.form}",
            shop,
            online_policy(package, self.form, config.seed),
            _ads(tables["creatives"], self.drawn),
            self.pictures,
            features,
            places,
            self,
            config.campaign_exploration if config.campaign_choice == "value" else None,
        )

    def _with_pool(self, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """The shop's tables with the creatives and images of the pool that they lack."""
        joined = dict(tables)
        for name, pool in self.pool.items():
            present, key = joined.get(name), POOL[name]
            if present is not None:
                new = pool[~pool[key].isin(present[key])].reindex(columns=present.columns)
                pool = pd.concat([present, new], ignore_index=True)
            joined[name] = pool
        return joined


def read_champion(folder: Path, acting: Mapping, version: tuple[int, str], with_models: bool = False) -> Champion:
    """The policy in the checked package `folder`, in the form that its decision passed.

    acting: `acts`, `forms` (deployed_policy.forms_of). version: the number and the digest of the registered version.
    with_models: also if the form needs none.
    """
    place = UPath(folder)
    package = read_package(place)
    form = acting["acts"] or package.parameters.forms[0]
    models = None
    if with_models or online_policy(package, form).needs_clicks:
        models = (
            FeatureModel.from_files(files_in(place / "model" / "features")),
            CalibratedModel.from_files(files_in(place / "model" / "interest")),
        )
    files = {name: place / "pool" / f"{name}.parquet" for name in POOL}
    pool = {name: read_frame(file) for name, file in files.items() if file.exists()}
    drawn = ads_of(place)
    pictures = {name: (place / "pool" / "ads" / name).read_bytes() for name in drawn}
    return Champion(version, form, package, models, pool, drawn, pictures)


def _ads(creatives: pd.DataFrame, drawn: Mapping[str, Mapping[str, str]]) -> dict[str, Ad]:
    """The ad of each creative; drawn: file name -> creative_id and size."""
    pictures: dict[str, dict[str, str]] = {}
    for name, ad in drawn.items():
        pictures.setdefault(ad["creative_id"], {})[ad["size"]] = name
    texts = (
        creatives[name].astype(object).where(creatives[name].notna(), None) for name in ("headline", "call_to_action")
    )
    return {
        creative: Ad(headline, call_to_action, pictures.get(creative, {}))
        for creative, headline, call_to_action in zip(creatives["creative_id"], *texts, strict=True)
    }

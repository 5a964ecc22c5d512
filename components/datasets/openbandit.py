"""The data set `openbandit`: the sample of the Open Bandit Dataset (ZOZOTOWN; Saito et al. 2021) in the wheel `obp`.

Six logs of 10,000 impressions: campaigns all, men, women, each logged by a uniform policy (`random`) and by Bernoulli
Thompson sampling (`bts`). One creative is one fashion item, called `<campaign>-<item>`: the same item set under both
policies, so `logging_policy` tells the logs apart and the campaigns stay three.

Choices, and why:
- `candidates` is absent. For bts only the logged propensity is known. For random the whole distribution is known, but
  would be 1.6 million rows of a uniform one. All items of a campaign are eligible, which is the contract's default
  without candidates. The publishers estimated the propensities of bts by Monte Carlo; they go down to 1e-6.
- `shopper_id` is the profile of the four hashed user features, since there is no user id. Many people share a profile,
  so it shows no history, bots or fatigue. Consent is true for all: the publishers released anonymised data.
- Of the user-item affinities (one column per item, nearly all zero), `impressions` has the sum and the number of items
  above zero as context. Neither policy used them, so they do not explain the logging.
- `item_feature_1..3` are hashed with another salt in each folder. Their codes in the order of item_id must be equal in
  both logs, which is checked.
- The contract requires a billing, but ZOZOTOWN's pages were not billed: `cpm` without a bid or cost.
"""

import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from components.contract.card import DatasetCard
from components.datasets.packages.package_download import check_digest, download_wheel, filling
from components.settings.errors import UserError
from components.settings.shipped_datasets import OPENBANDIT

REQUIREMENT = "obp==0.4.1"
SHA256 = "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"
CAMPAIGNS = ("all", "men", "women")
POLICIES = ("random", "bts")
# Click rates in the full data (26 million impressions), which the sample estimates: Saito et al. 2021, table 1.
KNOWN_CLICK_RATE = {
    ("all", "random"): 0.0035,
    ("all", "bts"): 0.0050,
    ("men", "random"): 0.0051,
    ("men", "bts"): 0.0067,
    ("women", "random"): 0.0048,
    ("women", "bts"): 0.0064,
}
STARTS_AT, ENDS_AT = datetime(2019, 11, 24, tzinfo=UTC), datetime(2019, 12, 1, tzinfo=UTC)
_USER_FEATURES = [f"user_feature_{number}" for number in range(4)]


def load_wheel(cache: Path) -> Path:
    """The path of the wheel, from the cache or pip, checked by SHA-256; it is read as a zip and not installed."""
    folder = cache / "packages"
    with filling(cache):
        cached = sorted(folder.glob("obp-0.4.1-*.whl"))
        return check_digest(cached[0] if cached else download_wheel(REQUIREMENT, folder), SHA256, OPENBANDIT)


def build_tables(wheel: Path) -> tuple[dict[str, pd.DataFrame], DatasetCard]:
    """The tables of `openbandit` and its card."""
    with zipfile.ZipFile(wheel) as archive:
        logs = {(c, p): _csv(archive, f"{p}/{c}/{c}.csv") for c in CAMPAIGNS for p in POLICIES}
        items = {(c, p): _csv(archive, f"{p}/{c}/item_context.csv") for c in CAMPAIGNS for p in POLICIES}
    log = pd.concat([_log(logs[key], *key) for key in logs], ignore_index=True)
    profiles = _profiles(log)
    tables = {
        "campaigns": _campaigns(),
        "creatives": pd.concat([_creatives(items, campaign) for campaign in CAMPAIGNS], ignore_index=True),
        "impressions": _impressions(log, profiles),
        "shoppers": _shoppers(profiles),
    }
    return tables, _card(tuple(tables))


def bts_prior(wheel: Path, campaign: str) -> tuple[np.ndarray, np.ndarray]:
    """Beta priors (alpha, beta), float64 [n_items] each, with which the Thompson sampling of `bts` started."""
    with zipfile.ZipFile(wheel) as archive:
        priors = yaml.safe_load(archive.read("obp/policy/conf/prior_bts.yaml"))
    if campaign not in priors:
        raise UserError(f"openbandit: no campaign {campaign!r}; there are {', '.join(CAMPAIGNS)}")
    return np.array(priors[campaign]["alpha"], np.float64), np.array(priors[campaign]["beta"], np.float64)


def _csv(archive: zipfile.ZipFile, name: str) -> pd.DataFrame:
    return pd.read_csv(BytesIO(archive.read(f"obp/dataset/obd/{name}")), index_col=0)


def _log(log: pd.DataFrame, campaign: str, policy: str) -> pd.DataFrame:
    """One log in order of time, with its campaign, policy, ids and summed affinities."""
    log = log.assign(timestamp=pd.to_datetime(log["timestamp"], format="ISO8601", utc=True).dt.as_unit("us"))
    log = log.sort_values("timestamp", kind="stable", ignore_index=True)
    affinity = log.filter(like="user-item_affinity_").to_numpy(np.float64)
    return log.drop(columns=log.filter(like="user-item_affinity_").columns).assign(
        campaign=campaign,
        logging_policy=policy,
        impression_id=[f"{policy}-{campaign}-{row:05d}" for row in range(len(log))],
        affinity_sum=affinity.sum(axis=1),
        affinity_items=(affinity > 0).sum(axis=1),
    )


def _profiles(log: pd.DataFrame) -> pd.DataFrame:
    """One row per distinct profile, sorted by its hashes: the four features and a `shopper_id`."""
    distinct = log[_USER_FEATURES].drop_duplicates().sort_values(_USER_FEATURES, ignore_index=True)
    return distinct.assign(shopper_id=[f"profile-{row:04d}" for row in range(len(distinct))])


def _impressions(log: pd.DataFrame, profiles: pd.DataFrame) -> pd.DataFrame:
    log = log.merge(profiles, on=_USER_FEATURES, how="left", validate="many_to_one")
    n = len(log)
    nothing = pd.array([pd.NA] * n, dtype="str")
    return pd.DataFrame(
        {
            "impression_id": log["impression_id"].astype("str"),
            "timestamp": log["timestamp"],
            "shopper_id": log["shopper_id"].astype("str"),
            "campaign": log["campaign"].astype("str"),
            "position": log["position"].astype(np.int64),
            "creative_id": _creative_ids(log["campaign"], log["item_id"]),
            "propensity": log["propensity_score"].astype(np.float64),
            "logging_policy": log["logging_policy"].astype("str"),
            "click": log["click"].astype(np.int64),
            "request_id": nothing,
            "placement": nothing,
            "experiment_id": nothing,
            "variant": nothing,
            "conversion": pd.array([pd.NA] * n, dtype="Int64"),
            "conversion_timestamp": pd.Series(pd.NaT, index=log.index, dtype="datetime64[us, UTC]"),
            "revenue": np.full(n, np.nan),
            "cost": np.full(n, np.nan),
            "feedback": nothing,
            "context_affinity_sum": log["affinity_sum"],
            "context_affinity_items": log["affinity_items"].astype(np.int64),
        }
    ).sort_values(["timestamp", "impression_id"], ignore_index=True)


def _creative_ids(campaign: pd.Series, item: pd.Series) -> pd.Series:
    return (campaign + "-" + item.astype("str").str.zfill(2)).astype("str")


def _creatives(items: dict[tuple[str, str], pd.DataFrame], campaign: str) -> pd.DataFrame:
    random, bts = (_item_codes(items[campaign, policy]) for policy in POLICIES)
    if not random.equals(bts):
        raise UserError(f"openbandit: items of campaign {campaign} differ between the random and the bts log")
    n = len(random)
    nothing, never = pd.array([pd.NA] * n, dtype="str"), pd.Series(pd.NaT, index=random.index)
    return pd.DataFrame(
        {
            "creative_id": _creative_ids(pd.Series([campaign] * n), random["item_id"]),
            "campaign": pd.array([campaign] * n, dtype="str"),
            "origin": pd.array(["people"] * n, dtype="str"),
            "active_from": never.astype("datetime64[us]").dt.tz_localize("UTC"),
            "active_until": never.astype("datetime64[us]").dt.tz_localize("UTC"),
            "product_id": nothing,
            "image_id": nothing,
            "template": nothing,
            "headline": nothing,
            "call_to_action": nothing,
            "palette": nothing,
            "seed": pd.array([pd.NA] * n, dtype="Int64"),
            "conditions": nothing,
            "feature_0": random["item_feature_0"].round(9),
            **{f"feature_{k}": random[f"item_feature_{k}"] for k in (1, 2, 3)},
        }
    )


def _item_codes(items: pd.DataFrame) -> pd.DataFrame:
    """Items sorted by id, with their hashed features as labels in order of first appearance (`g00`, `g01`, ...)."""
    items = items.sort_values("item_id", ignore_index=True)
    labels = {
        f"item_feature_{k}": pd.Series([f"g{code:02d}" for code in pd.factorize(items[f"item_feature_{k}"])[0]])
        for k in (1, 2, 3)
    }
    return items.assign(**{name: column.astype("str") for name, column in labels.items()})


def _campaigns() -> pd.DataFrame:
    n = len(CAMPAIGNS)
    return pd.DataFrame(
        {
            "campaign": pd.array(CAMPAIGNS, dtype="str"),
            "advertiser_id": pd.array(["zozotown"] * n, dtype="str"),
            "objective": pd.array(["click"] * n, dtype="str"),
            "starts_at": pd.Series([STARTS_AT] * n).dt.as_unit("us"),
            "ends_at": pd.Series([ENDS_AT] * n).dt.as_unit("us"),
            "billing": pd.array(["cpm"] * n, dtype="str"),
            "locale": pd.array(["ja"] * n, dtype="str"),
            "budget": np.full(n, np.nan),
            "bid": np.full(n, np.nan),
            "frequency_cap": pd.array([pd.NA] * n, dtype="Int64"),
            "brand_color": pd.array([pd.NA] * n, dtype="str"),
        }
    )


def _shoppers(profiles: pd.DataFrame) -> pd.DataFrame:
    """Profiles with their features as short labels: `a` and the rank of the hash within its feature."""
    features = {
        f"feature_user_{k}": pd.Series([f"a{code:02d}" for code in pd.factorize(profiles[name], sort=True)[0]])
        for k, name in enumerate(_USER_FEATURES)
    }
    columns = {name: column.astype("str") for name, column in features.items()}
    return pd.DataFrame({"shopper_id": profiles["shopper_id"].astype("str"), "consent": True, **columns})


def _card(tables: tuple[str, ...]) -> DatasetCard:
    return DatasetCard(
        name=OPENBANDIT,
        source="Open Bandit Dataset, sample of 6 x 10,000 impressions in the Python package obp 0.4.1 (ZOZO Research)",
        licence="CC BY 4.0",
        real=tables,
        simulated=(),
        currency="JPY",
        conversion_window_days=0,
        ends_at=ENDS_AT,
    )

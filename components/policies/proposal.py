"""Models, features and a pool -> the policy that a run proposes, fixed before any judged row is looked at."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.features import FeatureModel, Features
from components.features.shoppers.decision_segments import cluster_shoppers
from components.features.time_splits import JUDGE
from components.interest import CalibratedModel
from components.policies.decision_table import ANY, fit_decisions, weigh
from components.policies.eligible import rows_of
from components.policies.logging_preference import logging_preference
from components.policies.policy_kinds import policy_kind
from components.policies.policy_package import TABLE, Acting, PolicyPackage
from components.policies.temperature import Outcome, Prospect, boldest, prospects
from components.settings.sections import PolicyConfig, Section, kind_settings


@dataclass(frozen=True)
class Learned:
    """What a policy is made of: the fitted feature model, the features, and the calibrated model of interest."""

    model: FeatureModel
    features: Features
    interest: CalibratedModel


@dataclass(frozen=True)
class Selecting:
    """The select slice. impressions: impression_id, shopper_id, placement, campaign; pairs: creative_id, p_click; the
    rest: Outcome, whose `charge` the proposal fills in."""

    impressions: pd.DataFrame
    pairs: pd.DataFrame
    seen: Outcome


def propose(
    learned: Learned,
    tables: dict[str, pd.DataFrame],
    pool: pd.DataFrame | None,
    selecting: Selecting,
    config: PolicyConfig,
) -> tuple[PolicyPackage, dict[str, tuple[Prospect, ...]]]:
    """The policy, and of each of its forms what every temperature of `config.temperatures` promised.

    pool: new creatives in the contract's columns, or None.
    """
    until = learned.model.splits.select_until
    segments = cluster_shoppers(learned.model, tables, until, config.segments, config.seed)
    known = learned.features.impressions
    place = np.flatnonzero(known["consent"] & (known["split"] != JUDGE))
    before = known.iloc[place].reset_index(drop=True)
    own = tables["impressions"][["impression_id", "placement", "logging_policy"]]
    before = before.merge(own, on="impression_id", how="left")
    preference = logging_preference(tables, before[["impression_id", "logging_policy"]])
    before = pd.concat([before, learned.features.pairs_by_category(place)], axis=1)
    contexts = before.assign(segment=segment_names(segments, before["shopper_id"]))  # the table's, not the features'
    creatives = learned.features.creatives_at(learned.model.splits.starts(JUDGE))
    scored = fit_decisions(learned.interest, creatives, contexts, config.contexts, config.seed)
    acting = Acting(
        forms=config.forms,
        temperatures=dict.fromkeys(config.forms, config.temperatures[0]),
        policy=config.name,
        policy_settings=own_settings(config).model_dump(mode="json"),
        exploration=config.exploration,
        new_share=config.new_share,
        learned_until=until,
    )
    start = PolicyPackage(acting, scored, segments, _catalogue(tables, pool, preference))
    charge = start.unlogged_share(selecting.impressions, selecting.pairs, selecting.seen.offsets)
    seen = replace(selecting.seen, charge=charge)
    promised = {}
    for form in config.forms:
        candidates = {it: _at(start, form, it, preference) for it in config.temperatures}
        promised[form] = prospects(
            {
                it: policy.probabilities(form, selecting.impressions, selecting.pairs, seen.offsets)
                for it, policy in candidates.items()
            },
            seen,
        )
    temperatures = {form: boldest(offered) for form, offered in promised.items()}
    policy = _at(start, TABLE, temperatures.get(TABLE, config.temperatures[0]), preference)
    return replace(policy, acting=replace(acting, temperatures=temperatures)), promised


def own_settings(config: PolicyConfig) -> Section:
    """The own settings of the policy that `config` names."""
    return kind_settings(config, "evaluation.policy", config.name, policy_kind(config.name).settings)


def segment_names(segments: pd.DataFrame, shopper_id: pd.Series) -> np.ndarray:
    """The segment of each shopper, str [n]; `any` for whom the map does not know."""
    return np.append(segments["segment"].to_numpy(dtype=object), ANY)[rows_of(shopper_id, segments["shopper_id"])]


def _at(policy: PolicyPackage, form: str, temperature: float, preference: pd.Series) -> PolicyPackage:
    """`policy`, whose decisions are scores yet, with `form` at this temperature."""
    acting = replace(policy.acting, temperatures={**policy.acting.temperatures, form: temperature})
    if form != TABLE:
        return replace(policy, acting=acting)
    return replace(policy, acting=acting, decisions=weigh(policy.decisions, preference, acting.weighing(TABLE)))


def _catalogue(tables: dict[str, pd.DataFrame], pool: pd.DataFrame | None, preference: pd.Series) -> pd.DataFrame:
    """What a server needs to refuse withdrawn creatives and ended campaigns: see PolicyPackage."""
    columns = ["creative_id", "campaign", "active_from", "active_until"]
    rows = tables["creatives"].reindex(columns=columns).assign(new=False)
    if pool is not None and len(pool):
        joined = rows["creative_id"].isin(pool["creative_id"])  # in the shop already
        rows = pd.concat(
            [
                rows.assign(new=joined),
                pool[~pool["creative_id"].isin(rows["creative_id"])].reindex(columns=columns).assign(new=True),
            ],
            ignore_index=True,
        )
    for name in ("active_from", "active_until"):
        rows[name] = pd.to_datetime(rows[name], utc=True).astype("datetime64[us, UTC]")
    own = tables["campaigns"].set_index("campaign").reindex(rows["campaign"])
    starts, ends = (own[name].reset_index(drop=True) for name in ("starts_at", "ends_at"))
    rows["active_from"] = rows["active_from"].where(rows["active_from"] > starts, starts)
    rows["active_until"] = rows["active_until"].where(rows["active_until"] < ends, ends)
    rows["preference"] = preference.reindex(rows["creative_id"]).fillna(0.0).to_numpy()
    return rows.sort_values("creative_id", ignore_index=True)

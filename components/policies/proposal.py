"""The policy that a run proposes, built from models, features and a pool of ads, before any judged row is read."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from components.features import FeatureModel, Features
from components.features.shoppers.decision_segments import cluster_shoppers
from components.features.time_splits import JUDGE, SELECT
from components.interest import CalibratedModel
from components.policies.active_times import within_campaigns
from components.policies.decision_table import decision_rows, score_cells, segment_names
from components.policies.eligible import logged_columns
from components.policies.kinds.learned_scores import LearnedScores, PastDecisions
from components.policies.logging_preference import logging_preference
from components.policies.objective import CreativeValues, creative_values
from components.policies.policy_kinds import policy_kind
from components.policies.policy_package import TABLE, PolicyPackage, PolicyParameters
from components.policies.table_reasons import table_reasons
from components.policies.temperature import LiftForecast, LoggedOutcomes, best_temperature, forecast_lifts
from components.settings.sections import PolicyConfig, Section
from components.settings.typed_settings import kind_settings


@dataclass(frozen=True)
class LearnedModels:
    """What a policy is built from: the fitted feature model, the features, and the calibrated interest model."""

    model: FeatureModel
    features: Features
    interest: CalibratedModel


@dataclass(frozen=True)
class SelectSlice:
    """The select split. impressions: impression_id, shopper_id, placement, campaign; pairs: creative_id, p_click and,
    if the policy needs it, p_click_error.

    `propose` replaces the `unlogged_share` of `outcomes`.
    """

    impressions: pd.DataFrame
    pairs: pd.DataFrame
    outcomes: LoggedOutcomes


@dataclass(frozen=True)
class ScoredCells:
    """What all policies of a run share: the interest model's scores of the creatives in each cell of the table.

    contexts: the consenting impressions before the judged ones; preference: of each creative; segments: of the table;
    scored: segment, placement, campaign, creative_id, score, and score_error if a policy needs it.
    """

    contexts: pd.DataFrame
    preference: pd.Series
    segments: pd.DataFrame
    creatives: pd.DataFrame
    scored: pd.DataFrame


def propose(
    learned: LearnedModels,
    tables: dict[str, pd.DataFrame],
    pool: pd.DataFrame | None,
    selecting: SelectSlice,
    config: PolicyConfig,
    *,
    cells: ScoredCells | None = None,
) -> tuple[PolicyPackage, dict[str, tuple[LiftForecast, ...]]]:
    """The policy, and for each of its forms the forecast of every temperature in `config.temperatures`.

    pool: new creatives in the contract's columns, or None. cells: of `scored_cells` for `config`; None: made here.
    """
    cells = cells or scored_cells(learned, tables, config)
    untempered = _untempered(learned, tables, pool, config, cells)
    start, preference, values = untempered.policy, untempered.preference, untempered.values
    unlogged_share = start.unlogged_share(selecting.impressions, selecting.pairs, selecting.outcomes.offsets)
    outcomes = replace(_in_objective(selecting, values), unlogged_share=unlogged_share)
    forecasts = {}
    for form in config.forms:
        candidates = {
            temperature: _with_temperature(start, form, temperature, preference) for temperature in config.temperatures
        }
        forecasts[form] = forecast_lifts(
            {
                temperature: policy.probabilities(form, selecting.impressions, selecting.pairs, outcomes.offsets)
                for temperature, policy in candidates.items()
            },
            outcomes,
        )
    temperatures = {form: best_temperature(of_form) for form, of_form in forecasts.items()}
    policy = _with_temperature(start, TABLE, temperatures.get(TABLE, config.temperatures[0]), preference)
    reasons = _reasons(learned, untempered, policy, config)
    parameters = replace(start.parameters, temperatures=temperatures)
    return replace(policy, parameters=parameters, reasons=reasons), forecasts


def _in_objective(selecting: SelectSlice, values: CreativeValues) -> LoggedOutcomes:
    """The outcomes of `selecting` in what the policy maximises; an outcome that is not final counts as expected."""
    outcomes, creative_id = selecting.outcomes, selecting.pairs["creative_id"]
    score = outcomes.score * values.of("value", creative_id)
    earned = values.earned(selecting.impressions)
    reward = np.where(np.isnan(earned), score[outcomes.logged], earned)
    return replace(outcomes, score=score, reward=reward, size=values.of("size", creative_id))


@dataclass(frozen=True)
class _Untempered:
    """A policy before a temperature is chosen, and what it was made from. policy: its decisions are scores. preference,
    values: of each creative. creatives, contexts: the table's, as in decision_table.cell_samples.
    """

    policy: PolicyPackage
    preference: pd.Series
    values: CreativeValues
    creatives: pd.DataFrame
    contexts: pd.DataFrame


def _reasons(
    learned: LearnedModels, untempered: _Untempered, policy: PolicyPackage, config: PolicyConfig
) -> pd.DataFrame | None:
    """Why the table shows what it shows; None if it does not choose by the interest model's scores."""
    if policy.scores is not None:
        return None
    return table_reasons(learned.interest, untempered.creatives, untempered.contexts, config, policy.decisions)


def _contexts(
    learned: LearnedModels, tables: dict[str, pd.DataFrame], segments: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """The consenting impressions before the judged ones, with the table's segments; and each creative's preference."""
    impressions = learned.features.impressions
    rows = np.flatnonzero(impressions["consent"] & (impressions["split"] != JUDGE))
    before = impressions.iloc[rows].reset_index(drop=True)
    told = logged_columns(tables["impressions"], ("placement", "logging_policy", "conversion"), before["impression_id"])
    before = pd.concat([before, told], axis=1)
    preference = logging_preference(tables, before[["impression_id", "logging_policy"]])
    before = pd.concat([before, learned.features.pairs_by_category(rows)], axis=1)
    # the table's segments, not the features'
    return before.assign(segment=segment_names(segments, before["shopper_id"])), preference


def scored_cells(learned: LearnedModels, tables: dict[str, pd.DataFrame], config: PolicyConfig) -> ScoredCells:
    """The cells that `config` and its candidates share."""
    until = learned.model.splits.select_until
    segments = cluster_shoppers(
        learned.model, tables, learned.features.looks, moment=until, count=config.segments, seed=config.seed
    )
    contexts, preference = _contexts(learned, tables, segments)
    creatives = learned.features.creatives_at(learned.model.splits.starts(JUDGE))
    needs_errors = any(policy_kind(candidate.name).needs_errors for candidate in config.compared)
    scored = score_cells(learned.interest, creatives, contexts, config.contexts, config.seed, errors=needs_errors)
    return ScoredCells(contexts, preference, segments, creatives, scored)


def _untempered(
    learned: LearnedModels,
    tables: dict[str, pd.DataFrame],
    pool: pd.DataFrame | None,
    config: PolicyConfig,
    cells: ScoredCells,
) -> _Untempered:
    """The policy before a temperature is chosen."""
    contexts, preference, segments, scored = cells.contexts, cells.preference, cells.segments, cells.scored
    needs_errors = policy_kind(config.name).needs_errors
    if not needs_errors:
        scored = scored.drop(columns="score_error", errors="ignore")
    known = contexts[contexts["split"] != SELECT]
    listed = _with_pool(tables["creatives"], pool)
    scores = _learned_scores(known, listed, config)
    if scores is not None:
        scored = scored.assign(score=scores.of(scored["segment"].to_numpy(dtype=object), scored["creative_id"]))
    clicks = known.loc[known["click"] == 1, [name for name in ("creative_id", "conversion") if name in known]]
    values = creative_values(config.objective, clicks, tables, listed)
    catalogue = _catalogue(tables, pool, preference)
    relative = values.relative(listed["campaign"])
    catalogue["value"] = relative.reindex(catalogue["creative_id"]).to_numpy()
    worth = relative.reindex(scored["creative_id"]).to_numpy()
    scored = scored.assign(**{name: scored[name] * worth for name in ("score", "score_error") if name in scored})
    parameters = PolicyParameters(
        forms=config.forms,
        temperatures=dict.fromkeys(config.forms, config.temperatures[0]),
        policy=config.name,
        policy_settings=policy_settings(config).model_dump(mode="json"),
        exploration=config.exploration,
        new_share=config.new_share,
        learned_until=learned.model.splits.select_until,
        objective=config.objective,
        errors=needs_errors,
    )
    policy = PolicyPackage(parameters, scored, segments, catalogue, scores)
    return _Untempered(policy, preference, values, cells.creatives, contexts)


def _learned_scores(known: pd.DataFrame, creatives: pd.DataFrame, config: PolicyConfig) -> LearnedScores | None:
    """The scores that the policy learns from `known` rows; None if it uses the interest model's."""
    learn = policy_kind(config.name).learn
    if learn is None:
        return None
    return learn(policy_settings(config), PastDecisions(known[["creative_id", "segment", "click"]], creatives))


def _with_pool(creatives: pd.DataFrame, pool: pd.DataFrame | None) -> pd.DataFrame:
    """The contract's creatives, and those of the pool that are not among them."""
    if pool is None:
        return creatives
    return pd.concat([creatives, pool[~pool["creative_id"].isin(creatives["creative_id"])]], ignore_index=True)


def policy_settings(config: PolicyConfig) -> Section:
    """The section of settings of the policy that `config` names."""
    return kind_settings(config, "evaluation.policy", config.name, policy_kind(config.name).settings)


def _with_temperature(policy: PolicyPackage, form: str, temperature: float, preference: pd.Series) -> PolicyPackage:
    """`policy`, whose decisions are still scores, with `form` at this temperature."""
    parameters = replace(policy.parameters, temperatures={**policy.parameters.temperatures, form: temperature})
    if form != TABLE:
        return replace(policy, parameters=parameters)
    return replace(
        policy,
        parameters=parameters,
        decisions=decision_rows(policy.decisions, preference, parameters.policy_of(TABLE)),
    )


def _catalogue(tables: dict[str, pd.DataFrame], pool: pd.DataFrame | None, preference: pd.Series) -> pd.DataFrame:
    """The catalogue of a PolicyPackage, with which a server excludes withdrawn creatives and ended campaigns."""
    columns = ["creative_id", "campaign", "active_from", "active_until"]
    rows = tables["creatives"].reindex(columns=columns).assign(new=False)
    if pool is not None and len(pool):
        in_shop = rows["creative_id"].isin(pool["creative_id"])  # the creatives already in the shop
        rows = pd.concat(
            [
                rows.assign(new=in_shop),
                pool[~pool["creative_id"].isin(rows["creative_id"])].reindex(columns=columns).assign(new=True),
            ],
            ignore_index=True,
        )
    rows = within_campaigns(rows, tables["campaigns"])
    rows["preference"] = preference.reindex(rows["creative_id"]).fillna(0.0).to_numpy()
    return rows.sort_values("creative_id", ignore_index=True)

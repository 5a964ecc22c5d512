"""The inputs of the stage evaluation, read from the outputs of earlier stages and the champion's snapshot."""

from dataclasses import dataclass, replace

import pandas as pd

from components.contract.card import DatasetCard
from components.contract.files.tables import read_frame
from components.evaluation.held_out import (
    JUDGE,
    SELECT,
    HeldOut,
    held_out,
    rewards_not_final,
    rows_from,
    sampled_unevenly,
    with_consent,
    with_final_reward,
    without_shoppers,
)
from components.evaluation.judging import JudgingTables, Truth, bot_like_shoppers
from components.evaluation.log_checks.leakage import leakage_findings
from components.evaluation.rewards import Reward, logged_rewards, reward_of
from components.features import Features
from components.interest import CalibratedModel, pair_errors
from components.policies.policy_kinds import policy_kind
from components.policies.proposal import LearnedModels, SelectSlice
from components.settings.paths import Paths
from components.settings.sections import EvaluationConfig
from components.workflow.pool_files import pool_creatives
from components.workflow.publishing.deployed_policy import read_champion
from components.workflow.stage_inputs import EVALUATION_READ, built_features, validated
from components.workflow.stage_models import interest_model


@dataclass(frozen=True)
class EvaluationInputs:
    """What a policy is proposed and judged with.

    tables: the contract's, with `reward` in impressions. pool: new creatives, or None. select, judge: the rows of the
    two splits, without those that the champion was trained on. quarantined: impressions that validation removed.
    proof_impressions: how many impressions a policy's temperature is chosen for; None: those of `judge`.
    """

    tables: dict[str, pd.DataFrame]
    card: DatasetCard
    reward: Reward
    learned: LearnedModels
    pool: pd.DataFrame | None
    select: HeldOut
    judge: HeldOut
    quarantined: pd.DataFrame
    proof_impressions: int | None = None

    def select_slice(self) -> SelectSlice:
        """The consenting rows of the select split, on which the policy is chosen."""
        judged = self.proof_impressions or len(with_final_reward(self.judge).impressions)
        return with_consent(self.select).select_slice(judged)

    def rows(self, charged: bool, exclude_bots: bool) -> HeldOut:
        """The rows to evaluate on: judged ones if the ledger was charged for them, else those of the select split.

        Only rows with a final reward. exclude_bots: without shoppers who looked like bots before these rows.
        """
        rows = with_final_reward(self.judge if charged else self.select)
        if not exclude_bots:
            return rows
        impressions = self.tables["impressions"]
        return without_shoppers(rows, bot_like_shoppers(impressions[impressions["timestamp"] < self._since(charged)]))

    def judging_tables(self, rows: HeldOut, charged: bool, truth: Truth | None) -> JudgingTables:
        """The other inputs of a judgement on `rows`. truth: the true mean reward of pairs, if known."""
        splits = self.learned.model.splits
        findings = leakage_findings(self.tables, rows.impressions)
        return JudgingTables(
            reward=self.reward,
            creatives=self.learned.features.creatives_at(self._since(charged)),
            contract_creatives=self.tables["creatives"],
            quarantined=self.quarantined[splits.may_judge(self.quarantined)] if charged else self.quarantined.head(0),
            findings=(
                *findings,
                *rewards_not_final(self.judge if charged else self.select),
                *sampled_unevenly(rows),
            ),
            truth=truth,
        )

    def _since(self, charged: bool) -> pd.Timestamp:
        return self.learned.model.splits.starts(JUDGE if charged else SELECT)


def read_evaluation_inputs(config: EvaluationConfig, paths: Paths) -> EvaluationInputs:
    """The inputs of an evaluation with `config`. UserError if the data set lacks the reward."""
    tables, card = validated(paths, EVALUATION_READ)
    reward, logged = reward_of(config, card.currency), tables["impressions"]
    tables["impressions"] = logged.assign(reward=logged_rewards(reward, logged, card))
    model, features = built_features(paths)
    scores = read_frame(paths.stage("interest") / "predictions.parquet")
    champion = read_champion(paths)
    baseline = None if champion is None else lambda rows, scored: champion.probabilities(tables, rows, scored)
    select, judge = (held_out(tables, features, scores, split, baseline) for split in (SELECT, JUDGE))
    if champion is not None:
        judge = rows_from(judge, champion.package.parameters.learned_until)
    interest = interest_model(paths)
    if any(policy_kind(one.name).needs_errors for one in config.policy.compared):
        select, judge = (_with_errors(rows, interest, features) for rows in (select, judge))
    return EvaluationInputs(
        tables=tables,
        card=card,
        reward=reward,
        learned=LearnedModels(model, features, interest),
        pool=pool_creatives(paths),
        select=select,
        judge=judge,
        quarantined=read_frame(paths.stage("validation") / "quarantine" / "impressions.parquet"),
        proof_impressions=config.proof_impressions,
    )


def _with_errors(rows: HeldOut, model: CalibratedModel, features: Features) -> HeldOut:
    """`rows` with the column p_click_error in pairs; UserError if the model has no standard errors."""
    return replace(rows, pairs=rows.pairs.assign(p_click_error=pair_errors(model, features, rows.pairs)))

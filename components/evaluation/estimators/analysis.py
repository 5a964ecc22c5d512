"""A log and two policies -> every estimator's contributions, for the target, the baseline and hence the lift."""

from dataclasses import dataclass, replace

import numpy as np

from components.evaluation.estimators.action_embedding import Embedding, embed, marginal_weight
from components.evaluation.estimators.estimators import ESTIMATORS, Contributions, ModelUse, WeightedRows, on_policy
from components.evaluation.estimators.model_error import model_error
from components.evaluation.estimators.reward_features import Design
from components.evaluation.estimators.reward_models import LOGISTIC, RewardModel, best, fit_reward_models
from components.evaluation.estimators.shrinkage import tune
from components.evaluation.logged_decisions import LoggedDecisions


@dataclass(frozen=True)
class Judged:
    """One policy seen through every estimator."""

    contributions: dict[str, Contributions]  # mips is absent without an embedding
    shrinkage: dict[str, float]
    rows: dict[str, WeightedRows]  # what each estimator read


@dataclass(frozen=True)
class Analysis:
    """Both policies on one log. Without a champion the baseline is the logging policy, whose value is a plain mean."""

    target: Judged
    baseline: Judged
    models: dict[str, RewardModel]
    chosen_model: str
    fold: np.ndarray  # int64 [n], of the cross-fitting

    def estimators(self) -> tuple[str, ...]:
        """The estimators that have an answer here."""
        return tuple(self.target.contributions)


def analyse(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    models: tuple[str, ...],
    folds: int,
    seed: int,
) -> Analysis:
    """Fit logistic regression and the reward models called `models`; apply every estimator to both policies."""
    policies = (target,) if baseline is None else (target, baseline)
    inputs, fitted = fit_reward_models(log, policies, models, folds, seed)
    chosen = best(fitted)
    embedding = embed(log, seed)
    judged = judge(log, target, inputs, fitted, chosen, embedding)
    if baseline is None:
        mean = on_policy(log.reward)
        against = Judged({name: mean for name in judged.contributions}, {}, {})
    else:
        against = judge(log, baseline, inputs, fitted, chosen, embedding)
    return Analysis(judged, against, fitted, chosen.name, inputs.fold)


def judge(
    log: LoggedDecisions,
    policy: np.ndarray,
    inputs: Design,
    fitted: dict[str, RewardModel],
    chosen: RewardModel,
    embedding: Embedding | None,
    shrinkage: dict[str, float] | None = None,
) -> Judged:
    """All estimators' contributions for one policy; `shrinkage` of each estimator, tuned on this log where None."""
    logistic = fitted[LOGISTIC]
    pushes = model_error(inputs, logistic.fits, logistic.scaled, policy)
    rows = weighted_rows(log, policy, chosen, embedding)
    leaning = rows if chosen is logistic else weighted_rows(log, policy, logistic, embedding)
    leaning = replace(leaning, model_error=pushes)
    seen = {name: leaning if known.model is ModelUse.LEANS else rows for name, known in ESTIMATORS.items()}
    tuned = [name for name, known in ESTIMATORS.items() if known.shrinkages is not None]
    used = shrinkage or {name: tune(name, seen[name]) for name in tuned}
    answers = {name: estimator(seen[name], used.get(name, np.inf)) for name, estimator in ESTIMATORS.items()}
    return Judged({name: answer for name, answer in answers.items() if answer is not None}, used, seen)


def weighted_rows(
    log: LoggedDecisions, policy: np.ndarray, model: RewardModel, embedding: Embedding | None
) -> WeightedRows:
    """What the estimators read, for `policy` [n_pairs] with the predictions of `model`."""
    return WeightedRows(
        weight=log.weight(policy),
        reward=log.reward,
        predicted=model.predicted[log.logged],
        predicted_target=log.expected(model.predicted, policy),
        marginal_weight=None if embedding is None else marginal_weight(log, embedding, policy),
    )

"""Every estimator's contributions for the target and the baseline on one log; their difference is the lift."""

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
class PolicyEstimates:
    """One policy's estimates, by the estimator's name."""

    contributions: dict[str, Contributions]  # mips is absent without an embedding
    shrinkage: dict[str, float]
    rows: dict[str, WeightedRows]  # the estimator's input


@dataclass(frozen=True)
class Analysis:
    """Both policies on one log. Without a champion the baseline is the logging policy: its value is the mean reward."""

    target: PolicyEstimates
    baseline: PolicyEstimates
    models: dict[str, RewardModel]
    chosen_model: str
    fold: np.ndarray  # int64 [n], of the cross-fitting

    def estimators(self) -> tuple[str, ...]:
        """The names of the estimators that have a value here."""
        return tuple(self.target.contributions)


def analyse(
    log: LoggedDecisions,
    target: np.ndarray,
    baseline: np.ndarray | None,
    *,
    models: tuple[str, ...],
    folds: int,
    seed: int,
) -> Analysis:
    """Every estimator applied to both policies (float64 [n_pairs]; baseline None: the logging policy).

    models: names of the reward models to fit beside logistic regression.
    """
    policies = (target,) if baseline is None else (target, baseline)
    inputs, fitted = fit_reward_models(log, policies, models, folds, seed)
    chosen = best(fitted)
    embedding = embed(log, seed)
    of_target = estimate_policy(log, target, inputs, fitted, chosen, embedding=embedding)
    if baseline is None:
        mean = on_policy(log.reward)
        of_baseline = PolicyEstimates({name: mean for name in of_target.contributions}, {}, {})
    else:
        of_baseline = estimate_policy(log, baseline, inputs, fitted, chosen, embedding=embedding)
    return Analysis(of_target, of_baseline, fitted, chosen.name, inputs.fold)


def estimate_policy(
    log: LoggedDecisions,
    policy: np.ndarray,
    inputs: Design,
    fitted: dict[str, RewardModel],
    chosen: RewardModel,
    *,
    embedding: Embedding | None,
    shrinkage: dict[str, float] | None = None,
) -> PolicyEstimates:
    """All estimators' contributions for one policy. shrinkage: by estimator; None: tuned on this log.

    Estimators that use the model's mean read the logistic model, because its sampling error is known; the others read
    the model `chosen`.
    """
    logistic = fitted[LOGISTIC]
    error = model_error(inputs, logistic.fits, logistic.scaled, policy)
    plain = weighted_rows(log, policy, chosen, embedding)
    with_error = plain if chosen is logistic else weighted_rows(log, policy, logistic, embedding)
    with_error = replace(with_error, model_error=error)
    rows = {name: with_error if estimator.model is ModelUse.MEAN else plain for name, estimator in ESTIMATORS.items()}
    if not shrinkage:
        tuned = [name for name, estimator in ESTIMATORS.items() if estimator.shrinkages is not None]
        shrinkage = {name: tune(name, rows[name]) for name in tuned}
    terms = {name: estimator(rows[name], shrinkage.get(name, np.inf)) for name, estimator in ESTIMATORS.items()}
    return PolicyEstimates(
        {name: contributions for name, contributions in terms.items() if contributions is not None}, shrinkage, rows
    )


def weighted_rows(
    log: LoggedDecisions, policy: np.ndarray, model: RewardModel, embedding: Embedding | None
) -> WeightedRows:
    """The estimators' input for `policy` [n_pairs] with the predictions of `model`."""
    return WeightedRows(
        weight=log.weight(policy),
        reward=log.reward,
        predicted=model.predicted[log.logged],
        predicted_target=log.expected(model.predicted, policy),
        marginal_weight=None if embedding is None else marginal_weight(log, embedding, policy),
    )

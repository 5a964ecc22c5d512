"""Hand-made logs with known truth."""

from dataclasses import dataclass

import numpy as np

from components.evaluation import LoggedDecisions
from components.policies import Choices, Softmax
from components.policies.ragged_rows import draw_per_row, row_sums


@dataclass(frozen=True)
class KnownLog:
    """A log, a target policy on it, and what that policy and the logging policy truly earn there."""

    log: LoggedDecisions
    target: np.ndarray
    rate: np.ndarray  # float64 [n_pairs], true P(click)

    def truth(self, policy: np.ndarray) -> float:
        return float(row_sums(policy * self.rate, self.log.offsets).mean())


def known_log(
    seed: int,
    n: int = 4000,
    actions: int = 12,
    eligible: int = 6,
    sharpness: float = 0.5,
    click_rate: float = 0.05,
    kinds: int | None = None,
) -> KnownLog:
    """Rewards that depend on context and action, shoppers with several rows.

    kinds: actions come in so many kinds, alike but for their names; None: no two are alike.
    """
    generator = np.random.default_rng(seed)
    offsets = np.arange(0, n * eligible + 1, eligible)
    action = np.argsort(generator.random((n, actions)), axis=1)[:, :eligible].ravel()
    context = generator.normal(size=(n, 3))
    kind = np.arange(actions) % (kinds or actions)
    features = generator.normal(size=(actions, 2))[kind]
    taste = generator.normal(0, 0.3, (3, actions))[:, kind]
    owner = np.repeat(np.arange(n), eligible)
    utility = 0.4 * features[action, 0] + np.einsum("nd,dn->n", context[owner], taste[:, action])
    base = np.log(click_rate / (1 - click_rate))
    rate = 1 / (1 + np.exp(-(base + utility + 0.4 * context[owner, 0])))
    policy = Softmax(1.0, 0.1)
    logging = policy.probabilities(
        Choices(offsets, 1 / (1 + np.exp(-sharpness * generator.normal(0, 1, actions)[action])))
    )
    target = policy.probabilities(Choices(offsets, 1 / (1 + np.exp(-utility))))
    logged = draw_per_row(logging, offsets, generator)
    log = LoggedDecisions(
        impression=np.arange(n).astype(str).astype(object),
        offsets=offsets,
        action=action,
        logged=logged,
        propensity=logging[logged],
        reward=(generator.random(n) < rate[logged]).astype(float),
        cluster=generator.integers(0, n // 3, n),
        action_names=np.array([f"a{code}" for code in range(actions)], dtype=object),
        context=context,
        logging=logging,
        action_features=features,
    )
    return KnownLog(log, target, rate)

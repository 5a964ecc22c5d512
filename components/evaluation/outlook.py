"""What would settle a question that a log cannot: how many impressions, logged with how much exploration.

Had the log been written by p_e = (1 - e) p + e u, with p the logging policy and u uniform over the eligible actions, a
mean under p_e would be one over the logged rows, each weighing p_e / p, and over the actions that p never shows:

    E_e[f] = mean_i (p_e / p)(a_i) f(a_i, r_i) + mean_i sum_{a: p(a) = 0} p_e(a) f(a, mean reward)                 (1)

So the log's own moments say what the gate's sums (sequences.py) would be on n impressions logged with any e: their
total n (lift - loss), where loss is what clipping the weights takes away, and their surprise n E_e[X^2] / scale^2. A
true lift passes with probability POWER where the bound clears the margin on a total that lies that quantile lower:

    n (lift - loss) - z sqrt(n E_e[X^2])                                                                           (2)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import norm

from components.config import EvaluationConfig
from components.evaluation.gate import GateEvidence
from components.evaluation.log import Covered, LoggedDecisions, supported
from components.evaluation.sequences import CLIPS, Sums, lower_from
from components.evaluation.verdict import LARGEST_SHARE
from components.policy.ragged import spread

EXPLORED = (0.05, 0.1, 0.2, 0.5, 1.0)  # shares of exploration that are weighed against none
POWER = 0.8  # of seeing the lift once so many impressions are there
FIRST = 0.025  # error probability that the gate's ledger gives its first question
MOST = 1e12  # impressions; what needs more is never settled


@dataclass(frozen=True)
class Logging:
    """Per impression logged with a share `exploration` in [0, 1]; rewards scaled to [0, 1].

    losses, squares: one per clip of the weights, E_e[(w - min(w, clip)) r] and E_e[X^2], X as in `lift_sums`.
    scale: how far X can fall below 0. rules: impressions that the thresholds on ESS, rewarded rows and the largest
    weight ask for; None where no number of them is enough.
    """

    exploration: float
    losses: tuple[float, ...]
    squares: tuple[float, ...]
    scale: float
    rules: float | None

    def impressions(self, lift: float, alpha: float, margin: float = 0.0) -> int | None:
        """How many it takes to prove a true `lift` above `margin` with probability POWER; None: no number would do."""
        if self.rules is None or self._bound(MOST, lift, alpha) <= margin:
            return None
        low, high = 0.0, np.log(MOST)  # the bound rises with n
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self._bound(np.exp(middle), lift, alpha) > margin else (middle, high)
        return int(np.ceil(max(np.exp(high), self.rules)))

    def _bound(self, n: float, lift: float, alpha: float) -> float:
        """The gate's lower bound on n impressions whose total lies as low as equation (2) says."""
        unlucky = norm.ppf(POWER)
        sums = [
            Sums(n, n * (lift - loss) - unlucky * np.sqrt(n * square), n * square / self.scale**2, self.scale)
            for loss, square in zip(self.losses, self.squares, strict=True)
        ]
        return lower_from(sums, alpha)


def as_logged(evidence: GateEvidence) -> Logging:
    """One impression of the log that the gate's evidence is of."""
    whole = evidence.sums[-1]  # the clip at infinity takes nothing away
    losses = tuple((whole.total - it.total) / it.t for it in evidence.sums)
    return Logging(0.0, losses, tuple(it.surprise * it.scale**2 / it.t for it in evidence.sums), whole.scale, 0.0)


@dataclass(frozen=True)
class Outlook:
    """The ways of logging that are weighed, the first as now, and the lift (rewards in [0, 1]) that shall be proven."""

    n: int
    relative_lift: float
    lift: float
    ways: tuple[Logging, ...]

    def needs(self, alpha: float, margin: float = 0.0) -> dict[float, int | None]:
        """Share of exploration -> impressions that prove the lift; None: never. `margin`: rewards in [0, 1]."""
        return {way.exploration: way.impressions(self.lift, alpha, margin) for way in self.ways}

    def sentence(self, alpha: float) -> str:
        """What it takes, for people: as logged now, and with the exploration that needs the fewest impressions."""
        needs = self.needs(alpha)
        asked = (
            f"a lift of {self.relative_lift:+.0%} (seen with probability {POWER:.0%}, error probability {alpha:.2g})"
        )
        now, explored = needs.pop(0.0), {share: n for share, n in needs.items() if n is not None}
        best = min(explored, key=explored.get, default=None)
        as_now = "no number of impressions logged like these" if now is None else self._amount(now)
        if best is None or (now is not None and explored[best] >= now):
            more = "; more exploration would not help" if now is not None else ", whatever is explored"
            return f"it takes {as_now} to settle {asked}{more}"
        if now is None:
            return f"no number of impressions logged like these settles {asked}; with {best:.0%} of them explored " + (
                f"uniformly it takes {self._amount(explored[best])}"
            )
        return f"it takes {as_now} to settle {asked}, or {explored[best]:,} with {best:.0%} of them explored uniformly"

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping) -> "Outlook":
        """The outlook of a record that `to_dict` gave."""
        ways = tuple(
            Logging(**{**way, "losses": tuple(way["losses"]), "squares": tuple(way["squares"])})
            for way in record["ways"]
        )
        return cls(record["n"], record["relative_lift"], record["lift"], ways)

    def _amount(self, impressions: int) -> str:
        return f"{impressions:,} impressions ({impressions / self.n:.1f} times this log)"


def outlook(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, covered: Covered, config: EvaluationConfig
) -> Outlook | None:
    """What `covered`'s log says about settling a relative lift of `config.settled_lift`; None: both choose alike.

    target, baseline: float64 [n_pairs] on `log`, before what it cannot speak for was removed.
    """
    low, high = log.reward_range
    behind = np.ones(covered.log.n) if covered.baseline is None else covered.log.weight(covered.baseline)
    if np.allclose(covered.log.weight(covered.target), behind, rtol=1e-9):
        return None
    lift = config.settled_lift * abs(float((behind * covered.log.reward).mean())) / (high - low)
    now = _way(covered.log, covered.target, covered.baseline, 0.0, config)
    if covered.uncovered > config.max_uncovered:
        now = Logging(0.0, now.losses, now.squares, now.scale, None)
    explored = tuple(_way(log, target, baseline, share, config) for share in EXPLORED)
    return Outlook(log.n, config.settled_lift, lift, (now, *explored))


def _way(
    log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, share: float, config: EvaluationConfig
) -> Logging:
    """Equation (1) with e = `share`: what one impression of such a log is worth."""
    counts = np.diff(log.offsets)
    unseen = np.flatnonzero(~supported(log)) if share else np.zeros(0, dtype=np.int64)
    shown = (1 - share) * log.propensity + share / counts  # p_e of the shown action
    apart = share / spread(counts, log.offsets)[unseen]  # p_e of actions never shown
    mass = np.concatenate([shown / log.propensity, apart]) / log.n
    weight = np.concatenate([target[log.logged] / shown, target[unseen] / apart])
    if baseline is None:
        behind = np.concatenate([log.propensity / shown, np.zeros(len(unseen))])
    else:
        behind = np.concatenate([baseline[log.logged] / shown, baseline[unseen] / apart])
    reward = (log.reward - log.reward_range[0]) / (log.reward_range[1] - log.reward_range[0])
    gain, square, rewarded = (
        np.concatenate([each, np.full(len(unseen), each.mean())]) for each in (reward, reward**2, reward != 0)
    )
    return Logging(
        exploration=share,
        losses=tuple(float((mass * (weight - np.minimum(weight, clip)) * gain).sum()) for clip in CLIPS),
        squares=tuple(float((mass * (np.minimum(weight, clip) - behind) ** 2 * square).sum()) for clip in CLIPS),
        scale=_most_behind(log, baseline, behind, share),
        rules=_rules(mass, (weight,) if baseline is None else (weight, behind), rewarded, config),
    )


def _most_behind(log: LoggedDecisions, baseline: np.ndarray | None, behind: np.ndarray, share: float) -> float:
    """The largest weight of the baseline, over all candidates where their propensities are known."""
    if log.logging is None:
        return max(1.0, float(behind.max()))
    policy = log.logging if baseline is None else baseline
    chance = (1 - share) * log.logging + share / spread(np.diff(log.offsets), log.offsets)
    return max(1.0, float(np.divide(policy, chance, out=np.zeros_like(chance), where=chance > 0).max()))


def _rules(
    mass: np.ndarray, weights: tuple[np.ndarray, ...], rewarded: np.ndarray, config: EvaluationConfig
) -> float | None:
    """Impressions after which the thresholds of `verdict.doubts` are met."""
    asked = [config.min_clicks / float((mass * rewarded).sum())]
    for weight in weights:
        mean = float((mass * weight).sum())
        if mean == 0:
            return None
        asked.append(config.min_ess * float((mass * weight**2).sum()) / mean**2)
        asked.append(float(weight.max()) / (LARGEST_SHARE * mean))
    return max(asked)

"""The power and the false refusals of the guard on negative feedback.

    python -m benchmarks.ope_guard [--runs 200] [--impressions 30000 100000 300000] [--processes 2] [--out FILE]

In the simulated marketplace one headline style multiplies the probabilities of `hide` and `report` by a known factor
(equations 9 to 11 of components/simulator/click_law.py). The target policy moves impressions to that style until its
true negative feedback per impression on the log's rows is higher by a chosen fraction. The gate judges it with the
settings of `params.yaml`. If the increase is at most the guard's bound, a refusal is false; above it, the fraction of
refusals is the guard's power. An interrupted run continues where it stopped. Prints one line of JSON at the end.
"""

import argparse
import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.ope_logs import JUDGES, Rows, draw_rows
from benchmarks.ope_parallel import resumed, wilson
from components.datasets.fashion_mnist import load_photos
from components.evaluation.gate.evidence import GUARDS, gate_evidence
from components.evaluation.logged_decisions import LoggedDecisions, cover, pairs_of
from components.evaluation.outcomes import Outcomes, metrics
from components.policies.ragged_rows import row_sums
from components.settings.params_file import load_settings
from components.settings.sections import EvaluationConfig, SimulatorConfig
from components.simulator import load_scenario
from components.simulator.ad_day import HIDE, draw_feedback
from components.simulator.click_law import Law, annoyance_factor, ill_feedback_probability
from components.simulator.market import Market, open_market
from components.simulator.randomness import generator

RESULTS = Path("benchmarks/results/ope_guard.jsonl")
SHARE = 0.5  # of impressions that the target gives to the style where it annoys nobody
FEEDBACK = 100  # purpose of the draws of feedback; the world's own purposes are small numbers


@dataclass(frozen=True)
class Plant:
    """One true worsening of ill feedback per impression (a share), and the factor by which the style annoys."""

    worsening: float
    annoyance: float


# At the same worsening, a small factor needs a bolder policy, whose weights are larger, than a large factor.
PLANTS = (
    *(Plant(0.0, 1.0), Plant(0.1, 1.5), Plant(0.1, 6.0)),
    *(Plant(0.3, 2.0), Plant(0.3, 6.0), Plant(1.0, 6.0), Plant(3.0, 30.0)),
)


@dataclass(frozen=True)
class Planted:
    """A log in which a style annoys, and a policy that moves to it. `target`, `ill`: float64 [n_pairs], the policy and
    the law's probability of ill feedback; `negative`: float64 [n], 1 where the impression was hidden or reported."""

    log: LoggedDecisions
    target: np.ndarray
    ill: np.ndarray
    negative: np.ndarray

    @property
    def worsening(self) -> float:
        """The true relative change of ill feedback per impression, target over logging."""
        target, logging = (float((self.ill * policy).sum()) for policy in (self.target, self.log.logging))
        return target / logging - 1.0


@cache
def _market(impressions: int) -> Market:
    """The baseline's market; JUDGES, half of its days, draw `impressions`."""
    config = SimulatorConfig(impressions=2 * impressions)
    return open_market(config, load_scenario("baseline"), load_photos().head(6000, 500))


def _seeded(market: Market, seed: int) -> Market:
    return replace(market, config=market.config.model_copy(update={"seed": seed}))


def annoyed(law: Law, annoyance: float) -> Law:
    """The law with another factor of annoyance; clicks stay as they are."""
    feedback = law.scenario.feedback.model_copy(update={"annoyance": annoyance})
    return replace(law, scenario=law.scenario.model_copy(update={"feedback": feedback}))


def unannoyed(market: Market, rows: Rows) -> np.ndarray:
    """The law's probability of ill feedback where no style annoys: float64 [n_pairs]; (11) is linear in (10)."""
    return ill_feedback_probability(annoyed(market.law, 1.0), market.traits, rows.at)


def plant(market: Market, rows: Rows, even: np.ndarray, kind: Plant, seed: int) -> Planted:
    """`rows` with feedback under `kind.annoyance`, and the policy whose true worsening is `kind.worsening`; `even` is
    what `unannoyed` gave for the same rows."""
    log, law = rows.log, annoyed(market.law, kind.annoyance)
    annoys = annoyance_factor(annoyed(market.law, 2.0).scenario.feedback, market.traits) > 1.0  # [m]
    ill = even * annoyance_factor(law.scenario.feedback, market.traits)[log.action]
    rng = generator(market.config.seed, FEEDBACK, seed)
    shown = rows.at.shopper[log.logged], log.action[log.logged]
    answer = draw_feedback(law, market.traits, *shown, log.reward > 0, rng=rng)
    target = moved(log, annoys[log.action], ill, kind)
    return Planted(log, target, ill, (answer >= HIDE).astype(float))


def moved(log: LoggedDecisions, annoys: np.ndarray, ill: np.ndarray, kind: Plant) -> np.ndarray:
    """The logging policy with the odds of the actions that `annoys` [n_pairs] raised alike on every impression, until
    ill feedback worsens as wanted, or, where nothing annoys, until they have SHARE of the impressions."""
    style = row_sums(log.logging * annoys, log.offsets)  # [n], its share of each impression
    inside, outside = (row_sums(log.logging * ill * side, log.offsets) for side in (annoys, ~annoys))
    low, high = 0.0, 12.0  # log odds ratio
    for _ in range(50):
        tilt = np.exp((low + high) / 2)
        total = 1.0 + (tilt - 1.0) * style
        share = float((tilt * style / total).mean())
        worsening = float(((tilt * inside + outside) / total).sum() / (inside + outside).sum()) - 1.0
        enough = share > SHARE if kind.annoyance == 1.0 else worsening > kind.worsening
        low, high = (low, (low + high) / 2) if enough else ((low + high) / 2, high)
    mass = log.logging * np.where(annoys, np.exp(low), 1.0)
    return mass / np.repeat(row_sums(mass, log.offsets), np.diff(log.offsets))


def refused(planted: Planted, config: EvaluationConfig) -> bool:
    """Whether the gate finds harm in ill feedback, as it does in the flow."""
    covered = cover(planted.log, planted.target, None)
    outcomes = Outcomes(click=planted.log.reward, final=np.ones(planted.log.n, dtype=bool), negative=planted.negative)
    level = 1 - 0.05 / len(GUARDS)
    guarded = metrics(
        covered.log, outcomes, covered.target, None, replicates=config.bootstrap, seed=config.seed, level=level
    )
    harms = gate_evidence(covered, guarded, config.segment_bound, config.guard_bound).harms
    return any(harm.startswith("negative_feedback") for harm in harms)


def first_rows(rows: Rows, n: int) -> Rows:
    """The first `n` impressions of `rows`, with their pairs."""
    index = np.arange(n)
    pairs = pairs_of(rows.log.offsets, index)
    at = replace(rows.at, **{name: getattr(rows.at, name)[pairs] for name in vars(rows.at)})
    log = rows.log.rows(index)
    log = replace(log, cluster=np.unique(log.cluster, return_inverse=True)[1])
    return replace(rows, log=log, rate=rows.rate[pairs], bot=rows.bot[index], at=at)


def run(task: tuple[int, tuple[int, ...], EvaluationConfig]) -> dict:
    """One log: per size and plant whether the guard refused, the true worsening, the ill rows and the weights' ESS."""
    seed, sizes, config = task
    market = _seeded(_market(max(sizes)), seed)
    whole, verdicts = draw_rows(market, JUDGES), {}
    even = unannoyed(market, whole)
    for size in sizes:
        rows = whole if size >= whole.log.n else first_rows(whole, size)
        for number, kind in enumerate(PLANTS):
            planted = plant(market, rows, even[: len(rows.rate)], kind, number)
            weight = planted.log.weight(planted.target)
            verdicts[f"{size}/{number}"] = {
                "refused": refused(planted, config),
                "worsening": planted.worsening,
                "ill": int(planted.negative.sum()),
                "ess": float(weight.sum() ** 2 / (weight**2).sum() / rows.log.n),
            }
    return {"seed": seed, "verdicts": verdicts}


def summary(answers: list[dict], size: int, number: int, bound: float) -> dict:
    """What all logs say of one plant at one size."""
    verdicts = [answer["verdicts"][f"{size}/{number}"] for answer in answers]
    hits = sum(verdict["refused"] for verdict in verdicts)
    return {
        "impressions": size,
        "annoyance": PLANTS[number].annoyance,
        "worsening": float(np.mean([verdict["worsening"] for verdict in verdicts])),
        "refusal_is": "false" if PLANTS[number].worsening <= bound else "right",
        "refused": [hits / len(verdicts), *wilson(hits, len(verdicts))],
        "ill_rows": float(np.mean([verdict["ill"] for verdict in verdicts])),
        "ess": float(np.mean([verdict["ess"] for verdict in verdicts])),
    }


def main() -> None:
    """Run, print a line per plant and size, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="logs; every plant is tried on each")
    parser.add_argument("--impressions", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="a JSON line per log; done ones are kept")
    options = parser.parse_args()
    config = load_settings("params.yaml", "marketplace").evaluation
    sizes = tuple(sorted(options.impressions))
    tasks = {seed: (seed, sizes, config) for seed in range(1, options.runs + 1)}
    answers = resumed(run, tasks, lambda row: row["seed"], options.out, options.processes)
    lines = [summary(answers, size, number, config.guard_bound) for size in sizes for number in range(len(PLANTS))]
    for line in lines:
        share, low, high = line["refused"]
        print(
            f"{line['impressions']:>9,} impressions, ill feedback {line['worsening']:+.0%} by factor "
            f"{line['annoyance']:g}: refused {share:.1%} [{low:.1%}, {high:.1%}]; "
            f"{line['ill_rows']:.0f} ill rows, ESS {line['ess']:.0%}"
        )
    chances = load_scenario("baseline").feedback.model_dump(include={"hide", "report"})
    settings = {"runs": options.runs, "guard_bound": config.guard_bound, **chances}
    print(json.dumps({"benchmark": "ope_guard", **settings, "plants": lines}))


if __name__ == "__main__":
    main()

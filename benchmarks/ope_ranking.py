"""Compares two rankings of creatives on a confounded log: click-through rate, and the doubly robust lift.

    python -m benchmarks.ope_ranking [--runs 200] [--processes 2]

Half of the impressions are of shoppers with high interest, who click four times as often as the others. Creative `b`
has a 30 % higher click rate than `a` among all shoppers, but the logging policy shows `a` to the first half with
probability 0.9 and `b` to the others. The lift is of showing only `b` over showing only `a`. Prints one line of JSON at
the end.
"""

import argparse
import json

import numpy as np

from benchmarks.ope_parallel import replicate
from components.evaluation.estimators.analysis import analyse
from components.evaluation.intervals.resampling import bootstrap, difference, value_of
from components.evaluation.logged_decisions import LoggedDecisions

IMPRESSIONS = 100_000
RATE = {"high": 0.04, "low": 0.01}  # click rate of creative a by interest
RATIO = 1.3  # click rate of b over a, for all shoppers
FAVOURITE = 0.9  # propensity of a for shoppers with high interest, and of b for the others


def confounded_log(seed: int) -> LoggedDecisions:
    """A log of actions 0 (a) and 1 (b) with correct propensities; its context is whether interest is high."""
    generator = np.random.default_rng(seed)
    high = generator.random(IMPRESSIONS) < 0.5
    propensity_b = np.where(high, 1 - FAVOURITE, FAVOURITE)
    action = (generator.random(IMPRESSIONS) < propensity_b).astype(np.int64)
    rate = np.where(high, RATE["high"], RATE["low"]) * np.where(action == 1, RATIO, 1.0)
    logging = np.column_stack([1 - propensity_b, propensity_b]).ravel()
    logged = 2 * np.arange(IMPRESSIONS) + action
    return LoggedDecisions(
        impression=np.arange(IMPRESSIONS),
        offsets=np.arange(0, 2 * IMPRESSIONS + 1, 2),
        action=np.tile([0, 1], IMPRESSIONS),
        logged=logged,
        propensity=logging[logged],
        reward=(generator.random(IMPRESSIONS) < rate).astype(float),
        cluster=np.arange(IMPRESSIONS),
        action_names=np.array(["a", "b"], dtype=object),
        context=high.astype(float)[:, None],
        logging=logging,
    )


def run(seed: int) -> dict:
    """Whether each ranking picks b, and whether the lift's interval is above zero."""
    log = confounded_log(seed)
    shown = log.action[log.logged]
    click_rates = [float(log.reward[shown == code].mean()) for code in (0, 1)]
    only_b = (log.action == 1).astype(float)
    analysis = analyse(log, only_b, 1 - only_b, models=(), folds=2, seed=seed)
    lift = difference(value_of(analysis.target.contributions["dr"]), value_of(analysis.baseline.contributions["dr"]))
    interval = bootstrap({"lift": lift}, log.cluster, 200, seed)["lift"]
    return {
        "usual_picks_b": click_rates[1] > click_rates[0],
        "dr_picks_b": interval.value > 0,
        "sure": interval.ci_low > 0,
    }


def main() -> None:
    """Run and print the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    rows = list(replicate(run, range(options.runs), options.processes))
    counts = {name: sum(row[name] for row in rows) for name in rows[0]}
    print(json.dumps({"benchmark": "ope_ranking", "runs": options.runs, **counts}))


if __name__ == "__main__":
    main()

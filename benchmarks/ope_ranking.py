"""Which of two creatives is better, when one was shown to those who click anyway?

    python -m benchmarks.ope_ranking [--runs 200] [--processes 2]

Half of the impressions are of keen shoppers, who click four times as often. Creative `b` is 30 % better with everybody,
but the logging policy shows `a` to the keen in nine cases of ten, and `b` to the others. Click-through per creative,
the usual ranking, is asked, and so is the doubly robust lift of showing only `b` over showing only `a`. Ends with one
line of JSON.
"""

import argparse
import json

import numpy as np

from benchmarks.ope_parallel import replicate
from components.evaluation.estimators.analysis import analyse
from components.evaluation.intervals.resampling import bootstrap, difference, value_of
from components.evaluation.logged_decisions import LoggedDecisions

IMPRESSIONS = 100_000
RATE = {"keen": 0.04, "other": 0.01}
BETTER = 1.3  # b over a, for everybody
FAVOURITE = 0.9  # probability of a for the keen, and of b for the others


def confounded_log(seed: int) -> LoggedDecisions:
    """Actions 0 (a) and 1 (b), a keen context, and propensities that are right."""
    generator = np.random.default_rng(seed)
    keen = generator.random(IMPRESSIONS) < 0.5
    chance_b = np.where(keen, 1 - FAVOURITE, FAVOURITE)
    action = (generator.random(IMPRESSIONS) < chance_b).astype(np.int64)
    rate = np.where(keen, RATE["keen"], RATE["other"]) * np.where(action == 1, BETTER, 1.0)
    logging = np.column_stack([1 - chance_b, chance_b]).ravel()
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
        context=keen.astype(float)[:, None],
        logging=logging,
    )


def run(seed: int) -> dict:
    """Whether each way picks b, and the doubly robust lift of b over a."""
    log = confounded_log(seed)
    shown = log.action[log.logged]
    usual = [float(log.reward[shown == code].mean()) for code in (0, 1)]
    only_b = (log.action == 1).astype(float)
    found = analyse(log, only_b, 1 - only_b, models=(), folds=2, seed=seed)
    lift = difference(value_of(found.target.contributions["dr"]), value_of(found.baseline.contributions["dr"]))
    interval = bootstrap({"lift": lift}, log.cluster, 200, seed)["lift"]
    return {"usual_picks_b": usual[1] > usual[0], "dr_picks_b": interval.value > 0, "sure": interval.ci_low > 0}


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

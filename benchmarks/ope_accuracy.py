"""Coverage, error and abstention of the evaluation on logs of the simulated marketplace, whose true values are known.

    python -m benchmarks.ope_accuracy [--replicates 500] [--impressions 50000] [--processes 2] [--out FILE]

Evaluated with the settings of params.yaml, as in the flow. An interrupted run continues where it stopped. Prints one
line of JSON at the end: per scenario the fraction of abstentions, the coverage of the trusted bootstrap and
finite-sample intervals with its 95 % interval, and root mean squared errors in clicks per impression.
"""

import argparse
import json
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.ope_logs import Arena, arena
from benchmarks.ope_parallel import resumed, wilson
from components.evaluation import evaluate
from components.settings.params_file import load_settings
from components.settings.sections import EvaluationConfig

RESULTS = Path("benchmarks/results/ope_accuracy.jsonl")
SCENARIOS = ("baseline", "confounded", "low-overlap", "drift")


@cache
def _arena(scenario: str, impressions: int) -> Arena:
    return arena(scenario, impressions)


def run(task: tuple[str, int, EvaluationConfig, int]) -> dict:
    """The row of one replicate: every estimate's error, the chosen estimator, and whether intervals cover the truth."""
    scenario, impressions, config, seed = task
    trial = _arena(scenario, impressions).trial(seed)
    evaluation = evaluate(trial.log, trial.target, config)
    truth, logged = trial.truth(trial.target), trial.truth(trial.log.logging)
    estimates = {it.estimator: it for it in evaluation.estimates if it.interval is not None}
    chosen = evaluation.card.chosen if evaluation.card else None
    return {
        "scenario": scenario,
        "seed": seed,
        "truth": truth,
        "true_lift": truth - logged,
        "trusted": evaluation.verdict == "trust",
        "chosen": chosen,
        "error": {name: it.interval.value - truth for name, it in estimates.items()},
        "covered": {name: it.interval.ci_low <= truth <= it.interval.ci_high for name, it in estimates.items()},
        "finite": {
            name: it.finite_sample.ci_low <= truth <= it.finite_sample.ci_high
            for name, it in estimates.items()
            if it.finite_sample is not None
        },
        "width": {name: it.interval.ci_high - it.interval.ci_low for name, it in estimates.items()},
        "lift": evaluation.lift.to_dict() if evaluation.lift else None,
        "ess": estimates["ips"].ess,
        "expected": {it.estimator: it.error for it in evaluation.card.expected} if evaluation.card else {},
        "gap": {
            it.estimator: [it.standard_error, it.clone_bias, it.gap.value, it.gap.standard_error, it.coverage]
            for it in (evaluation.card.expected if evaluation.card else ())
        },
        "reasons": evaluation.reasons,
    }


def summary(rows: list[dict]) -> dict:
    """What the replicates of one scenario say."""
    trusted = [row for row in rows if row["trusted"]]
    answer = {
        "replicates": len(rows),
        "abstained": 1 - len(trusted) / len(rows),
        "trusted": len(trusted),
        "ess": float(np.median([row["ess"] for row in rows])),
        "true_relative_lift": float(np.mean([row["true_lift"] / (row["truth"] - row["true_lift"]) for row in rows])),
    }
    if not trusted:
        return answer
    hits = sum(row["covered"][row["chosen"]] for row in trusted)
    lifts = sum(row["lift"]["ci_low"] <= row["true_lift"] <= row["lift"]["ci_high"] for row in trusted)
    finite = [held for row in trusted for held in row["finite"].values()]
    rmse = {name: _rmse([row["error"][name] for row in trusted]) for name in trusted[0]["error"]}
    selected = _rmse([row["error"][row["chosen"]] for row in trusted])
    return answer | {
        "coverage": [hits / len(trusted), *wilson(hits, len(trusted))],
        "lift_coverage": [lifts / len(trusted), *wilson(lifts, len(trusted))],
        "finite_coverage": [float(np.mean(finite)), *wilson(sum(finite), len(finite))],
        "coverage_each": {name: float(np.mean([row["covered"][name] for row in trusted])) for name in rmse},
        "rmse_selected": selected,
        "rmse": rmse,
        "bias": {name: float(np.mean([row["error"][name] for row in trusted])) for name in rmse},
        "ratio_to_best": selected / min(rmse.values()),
        "best": min(rmse, key=rmse.get),
        "chosen": {name: sum(row["chosen"] == name for row in trusted) for name in rmse},
    }


def _rmse(errors: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def main() -> None:
    """Run the benchmark; print a table per scenario and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--impressions", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=1, help="seed of the first replicate")
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS)
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="file with a JSON line per replicate; replicates in it are reused"
    )
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.replicates)
    config = load_settings("params.yaml", "marketplace").evaluation
    wanted = [(scenario, seed) for seed in seeds for scenario in options.scenarios]
    tasks = {(scenario, seed): (scenario, options.impressions, config, seed) for scenario, seed in wanted}
    rows = resumed(run, tasks, lambda row: (row["scenario"], row["seed"]), options.out, options.processes)
    answer = {}
    for scenario in options.scenarios:
        answer[scenario] = summary([row for row in rows if row["scenario"] == scenario])
        print(scenario, json.dumps(answer[scenario], indent=1))
    settings = {"impressions": options.impressions, "clones": config.clones, "bootstrap": config.bootstrap}
    print(json.dumps({"benchmark": "ope_accuracy", **settings, **answer}))


if __name__ == "__main__":
    main()

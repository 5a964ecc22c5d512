"""Evaluates two policies of the Open Bandit data set on each other's logs, and compares the values with real clicks.

    python -m benchmarks.ope_openbandit [--data data] [--simulations 100000]

Target `bts` is Bernoulli Thompson sampling with its published priors; target `random` is uniform. Every interval is
printed with the click rate of the full data (26 million impressions) and with that of the target policy's log in this
sample. Prints one line of JSON at the end.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from upath import UPath

from components.contract.files.tables import read_table
from components.datasets.openbandit import CAMPAIGNS, KNOWN_CLICK_RATE, bts_prior, load_wheel
from components.datasets.packages.package_download import DEFAULT_CACHE
from components.evaluation import evaluate
from components.evaluation.logged_decisions import LoggedDecisions, logged_decisions
from components.evaluation.trust import UNBIASED
from components.policies import eligible_pairs, pair_offsets
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig

POSITIONS = 3
OTHER = {"random": "bts", "bts": "random"}
# Relative errors published in the README of zr-obp 0.4 for its small sample, random -> bts, campaign all.
PUBLISHED = {"dm": 0.157, "dros": 0.160, "switch_dr": 0.258, "dr": 0.292, "ips": 0.311}


def thompson(alpha: np.ndarray, beta: np.ndarray, simulations: int, seed: int) -> np.ndarray:
    """Probability [items, 3] of each item at each position if items are ranked by draws from Beta(alpha, beta)."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((len(alpha), POSITIONS))
    for start in range(0, simulations, 10_000):
        size = min(10_000, simulations - start)
        ranked = np.argsort(-generator.beta(alpha, beta, (size, len(alpha))), axis=1)[:, :POSITIONS]
        counts += np.stack([np.bincount(ranked[:, k], minlength=len(alpha)) for k in range(POSITIONS)], axis=1)
    return counts / simulations


def load(data: UPath, campaign: str, policy: str) -> tuple[LoggedDecisions, np.ndarray]:
    """(the log of `policy` in `campaign`, the position of each impression: 0, 1 or 2)."""
    impressions, creatives = read_table(data, "impressions"), read_table(data, "creatives")
    rows = impressions[(impressions["campaign"] == campaign) & (impressions["logging_policy"] == policy)]
    rows = rows.sort_values(["timestamp", "impression_id"], kind="stable").reset_index(drop=True)
    items = creatives[creatives["campaign"] == campaign].sort_values("creative_id").reset_index(drop=True)
    pairs = eligible_pairs({"creatives": items}, rows)
    coded = items.assign(**{f"feature_{k}": items[f"feature_{k}"].astype("category").cat.codes for k in (1, 2, 3)})
    log = logged_decisions(rows, pairs, pair_offsets(pairs, rows), coded, rows["click"].to_numpy(dtype=float))
    if policy == "random":
        log = replace(log, logging=np.full(len(log.action), 1.0 / len(items)))
    return log, rows["position"].to_numpy() - 1


def target_policy(log: LoggedDecisions, position: np.ndarray, name: str, by_position: np.ndarray) -> np.ndarray:
    """Probability of every pair under `random` or `bts`: float64 [n_pairs]."""
    if name == "random":
        return np.full(len(log.action), 1.0 / len(log.action_names))
    return by_position[log.action, spread(position, log.offsets)]


def judge(data: UPath, campaign: str, logger: str, by_position: np.ndarray, config: EvaluationConfig) -> dict:
    """The row of the evaluation of the other policy on the log of `logger`."""
    log, position = load(data, campaign, logger)
    name = OTHER[logger]
    evaluation = evaluate(log, target_policy(log, position, name, by_position), config)
    sample = float(load(data, campaign, name)[0].reward.mean())
    full = KNOWN_CLICK_RATE[campaign, name]
    estimator = evaluation.selected or UNBIASED  # an abstention selects none
    interval = evaluation.estimate(estimator).interval
    return {
        "campaign": campaign,
        "direction": f"{logger} -> {name}",
        "verdict": evaluation.verdict,
        "estimator": estimator,
        "interval": interval.to_dict(),
        "full_data": full,
        "own_sample": sample,
        "covers_full_data": interval.ci_low <= full <= interval.ci_high,
        "ess": evaluation.estimate("ips").ess,
        "relative_error": {
            estimate.estimator: abs(estimate.interval.value - sample) / sample
            for estimate in evaluation.estimates
            if estimate.interval is not None
        },
        "reasons": list(evaluation.reasons),
    }


def main() -> None:
    """Run the benchmark; print a line per log and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data")
    parser.add_argument("--simulations", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    data, wheel = UPath(options.data) / "openbandit", load_wheel(DEFAULT_CACHE)
    rows = []
    for campaign in CAMPAIGNS:
        by_position = thompson(*bts_prior(wheel, campaign), options.simulations, seed=0)
        for logger in OTHER:
            row = judge(data, campaign, logger, by_position, EvaluationConfig())
            rows.append(row)
            low, value, high = (row["interval"][key] for key in ("ci_low", "value", "ci_high"))
            print(
                f"{campaign:<6}{row['direction']:<15}{row['estimator']:<12}{value:.4%} [{low:.4%}, {high:.4%}]  "
                f"full {row['full_data']:.2%}  sample {row['own_sample']:.2%}  ESS {row['ess']:.0f}  {row['verdict']}"
            )
    first = rows[0]["relative_error"]
    print("relative error, random -> bts, all:", {k: round(first[k], 3) for k in first}, "published:", PUBLISHED)
    covered = sum(row["covers_full_data"] for row in rows)
    line = json.dumps({"benchmark": "ope_openbandit", "covered": covered, "of": len(rows), "logs": rows})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

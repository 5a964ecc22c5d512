"""Real clicks: what six logs of a fashion shop say of a policy that really ran, in both directions.

    python -m benchmarks.ope_openbandit [--data data] [--simulations 100000]

Target `bts` replays Bernoulli Thompson sampling from its published priors; target `random` is uniform. Every interval
is printed beside the click rate of the full data (26 million impressions) and of this sample's own log of the target
policy. Ends with one line of JSON.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from upath import UPath

from components.contract.files.tables import read_table
from components.datasets.openbandit import CAMPAIGNS, KNOWN_CLICK_RATE, bts_prior, load_wheel
from components.datasets.package_download import DEFAULT_CACHE
from components.evaluation import evaluate
from components.evaluation.logged_decisions import LoggedDecisions, logged_decisions
from components.evaluation.trust import UNBIASED
from components.policies import eligible_pairs, pair_offsets
from components.policies.ragged_rows import spread
from components.settings.sections import EvaluationConfig

POSITIONS = 3
OTHER = {"random": "bts", "bts": "random"}
# Published for the estimators of zr-obp 0.4 on its small sample, random -> bts, campaign all (its README).
PUBLISHED = {"dm": 0.157, "dros": 0.160, "switch_dr": 0.258, "dr": 0.292, "ips": 0.311}


def thompson(alpha: np.ndarray, beta: np.ndarray, simulations: int, seed: int) -> np.ndarray:
    """Probability of each item at each position when items are ranked by draws from their Betas: [items, 3]."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((len(alpha), POSITIONS))
    for start in range(0, simulations, 10_000):
        size = min(10_000, simulations - start)
        ranked = np.argsort(-generator.beta(alpha, beta, (size, len(alpha))), axis=1)[:, :POSITIONS]
        counts += np.stack([np.bincount(ranked[:, k], minlength=len(alpha)) for k in range(POSITIONS)], axis=1)
    return counts / simulations


def load(data: UPath, campaign: str, policy: str) -> tuple[LoggedDecisions, np.ndarray]:
    """One log, and the position of each impression (0, 1, 2)."""
    impressions, creatives = read_table(data, "impressions"), read_table(data, "creatives")
    own = impressions[(impressions["campaign"] == campaign) & (impressions["logging_policy"] == policy)]
    own = own.sort_values(["timestamp", "impression_id"], kind="stable").reset_index(drop=True)
    items = creatives[creatives["campaign"] == campaign].sort_values("creative_id").reset_index(drop=True)
    pairs = eligible_pairs({"creatives": items}, own)
    coded = items.assign(**{f"feature_{k}": items[f"feature_{k}"].astype("category").cat.codes for k in (1, 2, 3)})
    log = logged_decisions(own, pairs, pair_offsets(pairs, own), coded, own["click"].to_numpy(dtype=float))
    if policy == "random":
        log = replace(log, logging=np.full(len(log.action), 1.0 / len(items)))
    return log, own["position"].to_numpy() - 1


def target_policy(log: LoggedDecisions, position: np.ndarray, name: str, by_position: np.ndarray) -> np.ndarray:
    """Probability of every pair under `random` or `bts`: float64 [n_pairs]."""
    if name == "random":
        return np.full(len(log.action), 1.0 / len(log.action_names))
    return by_position[log.action, spread(position, log.offsets)]


def judge(data: UPath, campaign: str, logger: str, by_position: np.ndarray, config: EvaluationConfig) -> dict:
    """Evaluate the other policy on the log of `logger`."""
    log, position = load(data, campaign, logger)
    name = OTHER[logger]
    evaluation = evaluate(log, target_policy(log, position, name, by_position), config)
    own = float(load(data, campaign, name)[0].reward.mean())
    full = KNOWN_CLICK_RATE[campaign, name]
    shown = evaluation.selected or UNBIASED  # an abstention selects none; the unbiased one is shown then
    interval = evaluation.estimate(shown).interval
    return {
        "campaign": campaign,
        "direction": f"{logger} -> {name}",
        "verdict": evaluation.verdict,
        "estimator": shown,
        "interval": interval.to_dict(),
        "full_data": full,
        "own_sample": own,
        "covers_full_data": interval.ci_low <= full <= interval.ci_high,
        "ess": evaluation.estimate("ips").ess,
        "relative_error": {
            it.estimator: abs(it.interval.value - own) / own for it in evaluation.estimates if it.interval is not None
        },
        "reasons": list(evaluation.reasons),
    }


def main() -> None:
    """Run, print a line per log and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data")
    parser.add_argument("--simulations", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    data, wheel = UPath(options.data) / "openbandit", load_wheel(DEFAULT_CACHE)
    answers = []
    for campaign in CAMPAIGNS:
        by_position = thompson(*bts_prior(wheel, campaign), options.simulations, seed=0)
        for logger in OTHER:
            it = judge(data, campaign, logger, by_position, EvaluationConfig())
            answers.append(it)
            low, value, high = (it["interval"][key] for key in ("ci_low", "value", "ci_high"))
            print(
                f"{campaign:<6}{it['direction']:<15}{it['estimator']:<12}{value:.4%} [{low:.4%}, {high:.4%}]  "
                f"full {it['full_data']:.2%}  sample {it['own_sample']:.2%}  ESS {it['ess']:.0f}  {it['verdict']}"
            )
    first = answers[0]["relative_error"]
    print("relative error, random -> bts, all:", {k: round(first[k], 3) for k in first}, "published:", PUBLISHED)
    covered = sum(it["covers_full_data"] for it in answers)
    line = json.dumps({"benchmark": "ope_openbandit", "covered": covered, "of": len(answers), "logs": answers})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

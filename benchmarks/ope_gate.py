"""How often the gate is fooled, and how often it sees a true gain.

    python -m benchmarks.ope_gate [--runs 1000] [--nights 20] [--impressions 500000] [--processes 2] [--out FILE]

False promotions: a log at a click rate of 2 % grows night by night; each night the gate looks at all of it, once with
one challenger throughout and once with a fresh one each night, none of which is any better. Power: the share of runs in
which a challenger with a true relative lift is promoted at the end of the log, as the first question of the ledger,
over lift and effective sample size. Ends with one line of JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.ope_parallel import replicate, wilson
from components.evaluation.ledger import Ledger
from components.evaluation.sequences import lower_lift

ALPHA, CLICK_RATE, ACTIONS = 0.05, 0.02, 10
LIFTS = (0.02, 0.05, 0.10, 0.20)
SIZES = (0.1, 0.3, 0.5, 0.8)  # effective sample size over the log's
MARGIN = 0.0


def challenger(generator: np.random.Generator, size: float) -> np.ndarray:
    """Probabilities [actions] with effective sample size `size` under uniform logging: 1 / (k sum pi^2)."""
    taste = generator.standard_normal(ACTIONS)
    low, high = 0.0, 30.0
    for _ in range(60):
        sharpness = (low + high) / 2
        policy = np.exp(sharpness * (taste - taste.max()))
        policy = policy / policy.sum()
        low, high = (sharpness, high) if 1 / (ACTIONS * (policy**2).sum()) > size else (low, sharpness)
    return policy


def click_rates(generator: np.random.Generator, policy: np.ndarray, lift: float) -> np.ndarray:
    """Unequal click rates, with mean 2 % under uniform logging and (1 + lift) times that under the policy."""
    uniform = np.full(ACTIONS, 1 / ACTIONS)
    noise = generator.normal(0, 0.15 * CLICK_RATE, ACTIONS)
    towards = policy - uniform
    noise = noise - noise.mean() - towards * (noise @ towards) / (towards @ towards)  # worth nothing to the policy
    gain = CLICK_RATE * lift / (policy @ towards)
    return np.clip(CLICK_RATE + noise + gain * towards, 1e-4, 1.0)


def false_promotions(task: tuple[int, int, int]) -> tuple[bool, bool]:
    """Whether the same challenger, and whether any of the fresh ones, was ever promoted."""
    seed, nights, impressions = task
    generator = np.random.default_rng([seed, 1])
    looks = np.linspace(impressions / nights, impressions, nights).astype(int)
    policies = [challenger(generator, 0.3) for _ in range(nights)]
    rates = click_rates(generator, policies[0], 0.0)
    same = _looks(generator, policies[0], rates, looks, Ledger(ALPHA).ask("same")[0])
    ledger, fresh = Ledger(ALPHA), False
    equal = np.full(ACTIONS, CLICK_RATE)  # unequal rates would be worth something to one of twenty challengers
    action, click = _log(generator, equal, impressions)
    for night, (policy, look) in enumerate(zip(policies, looks, strict=True)):
        alpha, ledger = ledger.ask(f"night {night}")
        fresh |= bool(_bounds(policy, action[:look], click[:look], np.array([look]), alpha)[0] > MARGIN)
    return bool((same > MARGIN).any()), fresh


def promoted(task: tuple[int, float, float, int]) -> bool:
    """Whether a challenger with a true relative `lift` is promoted at the end of the log."""
    seed, lift, size, impressions = task
    generator = np.random.default_rng([seed, 2])
    policy = challenger(generator, size)
    rates = click_rates(generator, policy, lift)
    alpha = Ledger(ALPHA).ask("it")[0]
    return bool(_looks(generator, policy, rates, np.array([impressions]), alpha)[0] > MARGIN)


def _log(generator: np.random.Generator, rates: np.ndarray, impressions: int) -> tuple[np.ndarray, np.ndarray]:
    action = generator.integers(0, ACTIONS, impressions)
    return action, (generator.random(impressions) < rates[action]).astype(float)


def _looks(
    generator: np.random.Generator, policy: np.ndarray, rates: np.ndarray, looks: np.ndarray, alpha: float
) -> np.ndarray:
    action, click = _log(generator, rates, int(looks[-1]))
    return _bounds(policy, action, click, looks, alpha)


def _bounds(policy: np.ndarray, action: np.ndarray, click: np.ndarray, looks: np.ndarray, alpha: float) -> np.ndarray:
    weight = policy[action] * ACTIONS
    return lower_lift(weight, np.ones(len(weight)), click, 1.0, alpha, looks)


def _share(hits: list[bool]) -> list[float]:
    return [float(np.mean(hits)), *wilson(sum(hits), len(hits))]


def main() -> None:
    """Run, print the power curve and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--power-runs", type=int, default=200, help="per point of the power curve")
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--impressions", type=int, default=500_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    tasks = [(seed, options.nights, options.impressions) for seed in range(options.runs)]
    fooled = list(replicate(false_promotions, tasks, options.processes))
    same, fresh = (_share([run[which] for run in fooled]) for which in (0, 1))
    print(f"false promotions in {options.runs} runs of {options.nights} nights: same {same}, fresh {fresh}", flush=True)
    curve = {}
    print("power       " + "".join(f"ESS {size:>4.0%} " for size in SIZES), flush=True)
    for lift in LIFTS:
        for size in SIZES:
            tasks = [(seed, lift, size, options.impressions) for seed in range(options.power_runs)]
            curve[f"{lift:g}/{size:g}"] = _share(list(replicate(promoted, tasks, options.processes)))
        print(f"lift {lift:+5.0%} " + "".join(f"{curve[f'{lift:g}/{size:g}'][0]:>8.1%} " for size in SIZES), flush=True)
    answer = {
        "benchmark": "ope_gate", "runs": options.runs, "nights": options.nights, "impressions": options.impressions,
        "alpha": ALPHA, "false_same": same, "false_fresh": fresh, "power_runs": options.power_runs, "power": curve,
    }  # fmt: skip
    line = json.dumps(answer)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

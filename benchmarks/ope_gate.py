"""Rates of false promotions and of detected true lifts at the promotion gate.

    python -m benchmarks.ope_gate [--only power,nights,planned,false,stress,scenarios] [--cells 0.05/0.3,...]
                                  [--runs 1000] [--power-runs 300] [--scenario-runs 300] [--nights 20]
                                  [--impressions 500000] [--processes 2] [--out FILE]

Logs show ten actions uniformly at a click rate of 2 %. Every rate has its 95 % Wilson interval.

- power: the fraction of runs that promote a challenger with a true relative lift at the end of the log, as the first
  question of the ledger, by lift and effective sample size (ESS); and the power of a fixed one-sided z-test at the
  same error probability. nights: the same if any of the looks at the growing log may promote.
- planned: the same with a planned last look, and how often it promotes at a true lift of zero.
- false: a challenger without lift that is evaluated each night, and a new one each night.
- stress: false promotions by the anytime bound and the planned boundary on harder logs of 100,000 impressions: ESS
  10 %, heavy-tailed weights, a drifting click rate, a wrong reward model, rare clicks.
- scenarios: false promotions on logs of 50,000 impressions, see SCENARIOS. A scenario passes if the lower end of its
  interval is at most 5 %.

Prints one line of JSON at the end.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.ope_gate_logs import (
    ACTIONS,
    ALPHA,
    CLICK_RATE,
    FIRST_ALPHA,
    MARGIN,
    STRESSES,
    challenger,
    click_rates,
    draw_log,
    lift_rows,
    look_sizes,
)
from benchmarks.ope_gate_scenarios import SCENARIOS, scenario
from benchmarks.ope_parallel import replicate, wilson
from components.evaluation.gate.boundaries import Boundary, lower_bound
from components.evaluation.gate.ledger import Ledger
from components.evaluation.gate.lift_bound import LiftRows, LiftSums, lift_sums, lower_lift

LIFTS = (0.02, 0.05, 0.10, 0.20)
SIZES = (0.1, 0.3, 0.5, 0.8)  # effective sample size over the log's
PARTS = ("power", "nights", "planned", "false", "stress", "scenarios")
CURVES = {"power": "last", "nights": "nights", "planned": "planned"}  # part: field of Promoted
STRESS_ROWS, SCENARIO_RUNS = 100_000, 300


def false_promotions(task: tuple[int, int, int]) -> tuple[bool, bool]:
    """Whether the same challenger, evaluated each night, and whether any of one new one a night was promoted."""
    seed, nights, impressions = task
    generator = np.random.default_rng([seed, 1])
    looks = look_sizes(impressions, nights)
    policies = [challenger(generator, 0.3) for _ in range(nights)]
    rates = click_rates(generator, policies[0], 0.0)
    same = lower_lift(lift_rows(policies[0], *draw_log(generator, rates, impressions)), FIRST_ALPHA, looks)
    ledger, fresh = Ledger(ALPHA), False
    equal = np.full(ACTIONS, CLICK_RATE)  # unequal rates would be worth something to one of twenty challengers
    action, click = draw_log(generator, equal, impressions)
    for night, (policy, look) in enumerate(zip(policies, looks, strict=True)):
        alpha, ledger = ledger.ask(f"night {night}")
        fresh |= bool(
            lower_lift(lift_rows(policy, action[:look], click[:look]), alpha, looks[night : night + 1]) > MARGIN
        )
    return bool((same > MARGIN).any()), fresh


@dataclass(frozen=True)
class Promoted:
    """Whether a run promoted at the log's end, at any look, and at any look with the last one planned at the end."""

    last: bool
    nights: bool
    planned: bool


def promoted(task: tuple[int, float, float, int, int]) -> Promoted:
    """Whether a challenger with a true relative `lift` is promoted."""
    seed, lift, size, impressions, nights = task
    generator = np.random.default_rng([seed, 2])
    policy = challenger(generator, size)
    rates = click_rates(generator, policy, lift)
    return _promoted(lift_rows(policy, *draw_log(generator, rates, impressions)), impressions, nights)


def _promoted(rows: LiftRows, impressions: int, nights: int) -> Promoted:
    sums = lift_sums(rows, look_sizes(impressions, nights))
    anytime = [look.lower(FIRST_ALPHA) > MARGIN for look in sums]
    planned = [_planned(look, impressions) > MARGIN for look in sums]
    return Promoted(anytime[-1], any(anytime), any(planned))


def _planned(sums: LiftSums, impressions: int) -> float:
    return lower_bound(sums, (), FIRST_ALPHA, Boundary("planned", impressions)).value


def fixed_power(lift: float, size: float, impressions: int) -> float:
    """Power of one z-test, one-sided at the first question's alpha, on the same log."""
    variance = CLICK_RATE * (1 - CLICK_RATE) * (1 / size - 1)
    return float(norm.sf(norm.isf(FIRST_ALPHA) - CLICK_RATE * lift / np.sqrt(variance / impressions)))


def stressed(task: tuple[int, str, int, int]) -> Promoted:
    """Whether a challenger without lift is promoted on the log STRESSES[name]."""
    seed, name, impressions, nights = task
    return _promoted(STRESSES[name](np.random.default_rng([seed, 3]), impressions), impressions, nights)


def _share(hits: list[bool]) -> list[float]:
    return [float(np.mean(hits)), *wilson(sum(hits), len(hits))]


@dataclass(frozen=True)
class Task:
    """One run of one cell of a table: WORKS[work] is called with `values`."""

    work: str  # a name in WORKS
    cell: str
    values: tuple


WORKS: dict[str, Callable] = {
    "curve": promoted,
    "false": false_promotions,
    "stress": stressed,
    "scenarios": scenario,
}


def run(task: Task) -> tuple[str, str, object]:
    """(work, cell, result) of one task."""
    return task.work, task.cell, WORKS[task.work](task.values)


def _tasks(options: argparse.Namespace) -> list[Task]:
    """The runs of all parts, for one pool of processes."""
    log, tasks = (options.impressions, options.nights), []
    if options.only & CURVES.keys():
        cells = [(lift, size, options.power_runs) for lift, size in options.cells]
        cells += [(0.0, size, options.runs) for size in SIZES if "planned" in options.only]
        tasks += [
            Task("curve", f"{lift:g}/{size:g}", (seed, lift, size, *log))
            for lift, size, runs in cells
            for seed in range(runs)
        ]
    if "false" in options.only:
        tasks += [Task("false", "", (seed, *reversed(log))) for seed in range(options.runs)]
    if "stress" in options.only:
        rows = STRESS_ROWS, options.nights
        tasks += [Task("stress", name, (seed, name, *rows)) for name in STRESSES for seed in range(options.runs)]
    if "scenarios" in options.only:
        tasks += [Task("scenarios", name, (name, seed)) for name in SCENARIOS for seed in range(options.scenario_runs)]
    return tasks


def _curve(cells: dict[str, list[Promoted]], options: argparse.Namespace) -> dict[str, dict]:
    """The power table: one dictionary per part, keyed by lift/size."""
    curve: dict[str, dict] = {part: {} for part in [*(part for part in CURVES if part in options.only), "fixed"]}
    for key, runs in cells.items():
        lift, size = (float(text) for text in key.split("/"))
        curve["fixed"][key] = fixed_power(lift, size, options.impressions)
        shares = {part: _share([getattr(run, CURVES[part]) for run in runs]) for part in curve if part != "fixed"}
        for part, share in shares.items():
            curve[part][key] = share
        print(f"lift {lift:+.0%} ESS {size:.0%}: {_words(shares)}; fixed z-test {curve['fixed'][key]:.1%}")
    return curve


def _false(runs: list[tuple[bool, bool]]) -> dict[str, list[float]]:
    shares = {name: _share([run[index] for run in runs]) for index, name in enumerate(("same", "fresh"))}
    print(f"false promotions in {len(runs)} logs, evaluated each night: {_words(shares)}")
    return shares


def _stress(cells: dict[str, list[Promoted]]) -> dict[str, dict[str, list[float]]]:
    shares = {
        name: {part: _share([getattr(run, CURVES[part]) for run in runs]) for part in ("nights", "planned")}
        for name, runs in cells.items()
    }
    for name, share in shares.items():
        print(f"false promotions under {name}: {_words(share)}")
    return shares


def _scenarios(cells: dict[str, list[bool]]) -> dict[str, dict]:
    shares = {}
    for name, promotions in cells.items():
        share = _share(promotions)
        shares[name] = {"share": share, "passes": share[1] <= ALPHA}
        print(f"false promotions, {_words({name: share})}; {'passes' if share[1] <= ALPHA else 'FAILS'}")
    return shares


def _words(shares: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {share:.1%} [{low:.1%}, {high:.1%}]" for name, (share, low, high) in shares.items())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=1000, help="of false promotions")
    parser.add_argument("--power-runs", type=int, default=300, help="per point of the power table")
    table = ",".join(f"{lift:g}/{size:g}" for lift in LIFTS for size in SIZES)
    parser.add_argument("--cells", default=table, help="of the power table: lift/ESS, such as 0.05/0.3,0.02/0.8")
    parser.add_argument("--scenario-runs", type=int, default=SCENARIO_RUNS)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--impressions", type=int, default=500_000, help="at most two digits before the zeros")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    options.cells = [tuple(float(text) for text in cell.split("/")) for cell in options.cells.split(",")]
    options.only = set(options.only.split(","))
    if unknown := options.only - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is unknown; parts are {', '.join(PARTS)}")
    return options


def main() -> None:
    """Run, print the tables and the line of JSON."""
    options = _options()
    figures = {
        "benchmark": "ope_gate", "runs": options.runs, "power_runs": options.power_runs, "nights": options.nights,
        "impressions": options.impressions, "alpha": ALPHA,
    }  # fmt: skip
    results: dict[str, dict[str, list]] = {}
    for work, cell, result in replicate(run, _tasks(options), options.processes):
        results.setdefault(work, {}).setdefault(cell, []).append(result)
    if "curve" in results:
        figures |= _curve(results["curve"], options)
    if "false" in results:
        figures["false"] = _false(results["false"][""])
    if "stress" in results:
        figures["stress"] = _stress(results["stress"])
    if "scenarios" in results:
        figures["scenarios"] = _scenarios(results["scenarios"])
    line = json.dumps(figures)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

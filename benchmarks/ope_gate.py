"""How often the gate is fooled, and how often it sees a true gain.

    python -m benchmarks.ope_gate [--only power,nights,planned,false,stress,scenarios] [--cells 0.05/0.3,...]
                                  [--runs 1000] [--power-runs 300] [--scenario-runs 300] [--nights 20]
                                  [--impressions 500000] [--processes 2] [--out FILE]

Logs show ten actions uniformly at a click rate of 2 %. Every share comes with its 95 % Wilson interval.

- power: share of runs in which a challenger with a true relative lift is promoted at the end of the log, as the first
  question of the ledger, over lift and effective sample size (ESS); beside each the power of a fixed one-sided z-test
  at the same error probability. nights: the same where any of the looks at the growing log may promote.
- planned: the same with a planned last look, and how often it promotes at a true lift of zero.
- false: a useless challenger looked at each night, and a fresh one each night.
- stress: how often the anytime bound and the planned boundary are fooled on harder logs of 100,000 impressions: ESS
  10 %, heavy-tailed weights, a drifting click rate, a wrong reward model, rare clicks.
- scenarios: false promotions on logs of 50,000 impressions, see SCENARIOS. One passes where the lower end of its
  interval is at most 5 %.

Ends with one line of JSON.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.ope_parallel import replicate, wilson
from components.evaluation.gate.boundaries import Boundary, lower_bound
from components.evaluation.gate.evidence import gate_evidence, gate_reasons
from components.evaluation.gate.ledger import Ledger
from components.evaluation.gate.lift_bound import LiftRows, LiftSums, lift_sums, lower_lift
from components.evaluation.intervals.explained_noise import JudgedRows
from components.evaluation.log_checks.leakage import check_leakage
from components.evaluation.logged_decisions import Covered, LoggedDecisions

ALPHA, CLICK_RATE, ACTIONS = 0.05, 0.02, 10
FIRST = Ledger(ALPHA).ask("it")[0]
LIFTS = (0.02, 0.05, 0.10, 0.20)
SIZES = (0.1, 0.3, 0.5, 0.8)  # effective sample size over the log's
MARGIN = 0.0
PARTS = ("power", "nights", "planned", "false", "stress", "scenarios")
CURVES = {"power": "last", "nights": "nights", "planned": "planned"}  # part: field of Promoted
STRESS_ROWS, LOG_ROWS, SCENARIO_RUNS, SETTINGS = 100_000, 50_000, 300, 20
CREATIVES = 480  # of a shop, of which an impression may show ACTIONS


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
    looks = _nights(impressions, nights)
    policies = [challenger(generator, 0.3) for _ in range(nights)]
    rates = click_rates(generator, policies[0], 0.0)
    same = lower_lift(_rows(policies[0], *_log(generator, rates, impressions)), FIRST, looks)
    ledger, fresh = Ledger(ALPHA), False
    equal = np.full(ACTIONS, CLICK_RATE)  # unequal rates would be worth something to one of twenty challengers
    action, click = _log(generator, equal, impressions)
    for night, (policy, look) in enumerate(zip(policies, looks, strict=True)):
        alpha, ledger = ledger.ask(f"night {night}")
        fresh |= bool(lower_lift(_rows(policy, action[:look], click[:look]), alpha, looks[night : night + 1]) > MARGIN)
    return bool((same > MARGIN).any()), fresh


@dataclass(frozen=True)
class Promoted:
    """What one run promoted: `nights` at any look, `planned` at any look with the last look at the log's end."""

    last: bool
    nights: bool
    planned: bool


def promoted(task: tuple[int, float, float, int, int]) -> Promoted:
    """Whether a challenger with a true relative `lift` is promoted."""
    seed, lift, size, impressions, nights = task
    generator = np.random.default_rng([seed, 2])
    policy = challenger(generator, size)
    rates = click_rates(generator, policy, lift)
    return _promoted(_rows(policy, *_log(generator, rates, impressions)), impressions, nights)


def _promoted(rows: LiftRows, impressions: int, nights: int) -> Promoted:
    sums = lift_sums(rows, _nights(impressions, nights))
    anytime = [look.lower(FIRST) > MARGIN for look in sums]
    planned = [_planned(look, impressions) > MARGIN for look in sums]
    return Promoted(anytime[-1], any(anytime), any(planned))


def _planned(sums: LiftSums, impressions: int) -> float:
    return lower_bound(sums, (), FIRST, Boundary("planned", impressions)).value


def fixed_power(lift: float, size: float, impressions: int) -> float:
    """Power of one z-test, one-sided at the first question's alpha, on the same log."""
    variance = CLICK_RATE * (1 - CLICK_RATE) * (1 / size - 1)
    return float(norm.sf(norm.isf(FIRST) - CLICK_RATE * lift / np.sqrt(variance / impressions)))


def stressed(task: tuple[int, str, int, int]) -> Promoted:
    """What a useless challenger passes on a harder log."""
    seed, name, impressions, nights = task
    return _promoted(STRESSES[name](np.random.default_rng([seed, 3]), impressions), impressions, nights)


def _low_size(generator: np.random.Generator, impressions: int) -> LiftRows:
    policy = challenger(generator, 0.1)
    return _rows(policy, *_log(generator, click_rates(generator, policy, 0.0), impressions))


def _heavy_tail(generator: np.random.Generator, impressions: int) -> LiftRows:
    """Weights of a Pareto law with index 1.8, so without a variance; rewards know nothing of them."""
    weight = (generator.pareto(1.8, impressions) + 1) * 0.8 / 1.8
    return LiftRows.from_weights(weight, np.ones(impressions), _clicks(generator, CLICK_RATE, impressions))


def _heavy_baseline(generator: np.random.Generator, impressions: int) -> LiftRows:
    """A baseline with weights up to 20 on one action in forty, and a target that is the logging policy."""
    weight = np.where(generator.random(impressions) < 1 / 40, 20.0, 0.5 / 0.975)
    clicks = _clicks(generator, CLICK_RATE, impressions)
    return LiftRows.from_weights(np.ones(impressions), weight, clicks, 20.0, 1.0)


def _drift(generator: np.random.Generator, impressions: int) -> LiftRows:
    """A click rate that triples, a loss of 10 % at first and a gain later; the mean lift so far is never above 0."""
    policy = challenger(generator, 0.3)
    time = np.linspace(0, 1, impressions)
    rate = CLICK_RATE * (0.5 + time)
    early = time < 0.5
    swing = np.where(early, -0.1, 0.1 * rate[early].sum() / rate[~early].sum())
    towards = (policy - 1 / ACTIONS) / ((policy - 1 / ACTIONS) @ policy)
    action = generator.integers(0, ACTIONS, impressions)
    return _rows(policy, action, _clicks(generator, rate * (1 + swing * towards[action]), impressions))


def _wrong_model(generator: np.random.Generator, impressions: int) -> LiftRows:
    """A reward model that gives the target's favourite the highest reward and all others none."""
    policy = challenger(generator, 0.3)
    action, click = _log(generator, click_rates(generator, policy, 0.0), impressions)
    score = (np.arange(ACTIONS) == policy.argmax()) * 1.0
    rows = _rows(policy, action, click)
    score_lift = np.full(impressions, float((policy - 1 / ACTIONS) @ score))
    return replace(rows, score=score[action], score_lift=score_lift)


def _rare_clicks(generator: np.random.Generator, impressions: int) -> LiftRows:
    policy = challenger(generator, 0.3)
    action = generator.integers(0, ACTIONS, impressions)
    return _rows(policy, action, _clicks(generator, 0.001, impressions))


STRESSES: dict[str, Callable[[np.random.Generator, int], LiftRows]] = {
    "ess_10": _low_size,
    "heavy_tail": _heavy_tail,
    "heavy_baseline": _heavy_baseline,
    "drift": _drift,
    "wrong_model": _wrong_model,
    "rare_clicks": _rare_clicks,
}


def wrong_champion(seed: int) -> bool:
    """The log is written by a champion whose interest model is wrong; a challenger that knows nothing faces it.

    The baseline is what the champion logged, weight 1 throughout. In each of four contexts the click rates are unequal,
    and worth nothing to either of the two.
    """
    generator = np.random.default_rng([seed, 4])
    champion, knows_nothing = (_softmax(generator.standard_normal((4, ACTIONS)), 1.0) for _ in range(2))
    towards = knows_nothing - champion
    noise = generator.normal(0, 0.15 * CLICK_RATE, (4, ACTIONS))
    noise -= towards * ((noise * towards).sum(axis=1) / (towards**2).sum(axis=1))[:, None]
    context = generator.integers(0, 4, LOG_ROWS)
    log = _decisions(generator, champion, np.clip(CLICK_RATE + noise, 0.0, 1.0), context)
    return _passes(log, knows_nothing[context].ravel(), log.logging, FIRST)


def rerolled_settings(seed: int) -> bool:
    """A useless challenger is asked about with twenty seeds and temperatures; each is a new question to the ledger."""
    generator = np.random.default_rng([seed, 5])
    uniform = np.full((1, ACTIONS), 1 / ACTIONS)
    rates = np.full((1, ACTIONS), CLICK_RATE)
    log = _decisions(generator, uniform, rates, np.zeros(LOG_ROWS, dtype=np.int64))
    taste, ledger = generator.standard_normal(ACTIONS), Ledger(ALPHA)
    for setting in range(SETTINGS):
        alpha, ledger = ledger.ask(f"setting {setting}")
        policy = _softmax(taste + 0.5 * generator.standard_normal(ACTIONS), 0.5 + 0.05 * setting)
        if _passes(log, np.tile(policy, LOG_ROWS), None, alpha):
            return True
    return False


def planted_leak(seed: int) -> bool:
    """All creatives are alike, and the policy follows their click rates on the whole log, the judged half included."""
    generator = np.random.default_rng([seed, 7])
    shortlist = np.argsort(generator.random((LOG_ROWS, CREATIVES), dtype=np.float32), axis=1)[:, :ACTIONS]
    column = generator.integers(0, ACTIONS, LOG_ROWS)
    shown = shortlist[np.arange(LOG_ROWS), column]
    click = _clicks(generator, CLICK_RATE, LOG_ROWS)
    before = np.bincount(
        generator.integers(0, CREATIVES, LOG_ROWS), _clicks(generator, CLICK_RATE, LOG_ROWS), CREATIVES
    )
    ctr = (before + np.bincount(shown, click, CREATIVES)) / (2 * LOG_ROWS / CREATIVES)  # over both halves of the log
    rows = JudgedRows(shown, np.arange(LOG_ROWS), np.ones(LOG_ROWS), click, np.ones(LOG_ROWS))
    if any(finding.severity == "critical" for finding in check_leakage(rows, {"feature_ctr": ctr})):
        return False  # the evaluation abstains
    log = LoggedDecisions(
        impression=np.arange(LOG_ROWS).astype(str).astype(object),
        offsets=np.arange(0, LOG_ROWS * ACTIONS + 1, ACTIONS),
        action=shortlist.ravel(),
        logged=np.arange(LOG_ROWS) * ACTIONS + column,
        propensity=np.full(LOG_ROWS, 1 / ACTIONS),
        reward=click,
        cluster=np.arange(LOG_ROWS),
        action_names=np.arange(CREATIVES).astype(str).astype(object),
        context=np.zeros((LOG_ROWS, 0)),
        logging=np.full(LOG_ROWS * ACTIONS, 1 / ACTIONS),
    )
    return _passes(log, _softmax(ctr[shortlist] / CLICK_RATE, 3.0).ravel(), None, FIRST)


SCENARIOS: dict[str, Callable[[int], bool]] = {  # seed -> whether a challenger that is no better was promoted
    "wrong_model_champion": wrong_champion,
    "rerolled_settings": rerolled_settings,
    "planted_leak": planted_leak,
}


def scenario(task: tuple[str, int]) -> bool:
    """Whether scenario `name` ends in a false promotion."""
    name, seed = task
    return SCENARIOS[name](seed)


def _passes(log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, alpha: float) -> bool:
    """The gate's own answer."""
    evidence = gate_evidence(Covered(log, target, baseline, 0.0, 0), (), 0.0, 0.1)
    return gate_reasons(evidence, alpha, MARGIN)[0]


def _softmax(utility: np.ndarray, sharpness: float) -> np.ndarray:
    """Probabilities [..., actions], 5 % of them uniform exploration, as a policy gives them."""
    raised = np.exp(sharpness * utility)
    return 0.95 * raised / raised.sum(axis=-1, keepdims=True) + 0.05 / ACTIONS


def _decisions(
    generator: np.random.Generator, logging: np.ndarray, rates: np.ndarray, context: np.ndarray
) -> LoggedDecisions:
    """A log of LOG_ROWS impressions: logging, rates: [contexts, actions]; context: int64 [n]."""
    n = len(context)
    cumulative = np.cumsum(logging[context], axis=1)
    shown = (generator.random((n, 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    return LoggedDecisions(
        impression=np.arange(n).astype(str).astype(object),
        offsets=np.arange(0, n * ACTIONS + 1, ACTIONS),
        action=np.tile(np.arange(ACTIONS), n),
        logged=np.arange(n) * ACTIONS + shown,
        propensity=logging[context, shown],
        reward=_clicks(generator, rates[context, shown], n),
        cluster=np.arange(n),
        action_names=np.array([f"a{code}" for code in range(ACTIONS)], dtype=object),
        context=context[:, None].astype(float),
        logging=logging[context].ravel(),
    )


def _nights(impressions: int, nights: int) -> np.ndarray:
    return np.linspace(impressions / nights, impressions, nights).astype(int)


def _clicks(generator: np.random.Generator, rate: np.ndarray | float, impressions: int) -> np.ndarray:
    return (generator.random(impressions) < rate).astype(float)


def _log(generator: np.random.Generator, rates: np.ndarray, impressions: int) -> tuple[np.ndarray, np.ndarray]:
    action = generator.integers(0, ACTIONS, impressions)
    return action, _clicks(generator, rates[action], impressions)


def _rows(policy: np.ndarray, action: np.ndarray, click: np.ndarray) -> LiftRows:
    weight = policy * ACTIONS
    return LiftRows.from_weights(weight[action], np.ones(len(action)), click, 1.0, float(weight.max()))


def _share(hits: list[bool]) -> list[float]:
    return [float(np.mean(hits)), *wilson(sum(hits), len(hits))]


@dataclass(frozen=True)
class Task:
    """One run of one cell of a table: what `work` does with `values`."""

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
    """Work, cell and what came out."""
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
    for key, found in cells.items():
        lift, size = (float(text) for text in key.split("/"))
        curve["fixed"][key] = fixed_power(lift, size, options.impressions)
        shares = {part: _share([getattr(it, CURVES[part]) for it in found]) for part in curve if part != "fixed"}
        for part, share in shares.items():
            curve[part][key] = share
        print(f"lift {lift:+.0%} ESS {size:.0%}: {_words(shares)}; fixed z-test {curve['fixed'][key]:.1%}")
    return curve


def _false(found: list[tuple[bool, bool]]) -> dict[str, list[float]]:
    shares = {name: _share([it[which] for it in found]) for which, name in enumerate(("same", "fresh"))}
    print(f"false promotions in {len(found)} logs, looked at each night: {_words(shares)}")
    return shares


def _stress(cells: dict[str, list[Promoted]]) -> dict[str, dict[str, list[float]]]:
    shares = {
        name: {part: _share([getattr(it, CURVES[part]) for it in found]) for part in ("nights", "planned")}
        for name, found in cells.items()
    }
    for name, share in shares.items():
        print(f"false promotions under {name}: {_words(share)}")
    return shares


def _scenarios(cells: dict[str, list[bool]]) -> dict[str, dict]:
    shares = {}
    for name, found in cells.items():
        share = _share(found)
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
    answer = {
        "benchmark": "ope_gate", "runs": options.runs, "power_runs": options.power_runs, "nights": options.nights,
        "impressions": options.impressions, "alpha": ALPHA,
    }  # fmt: skip
    found: dict[str, dict[str, list]] = {}
    for work, cell, outcome in replicate(run, _tasks(options), options.processes):
        found.setdefault(work, {}).setdefault(cell, []).append(outcome)
    if "curve" in found:
        answer |= _curve(found["curve"], options)
    if "false" in found:
        answer["false"] = _false(found["false"][""])
    if "stress" in found:
        answer["stress"] = _stress(found["stress"])
    if "scenarios" in found:
        answer["scenarios"] = _scenarios(found["scenarios"])
    line = json.dumps(answer)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

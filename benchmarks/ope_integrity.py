"""Detection rates of the integrity checks on corrupted logs, and their false alarms on clean and sound ones.

    python -m benchmarks.ope_integrity [--logs 50] [--clean 500] [--sound 100] [--processes 2] [--out FILE]

Corruptions of the propensities are planted twice: in logs with the whole logging distribution (`candidates`), and in
logs with the propensity of the shown action only, whose names end in `shown_only`. They are sized to change IPS by
about one standard error where they act through weights or clicks. Detected means a critical finding; for bots, that the
planted shoppers are flagged. A false alarm is a critical finding on a clean log, in either form, or another shopper
flagged as a bot. An interrupted run continues where it stopped.

Sound logs (`benchmarks/sound_logs.py`: 20,000 impressions, 1.5 % clicks) are evaluated by `adloom evaluate` with its
default settings: the fraction that is trusted, and how often the chosen interval covers the truth. Prints one line of
JSON at the end.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.ope_logs import Arena, Trial, arena
from benchmarks.ope_parallel import resumed, wilson
from benchmarks.sound_logs import KINDS, sound_log
from components.evaluation import evaluate_files
from components.evaluation.log_checks.integrity import check_propensities, check_weights
from components.evaluation.log_checks.log_finding import Finding
from components.evaluation.log_checks.row_checks import bot_like, check_rows, log_rows
from components.evaluation.logged_decisions import LoggedDecisions, pairs_of
from components.policies.ragged_rows import row_sums, spread

RESULTS = Path("benchmarks/results/ope_integrity.jsonl")
SOUND_RESULTS = Path("benchmarks/results/ope_integrity_sound.jsonl")
IMPRESSIONS = 50_000


@cache
def _arena() -> Arena:
    return arena("baseline", IMPRESSIONS)


def findings(trial: Trial, quarantine: pd.DataFrame | None = None) -> tuple[Finding, ...]:
    """All checks of one log."""
    found = check_propensities(trial.log) + check_rows(log_rows(trial.impressions, quarantine))
    if any(it.kind == "propensity_range" and it.severity == "critical" for it in found):
        return found
    return found + check_weights(trial.log, trial.target)


def _ips(log: LoggedDecisions, target: np.ndarray) -> tuple[float, float]:
    values = log.weight(target) * log.reward
    return float(values.mean()), float(values.std() / np.sqrt(log.n))


def _take(trial: Trial, index: np.ndarray) -> Trial:
    target = trial.target[pairs_of(trial.log.offsets, index)]
    rows = trial.impressions.iloc[index].reset_index(drop=True)
    return replace(trial, log=trial.log.rows(index), target=target, impressions=rows, bot=trial.bot[index])


def _with_logging(trial: Trial, logging: np.ndarray) -> Trial:
    log = replace(trial.log, logging=logging, propensity=logging[trial.log.logged])
    return replace(trial, log=log)


def out_of_range(trial: Trial, generator: np.random.Generator) -> Trial:
    """A few propensities of nought, NaN and above one."""
    wrong = trial.log.propensity.copy()
    at = generator.permutation(trial.log.n)[:30]
    wrong[at] = np.resize([0.0, np.nan, 1.2], 30)
    return replace(trial, log=replace(trial.log, propensity=wrong))


def not_summing(trial: Trial, generator: np.random.Generator) -> Trial:
    """All propensities scaled by what moves IPS one standard error."""
    value, error = _ips(trial.log, trial.target)
    return _with_logging(trial, trial.log.logging / (1 + error / value))


def disagreeing(trial: Trial, generator: np.random.Generator) -> Trial:
    """The impressions' propensities scaled so, the candidates' not."""
    value, error = _ips(trial.log, trial.target)
    return replace(trial, log=replace(trial.log, propensity=trial.log.propensity / (1 + error / value)))


def stale_policy(trial: Trial, generator: np.random.Generator) -> Trial:
    """Logged are the probabilities of a policy sharper or blunter than the one that acted."""
    value, error = _ips(trial.log, trial.target)
    low, high = 0.5, 1.0  # power of the probabilities; 1 is the truth
    for _ in range(30):
        power = (low + high) / 2
        moved = abs(_ips(_powered(trial, power).log, trial.target)[0] - value)
        low, high = (power, high) if moved > error else (low, power)
    return _powered(trial, low)


def _powered(trial: Trial, power: float) -> Trial:
    mass = trial.log.logging**power
    return _with_logging(trial, mass / spread(row_sums(mass, trial.log.offsets), trial.log.offsets))


def uniform_claimed(trial: Trial, generator: np.random.Generator) -> Trial:
    """Uniform propensities written by default."""
    return _powered(trial, 0.0)


def lost_rows(trial: Trial, generator: np.random.Generator) -> Trial:
    """5,000 rows lost from half of the arms."""
    arms = generator.permutation(len(trial.log.action_names)) % 2 == 0
    at = np.flatnonzero(arms[trial.log.action[trial.log.logged]])
    return _take(trial, np.setdiff1d(np.arange(trial.log.n), generator.choice(at, 5000, replace=False)))


def lost_arms(trial: Trial, generator: np.random.Generator) -> Trial:
    """Arms whose rows never arrive, as many as earn one standard error of IPS."""
    _, error = _ips(trial.log, trial.target)
    shown = trial.log.action[trial.log.logged]
    earned = np.bincount(shown, trial.log.weight(trial.target) * trial.log.reward, len(trial.log.action_names))
    order = generator.permutation(len(earned))
    lost = order[: int(np.searchsorted(np.cumsum(earned[order]), error * trial.log.n)) + 1]
    return _take(trial, np.flatnonzero(~np.isin(shown, lost)))


def doubled_clicks(trial: Trial, generator: np.random.Generator) -> Trial:
    """Clicked impressions written twice under a new id, as a retry does."""
    value, error = _ips(trial.log, trial.target)
    clicked = np.flatnonzero(trial.log.reward)
    twice = generator.choice(clicked, max(1, round(len(clicked) * error / value)), replace=False)
    index = np.sort(np.concatenate([np.arange(trial.log.n), twice]))
    doubled = _take(trial, index)
    again = np.flatnonzero(np.diff(index) == 0) + 1
    ids = doubled.impressions["impression_id"].to_numpy(dtype=object).copy()
    ids[again] = [f"{name}-again" for name in ids[again]]
    return replace(doubled, impressions=doubled.impressions.assign(impression_id=ids))


def reordered(trial: Trial, generator: np.random.Generator) -> Trial:
    """A twentieth of the rows in another place."""
    index = np.arange(trial.log.n)
    moved = generator.choice(trial.log.n, trial.log.n // 20, replace=False)
    index[moved] = generator.permutation(moved)
    return _take(trial, index)


def early_outcomes(trial: Trial, generator: np.random.Generator) -> Trial:
    """Conversions an hour before their impressions."""
    rows = trial.impressions
    sold = rows["conversion_timestamp"].notna()
    early = rows["timestamp"] - pd.Timedelta(hours=1)
    return replace(trial, impressions=rows.assign(conversion_timestamp=rows["conversion_timestamp"].mask(sold, early)))


def bots(trial: Trial, generator: np.random.Generator) -> Trial:
    """Three shoppers who click at every second impression, adding one standard error of IPS."""
    _, error = _ips(trial.log, trial.target)
    weight = trial.log.weight(trial.target)
    wanted = error * trial.log.n
    at = generator.permutation(np.flatnonzero(trial.log.reward == 0))
    size = int(np.searchsorted(np.cumsum(weight[at]), wanted)) + 1
    clicked, seen = at[:size], at[: 2 * size]
    reward = trial.log.reward.copy()
    reward[clicked] = 1.0
    shopper = trial.impressions["shopper_id"].to_numpy(dtype=object).copy()
    shopper[seen] = [f"planted-{row % 3}" for row in range(len(seen))]
    rows = trial.impressions.assign(shopper_id=shopper, click=reward.astype(int))
    return replace(trial, log=trial.log.with_reward(reward, trial.log.reward_range), impressions=rows)


CORRUPTIONS = {
    "propensity_out_of_range": out_of_range,
    "propensities_not_summing": not_summing,
    "propensities_disagreeing": disagreeing,
    "stale_policy": stale_policy,
    "uniform_claimed": uniform_claimed,
    "lost_5000_rows": lost_rows,
    "lost_arms": lost_arms,
    "doubled_clicks": doubled_clicks,
    "reordered": reordered,
    "early_outcomes": early_outcomes,
    "bots": bots,
}
QUARANTINE = "skewed_quarantine"
SHOWN_ONLY = ("uniform_claimed", "stale_policy", "lost_5000_rows")  # planted in logs without candidates too


def shown_only(trial: Trial) -> Trial:
    """The same log with the propensity of the shown action alone."""
    return replace(trial, log=replace(trial.log, logging=None))


def run(task: tuple[int, bool]) -> dict:
    """One clean log, and every corruption of it where wanted: name -> whether it raised an alarm."""
    seed, corrupt = task
    trial = _arena().trial_with_table(seed)
    forms = (trial, shown_only(trial))
    clean = [it.kind for form in forms for it in findings(form) if it.severity == "critical"]
    if (bot_like(log_rows(trial.impressions)) & ~trial.bot).any():
        clean.append("bots")
    alarms = {"seed": seed, "clean": bool(clean), "clean kinds": clean}
    if not corrupt:
        return alarms
    generator = np.random.default_rng([seed, 9])
    for name, plant in CORRUPTIONS.items():
        planted = plant(trial, generator)
        if name == "bots":
            mine = planted.impressions["shopper_id"].str.startswith("planted").to_numpy()
            alarms[name] = bool(bot_like(log_rows(planted.impressions))[mine].all())
        else:
            alarms[name] = any(it.severity == "critical" for it in findings(planted))
        if name in SHOWN_ONLY:
            alarms[f"{name}_shown_only"] = any(it.severity == "critical" for it in findings(shown_only(planted)))
    return alarms | {QUARANTINE: _skewed(trial, generator)}


def _skewed(trial: Trial, generator: np.random.Generator) -> bool:
    """Quarantine takes 1 % of all rows, but a tenth of the arms lose four times as much."""
    arms = generator.random(len(trial.log.action_names)) < 0.1
    chance = np.where(arms[trial.log.action[trial.log.logged]], 0.04, 0.007)
    lost = generator.random(trial.log.n) < chance
    kept = _take(trial, np.flatnonzero(~lost))
    found = check_rows(log_rows(kept.impressions, trial.impressions[lost]))
    return any(it.kind == "quarantine" and it.severity == "critical" for it in found)


def judge_sound(task: tuple[str, int]) -> dict:
    """What `adloom evaluate` says of one sound log."""
    kind, seed = task
    made = sound_log(kind, seed)
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("log.parquet", "target.parquet")]
        made.log.to_parquet(paths[0])
        made.target.to_parquet(paths[1])
        evaluation = evaluate_files(*paths, None, (0.0, 1.0))
    held = None
    if evaluation.selected is not None:
        value, lift = evaluation.estimate(evaluation.selected).interval, evaluation.lift
        true_lift = made.truth - made.logged
        held = [value.ci_low <= made.truth <= value.ci_high, lift.ci_low <= true_lift <= lift.ci_high]
    critical = [it.kind for it in evaluation.findings if it.severity == "critical"]
    return {
        "kind": kind,
        "seed": seed,
        "held": held,
        "critical": critical,
        "reasons": [] if held else list(evaluation.reasons),
    }


def sound(logs: int, processes: int, file: Path) -> dict[str, dict]:
    """Per kind of sound log: the share that is trusted, and that of the trusted whose intervals hold the truth.

    file: a JSON line per log; done ones are kept.
    """
    tasks = {(kind, seed): (kind, seed) for seed in range(1, logs + 1) for kind in KINDS}
    rows = resumed(judge_sound, tasks, lambda row: (row["kind"], row["seed"]), file, processes)
    answer = {}
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        trusted = [row["held"] for row in mine if row["held"] is not None]
        value, lift = (sum(held[which] for held in trusted) for which in (0, 1))
        answer[kind] = {
            "trusted": [len(trusted) / len(mine), *wilson(len(trusted), len(mine))],
            "value_held": [value / max(len(trusted), 1), *wilson(value, len(trusted))],
            "lift_held": [lift / max(len(trusted), 1), *wilson(lift, len(trusted))],
        }
        print(f"sound, {kind:<21}{answer[kind]['trusted'][0]:>7.1%} of {len(mine)} trusted; of these the interval held "
              f"the value {value} times and the lift {lift} times of {len(trusted)}")  # fmt: skip
        for row in mine:
            if row["held"] is None:
                print(f"  {kind} {row['seed']} {row['critical']}: {row['reasons'][0]}")
    return answer


def main() -> None:
    """Run, print a line per corruption and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=50)
    parser.add_argument("--clean", type=int, default=500)
    parser.add_argument("--sound", type=int, default=0, help="sound logs of each kind to judge")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows", type=Path, default=RESULTS, help="a JSON line per log; done ones are kept")
    parser.add_argument("--sound-rows", type=Path, default=SOUND_RESULTS, help="the same of sound logs")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    tasks = {seed: (seed, seed <= options.logs) for seed in range(1, max(options.clean, options.logs) + 1)}
    rows = resumed(run, tasks, lambda row: row["seed"], options.rows, options.processes)
    detected = {}
    for name in [*CORRUPTIONS, *(f"{name}_shown_only" for name in SHOWN_ONLY), QUARANTINE]:
        hits = [row[name] for row in rows if name in row]
        detected[name] = [float(np.mean(hits)), *wilson(sum(hits), len(hits))]
        print(f"{name:<28}{detected[name][0]:>7.1%} of {len(hits)}")
    alarms = [row["clean"] for row in rows]
    false = [float(np.mean(alarms)), *wilson(sum(alarms), len(alarms))]
    kinds = sorted(kind for row in rows for kind in row["clean kinds"])
    print(f"{'false alarms':<28}{false[0]:>7.1%} of {len(alarms)} {kinds}")
    counts = {"logs": options.logs, "clean": len(rows), "sound_logs": options.sound}
    judged = sound(options.sound, options.processes, options.sound_rows) if options.sound else None
    line = json.dumps({"benchmark": "ope_integrity", **counts, "detected": detected, "false": false, "sound": judged})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

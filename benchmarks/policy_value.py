"""What each policy is worth on the first day: simulated shops, by the click law's truth and off-policy.

    python -m benchmarks.policy_value [--seeds 31,32,33] [--policies chi_square,rules,...] [--set section.key=value]
                                      [--workdir DIR] [--rows FILE] [--out FILE]

For each seed the default shop is simulated, its features are built and the interest model is trained (for a policy that
needs standard errors, one that has them). Then each policy is fixed on rows before the judged ones, in both forms, and
valued on the judged rows:

- ctr, cvr, cost per conversion (CPM: a fixed price per impression; CPC: per click), by the law's probabilities, each
  relative to the uniform policy and to the rules;
- share: of the oracle's click lift over the uniform policy; greedy: of the interest model's best choice, which explores
  nothing;
- lift: clicks per 1,000 impressions above the logging policy, by truth, and off-policy with its 95 % interval and the
  gate's bound at error probability 1.25 %, which is that of a first question about two forms.

- off-policy against each of uniform, rules and popularity: the relative change of CTR, CVR and cost per conversion, by
  self-normalised importance weights with a 95 % bootstrap interval, on the rows whose conversions are final.

`rules` has eight segments, few enough to be written by hand; `popularity` is the best fixed creative. The off-policy
estimates see outcomes and propensities alone. An interrupted run continues where it stopped. Prints one line of JSON at
the end.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
from upath import UPath

from benchmarks.ope_parallel import resumed
from benchmarks.served_value import NAME, build_shop

RESULTS = Path("benchmarks/results/policy_value.jsonl")
ALPHA = 0.0125
OVERRIDES = {"rules": {"segments": 8}}  # of evaluation.policy, by policy
BY_HAND = "rules"
PEERS = {"uniform": "uniform", "rules": "rules per_shopper", "popularity": "popularity per_shopper"}  # by short name


def run(task: tuple[int, tuple[str, ...], str, tuple[str, ...]]) -> dict:
    """The row of one seed: the figures of every policy and form."""
    from components.policies import POLICIES
    from components.settings.environment import limit_blas_threads, prepare
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths
    from components.workflow import run_stage
    from components.workflow.evaluation_inputs import read_evaluation_inputs
    from components.workflow.run_stage import checked

    prepare()
    limit_blas_threads()
    seed, names, workdir, overrides = task
    begun = time.process_time()
    folder = UPath(workdir) / str(seed)
    settings = checked(load_settings("params.yaml", NAME, (f"simulator.seed={seed}", *overrides)))
    paths = Paths.of(NAME, data=str(folder / "data" / NAME), workdir=str(folder / "artifacts"))
    build_shop(settings, paths)
    for stage in ("validation", "features", "interest"):
        run_stage.run(stage, settings, paths)
    inputs = read_evaluation_inputs(settings.evaluation, paths)
    row = {
        "seed": seed,
        **figures(inputs, settings.evaluation, tuple(n for n in names if not POLICIES[n].needs_errors)),
    }
    for name in (name for name in names if POLICIES[name].needs_errors):
        chosen = checked(load_settings("params.yaml", NAME, (f"simulator.seed={seed}", *overrides, *sure_of(name))))
        run_stage.run("interest", chosen, paths)
        sure = figures(read_evaluation_inputs(chosen.evaluation, paths), chosen.evaluation, (name,))["policies"]
        row["policies"] |= {key: values for key, values in sure.items() if key.startswith(f"{name} ")}
    row["cpu_seconds"] = round(time.process_time() - begun)
    shutil.rmtree(folder)
    return row


def sure_of(name: str) -> tuple[str, ...]:
    """Settings of a policy that needs standard errors: those models of interest that have them."""
    from components.interest.model_kinds import MODEL_KINDS

    with_errors = ", ".join(kind for kind, about in MODEL_KINDS.items() if about.has_errors)
    return f"evaluation.policy.name={name}", f"interest.models=[{with_errors}]"


def figures(inputs, config, names: tuple[str, ...]) -> dict:
    """The figures of the policies `names`, of the logging policy and of the oracle, on the judged rows of `inputs`."""
    from components.policies.proposal import propose
    from components.policies.ragged_rows import row_counts, spread

    rows = inputs.rows(True, config.exclude_bots)
    value = true_values(inputs, rows)
    even = value(1.0 / spread(row_counts(rows.offsets), rows.offsets).astype(float))
    logged = value(rows.pairs["propensity"].to_numpy())
    oracle, greedy = value(best_of(value.click, rows.offsets)), value(best_of(rows.pairs["p_click"], rows.offsets))
    policies, probabilities = {}, {"uniform": 1.0 / spread(row_counts(rows.offsets), rows.offsets).astype(float)}
    for name in names:
        policy_config = config.policy.model_copy(update={"name": name, **OVERRIDES.get(name, {})})
        policy, _ = propose(inputs.learned, inputs.tables, None, inputs.select_slice(), policy_config)
        for form in policy.parameters.forms:
            shown, unlogged = policy.shown_and_unlogged(form, rows.impressions, rows.pairs, rows.offsets)
            probabilities[f"{name} {form}"] = shown
            policies[f"{name} {form}"] = {
                "temperature": policy.parameters.temperatures[form],
                **value(shown),
                "true_lift": 1000 * (value(shown)["ctr"] - logged["ctr"]),
                **_off_policy(inputs, rows, shown, unlogged, config),
            }
    for name, values in policies.items():
        values["share"] = (values["ctr"] - even["ctr"]) / (oracle["ctr"] - even["ctr"])
        values["off_policy"] = _against_peers(inputs, rows, probabilities, name, config)
    others = {"uniform": even, "logging": logged, "greedy": greedy, "oracle": oracle}
    for values in others.values():
        values["share"] = (values["ctr"] - even["ctr"]) / (oracle["ctr"] - even["ctr"])
    return {"policies": {**others, **policies}}


class TrueValues:
    """The law's mean click and conversion of policies on some rows. click, conversion: float64 [n_pairs]."""

    def __init__(self, click: np.ndarray, conversion: np.ndarray, offsets: np.ndarray) -> None:
        self.click, self.conversion, self.offsets = click, conversion, offsets

    def __call__(self, shown: np.ndarray) -> dict[str, float]:
        """ctr (clicks per impression), cvr (conversions per click) and per_impression (conversions per impression)."""
        from components.policies.ragged_rows import row_sums

        click, conversion = (
            float(row_sums(shown * rate, self.offsets).mean()) for rate in (self.click, self.conversion)
        )
        return {"ctr": click, "cvr": conversion / click, "per_impression": conversion}


def true_values(inputs, rows) -> TrueValues:
    """The law's values on `rows`."""
    from components.simulator import reward_truth

    window = inputs.card.conversion_window_days
    click, conversion = (
        reward_truth(inputs.card.simulator, inputs.tables, reward, window)(rows.pairs)
        for reward in ("click", "conversion")
    )
    return TrueValues(click, conversion, rows.offsets)


def best_of(score: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Probability 1 for the best-scored pair of each impression, shared by ties: float64 [n_pairs]."""
    from components.policies import Choices, EpsilonGreedy

    return EpsilonGreedy(0.0).probabilities(Choices(offsets, np.asarray(score)))


def _off_policy(inputs, rows, shown: np.ndarray, unlogged: np.ndarray, config) -> dict:
    """The estimated lift with its interval and the gate's bound, in clicks per 1,000 impressions; null if withheld."""
    from components.evaluation.judging import judge

    judgement = judge(rows, shown, unlogged, config, inputs.judging_tables(rows, True, None))
    assessed = next(iter(judgement.assessments.values())).evaluation
    lift = assessed.lift
    interval = None if lift is None else [1000 * value for value in (lift.value, lift.ci_low, lift.ci_high)]
    bound = None if judgement.gate is None else 1000 * judgement.gate.lower_bound(ALPHA)
    return {"verdict": assessed.verdict, "lift": interval, "bound": bound}


def _against_peers(inputs, rows, probabilities: dict[str, np.ndarray], name: str, config) -> dict:
    """The estimated changes of the policy `name` from each of PEERS: [value, low, high] by figure, and the clicks and
    conversions that were counted."""
    from components.evaluation.intervals.resampling import Ratios
    from components.evaluation.intervals.resampling import relative as relative_change
    from components.evaluation.outcomes import outcomes_of
    from components.evaluation.split_by_policy import pooled_log

    log = pooled_log(rows, inputs.judging_tables(rows, True, None).creatives, inputs.reward)
    found = outcomes_of(rows.impressions)
    click, conversion, shown = (found.final * one for one in (found.click, found.conversion, np.ones(log.n)))
    parts = {"ctr": (click, shown), "cvr": (conversion, click), "cpm": (shown, conversion), "cpc": (click, conversion)}
    changes: dict = {"impressions": int(shown.sum()), "clicks": int(click.sum()), "conversions": int(conversion.sum())}
    for peer, known_as in PEERS.items():
        if known_as not in probabilities or known_as == name:
            continue
        weights = log.weight(probabilities[name]), log.weight(probabilities[known_as])
        changes[peer] = {}
        for figure, (above, below) in parts.items():
            ratios = (Ratios(((1.0, weight * above, weight * below),)) for weight in weights)
            change = relative_change(*ratios, log.cluster, config.bootstrap, config.seed)
            changes[peer][figure] = None if change is None else [change.value, change.ci_low, change.ci_high]
    return changes


def relative(values: dict, to: dict) -> dict[str, float]:
    """How CTR, CVR and cost per conversion (CPM, CPC) of a policy differ from those of `to`, relative to the latter."""
    return {
        "ctr": values["ctr"] / to["ctr"] - 1,
        "cvr": values["cvr"] / to["cvr"] - 1,
        "cpm": to["per_impression"] / values["per_impression"] - 1,
        "cpc": to["cvr"] / values["cvr"] - 1,
    }


def summarise(rows: list[dict]) -> dict[str, dict]:
    """The mean over seeds of each policy's figures, by its name."""
    summary = {}
    for name in rows[0]["policies"]:
        each = [row["policies"][name] for row in rows]
        hand = f"{BY_HAND} per_shopper"
        summary[name] = {
            "share": float(np.mean([values["share"] for values in each])),
            "to_uniform": _mean([relative(row["policies"][name], row["policies"]["uniform"]) for row in rows]),
        }
        if hand in rows[0]["policies"]:
            summary[name]["to_rules"] = _mean([relative(row["policies"][name], row["policies"][hand]) for row in rows])
        if "verdict" in each[0]:
            known = [values for values in each if values["lift"] is not None]
            summary[name] |= {
                "trusted": len(known),
                "covered": sum(values["lift"][1] <= values["true_lift"] <= values["lift"][2] for values in known),
                "passed": sum(values["bound"] is not None and values["bound"] > 0 for values in known),
                "off_policy": _held(rows, name),
            }
    return summary


def _held(rows: list[dict], name: str) -> dict[str, int]:
    """How many off-policy intervals of a policy's changes there are, over all seeds and peers, and hold the truth."""
    intervals = [
        (interval, relative(row["policies"][name], row["policies"][PEERS[peer]])[figure])
        for row in rows
        for peer in PEERS.keys() & row["policies"][name].get("off_policy", {}).keys()
        for figure, interval in row["policies"][name]["off_policy"][peer].items()
        if interval is not None
    ]
    return {"intervals": len(intervals), "held": sum(low <= truly <= high for (_, low, high), truly in intervals)}


def _in_words(changes: dict) -> str:
    """CTR +10% [+2%, +18%], ..."""
    names = {"ctr": "CTR", "cvr": "CVR", "cpm": "cost per conversion (CPM)", "cpc": "cost per conversion (CPC)"}
    return ", ".join(
        f"{names[figure]} " + ("not known" if change is None else "{:+.0%} [{:+.0%}, {:+.0%}]".format(*change))
        for figure, change in changes.items()
    )


def _mean(each: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([values[name] for values in each])) for name in each[0]}


def main() -> None:
    """Run the benchmark; print a table per seed and over all, and the line of JSON."""
    from components.policies import POLICIES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="31,32,33", help="of the simulated shops")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--workdir", type=Path, default=Path(".adloom/policy_value"), help="deleted seed by seed")
    parser.add_argument("--rows", type=Path, default=RESULTS, help="a JSON line per seed; done ones are kept")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    names, overrides = tuple(options.policies.split(",")), tuple(options.overrides)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    tasks = {seed: (seed, names, str(options.workdir), overrides) for seed in seeds}
    rows = resumed(run, tasks, lambda row: row["seed"], options.rows, 1)
    summary = summarise(rows)
    for row in rows:
        for name, values in row["policies"].items():
            if "verdict" in values:
                lift = "withheld" if values["lift"] is None else "{:+.2f} [{:+.2f}, {:+.2f}]".format(*values["lift"])
                print(
                    f"seed {row['seed']} {name:<24} {values['share']:>5.0%} of the oracle's lift; clicks per 1,000: "
                    f"truly {values['true_lift']:+.2f}, estimated {lift}"
                )
                for peer, changes in values["off_policy"].items():
                    if peer in PEERS:
                        print(f"  against {peer}, off-policy: {_in_words(changes)}")
    for name, values in summary.items():
        change = values.get("to_rules", values["to_uniform"])
        print(
            f"mean {name:<24} {values['share']:>5.0%}; against {'rules' if 'to_rules' in values else 'uniform'}: "
            f"CTR {change['ctr']:+.1%}, CVR {change['cvr']:+.1%}, "
            f"cost per conversion {change['cpm']:+.1%} (CPM), {change['cpc']:+.1%} (CPC)"
        )
    line = json.dumps({"benchmark": "policy_value", "seeds": seeds, "summary": summary, "rows": rows}, default=float)
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

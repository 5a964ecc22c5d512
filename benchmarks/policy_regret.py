"""What policies earn when they act: in simulated shops each shows the ads, learns from its log, and shows the next ads.

    python -m benchmarks.policy_regret [--scenarios baseline,clickbait] [--seeds 31] [--density 0.25] [--days 30]
                                       [--policies chi_square/per_shopper,rules/per_shopper,...] [--refit 7]
                                       [--set section.key=value] [--rows FILE] [--plot FILE] [--out FILE]

The shop's own logging policy shows the ads until the first refit. From then on the policy shows them, in one form
(`/table` or `/per_shopper`), and is made anew from the whole log every `--refit` days, by the stages validation,
features and interest and by `propose`. No gate decides, so this is what a policy learns and not what may be promoted,
and nearly all of the log teaches, as in a nightly refit (docs/refresh.md). Temperatures are chosen as if 30 % judged. A
policy per shopper knows the events up to the request and the ads of the days before. `logging` is the shop's own.

Each policy is valued on the rows that it logged itself, by the law's probabilities: share is that of the oracle's click
lift over the uniform policy on the last three days (the oracle shows the best creative of each of these rows). The
interest model is the logistic one, for policies that need standard errors too. `--density` is the share of the default
shop's impressions and events per day. An interrupted run continues where it stopped. Prints a line of JSON at the end.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from benchmarks.ope_parallel import resumed
from benchmarks.policy_value import OVERRIDES, best_of
from benchmarks.served_value import NAME, build_shop

RESULTS = Path("benchmarks/results/policy_regret.jsonl")
DEFAULT = ("chi_square/per_shopper", "chi_square/table", "thompson/per_shopper", "rules/per_shopper", "logging")
LAST = 3  # days that count
LOGGING = "logging"
WHOLE_LOG = ("features.train_share=0.8", "features.calibration_share=0.1", "features.select_share=0.09")
JUDGED = 0.3  # of the log, by the settings of a shop, for the choice of temperatures
DAILY_IMPRESSIONS, DAILY_EVENTS = 21_000, 210_000  # of the default shop


def run(task: tuple[str, int, str, dict]) -> dict:
    """The row of one scenario, seed and policy. options: density, days, refit, workdir, overrides."""
    from components.settings.environment import limit_blas_threads, prepare
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths

    prepare()
    limit_blas_threads()
    scenario, seed, policy, options = task
    begun = time.process_time()
    folder = UPath(options["workdir"]) / f"{scenario}-{seed}-{policy.replace('/', '-')}"
    settings = load_settings("params.yaml", NAME, _overrides(scenario, seed, policy, options))
    paths = Paths.of(NAME, data=str(folder / "data" / NAME), workdir=str(folder / "artifacts"))
    build_shop(settings, paths)
    temperatures = []
    for first in range(options["refit"], options["days"], options["refit"]):
        days = min(options["refit"], options["days"] - first)
        temperatures.append(_advance(days, policy, settings, paths))
    row = {
        "scenario": scenario,
        "seed": seed,
        "policy": policy,
        "temperatures": temperatures,
        "days": daily_values(paths),
        "cpu_seconds": round(time.process_time() - begun),
    }
    shutil.rmtree(folder)
    return row


def _overrides(scenario: str, seed: int, policy: str, options: dict) -> tuple[str, ...]:
    days = options["refit"]
    return (
        f"simulator.scenario={scenario}",
        f"simulator.seed={seed}",
        f"simulator.days={days}",
        f"simulator.impressions={round(options['density'] * DAILY_IMPRESSIONS * days)}",
        f"simulator.events={round(options['density'] * DAILY_EVENTS * days)}",
        "interest.models=[logistic]",
        *WHOLE_LOG,
        *([] if policy == LOGGING else [f"evaluation.policy.name={policy.split('/')[0]}"]),
        *options["overrides"],
    )


def _advance(days: int, policy: str, settings, paths) -> float | None:
    """Make the policy from the log in `paths`, and add `days` days that it shows to the log; its temperature."""
    from components.contract.validation.validate import load_dataset
    from components.datasets.dataset_files import extend_dataset
    from components.simulator import load_scenario
    from components.simulator.continue_simulation import continue_log
    from components.simulator.market import reopen_market

    acting = None if policy == LOGGING else _learned(policy, settings, paths)
    for _ in range(days):
        tables, card = load_dataset(paths.data)
        market = reopen_market(card.simulator, load_scenario(card.simulator.scenario), tables)
        ended = pd.Timestamp(card.ends_at)
        shows = market.policy if acting is None else acting.on_day(market, tables, ended)
        name = market.policy.name if acting is None else f"adloom-{policy}"
        day = continue_log(market, tables, ended, 1, policy=shows, policy_name=name)
        later = card.model_copy(update={"ends_at": day.ends_at.to_pydatetime()})
        extend_dataset(paths.data, day.logs, {}, day.settled, later)
    return None if acting is None else acting.package.parameters.temperatures[acting.form]


def _learned(policy: str, settings, paths) -> "ActingPolicy":
    from components.policies.proposal import propose
    from components.workflow import run_stage
    from components.workflow.evaluation_inputs import read_evaluation_inputs
    from components.workflow.stage_inputs import validated

    for stage in ("validation", "features", "interest"):
        run_stage.run(stage, settings, paths)
    proof = round(JUDGED * len(validated(paths)[0]["impressions"]))
    inputs = read_evaluation_inputs(settings.evaluation.model_copy(update={"proof_impressions": proof}), paths)
    name, form = policy.split("/")
    config = settings.evaluation.policy.model_copy(update={"forms": (form,), **OVERRIDES.get(name, {})})
    package, _ = propose(inputs.learned, inputs.tables, None, inputs.select_slice(), config)
    return ActingPolicy(package, form, inputs.learned, settings.features)


class ActingPolicy:
    """A policy's package in one form, which shows the ads of simulated days."""

    def __init__(self, package, form: str, learned, config) -> None:
        self.package, self.form, self._learned, self._config = package, form, learned, config

    def on_day(self, market, tables: dict[str, pd.DataFrame], day: pd.Timestamp):
        """An AdPolicy of the simulator for the day that begins at `day`; tables: the shop's, with the log before it."""
        from components.policies.policy_package import TABLE
        from components.simulator.continue_simulation import day_of, events_of
        from components.simulator.decision_table_policy import DeployedPolicy

        if self.form == TABLE:
            return DeployedPolicy(market, lambda *asked: self.package.probabilities(self.form, *asked))
        known = {**tables, "events": pd.concat([tables["events"], events_of(market, day_of(day))], ignore_index=True)}
        return lambda requests, shortlist: self._per_shopper(market, known, requests, shortlist)

    def _per_shopper(self, market, tables: dict[str, pd.DataFrame], requests, shortlist: np.ndarray) -> np.ndarray:
        """Probabilities float64 [n, k] of each shortlisted creative."""
        from components.features import build_features
        from components.interest import score_pairs

        listed = shortlist >= 0
        creatives = market.catalogue.creatives["creative_id"].to_numpy(object)
        impressions = _as_impressions(market, requests, creatives[shortlist[:, 0]])
        those = set(impressions["shopper_id"])
        past = {
            name: tables[name][tables[name]["shopper_id"].isin(those)] for name in ("impressions", "events")
        }  # only these shoppers' rows move their features
        asked = pd.concat([past["impressions"], impressions], ignore_index=True)
        features = build_features(
            self._learned.model, {**tables, **past, "impressions": asked}, self._config, self._learned.features.looks
        )
        counts = listed.sum(axis=1)
        pairs = pd.DataFrame(
            {
                "impression_id": np.repeat(impressions["impression_id"].to_numpy(object), counts),
                "creative_id": creatives[shortlist[listed]],
            }
        )
        scored = score_pairs(self._learned.interest, features, pairs, errors=self.package.parameters.errors)
        probability = np.zeros(shortlist.shape)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        probability[listed] = self.package.probabilities(self.form, impressions, scored, offsets)
        return probability


def _as_impressions(market, requests, creative: np.ndarray) -> pd.DataFrame:
    """The requests as impressions of the contract, of `creative` [n], without an outcome."""
    from components.simulator import vocabulary as words
    from components.simulator.catalogue import timestamps

    shoppers, campaigns = np.array(market.law.shoppers.ids), market.catalogue.campaigns["campaign"].to_numpy(object)
    return pd.DataFrame(
        {
            "impression_id": [f"request-{row}" for row in range(len(creative))],
            "timestamp": timestamps(requests.moment),
            "shopper_id": shoppers[requests.shopper],
            "campaign": campaigns[requests.campaign],
            "position": requests.position,
            "creative_id": creative,
            "click": 0,
            "placement": np.array(words.PLACEMENTS, object)[requests.placement],
            "context_device": np.array(words.DEVICES, object)[requests.mobile],
            "context_local_hour": requests.hour,
        }
    )


def daily_values(paths) -> list[dict[str, float]]:
    """The law's value of each day's rows: ctr and conversions per impression as shown, uniformly and by the oracle."""
    from components.contract.validation.validate import load_dataset
    from components.policies.eligible import pair_offsets
    from components.policies.ragged_rows import row_sums
    from components.simulator import reward_truth

    tables, card = load_dataset(paths.data)
    pairs, log = tables["candidates"], tables["impressions"]
    click, conversion = (
        reward_truth(card.simulator, tables, reward, card.conversion_window_days)(pairs)
        for reward in ("click", "conversion")
    )
    offsets = pair_offsets(pairs, log)
    policies = {
        "shown": pairs["propensity"].to_numpy(float),
        "uniform": np.repeat(1.0 / np.diff(offsets), np.diff(offsets)),
        "oracle": best_of(click, offsets),
    }
    values = pd.DataFrame(
        {
            f"{name}_{reward}": row_sums(policy * rate, offsets)
            for name, policy in policies.items()
            for reward, rate in (("ctr", click), ("conversions", conversion))
        }
    )
    return values.groupby(log["timestamp"].dt.floor("D").to_numpy()).mean().to_dict("records")


def summarise(rows: Sequence[dict]) -> list[dict]:
    """Per scenario and policy the mean over seeds of share, CTR and conversions relative to the uniform policy."""
    means = []
    for scenario, policy in dict.fromkeys((row["scenario"], row["policy"]) for row in rows):
        those = [row for row in rows if (row["scenario"], row["policy"]) == (scenario, policy)]
        ends = [pd.DataFrame(row["days"][-LAST:]).mean() for row in those]
        shares = [float((end.shown_ctr - end.uniform_ctr) / (end.oracle_ctr - end.uniform_ctr)) for end in ends]
        means.append(
            {
                "scenario": scenario,
                "policy": policy,
                "seeds": len(those),
                "share": float(np.mean(shares)),
                "shares": shares,
                "ctr": float(np.mean([end.shown_ctr / end.uniform_ctr - 1 for end in ends])),
                "conversions": float(np.mean([end.shown_conversions / end.uniform_conversions - 1 for end in ends])),
                "cpu_seconds": round(float(np.mean([row["cpu_seconds"] for row in those]))),
            }
        )
    return means


def draw(rows: Sequence[dict], file: Path) -> None:
    """Plot each policy's daily share of the oracle's lift, a panel per scenario, to the PNG file `file`."""
    import matplotlib.pyplot as plt

    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    figure, axes = plt.subplots(len(scenarios), 1, figsize=(8, 3.2 * len(scenarios)), sharex=True, squeeze=False)
    for scenario, panel in zip(scenarios, axes[:, 0], strict=True):
        those = [row for row in rows if row["scenario"] == scenario]
        for policy in dict.fromkeys(row["policy"] for row in those):
            days = np.mean([_daily_shares(row) for row in those if row["policy"] == policy], axis=0)
            panel.plot(range(1, len(days) + 1), 100 * days, label=policy)
        panel.set_title(scenario)
        panel.set_ylabel("% of the oracle's lift")
        panel.axhline(0, color="k", linewidth=0.5)
    axes[-1, 0].set_xlabel("day")
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _daily_shares(row: dict) -> np.ndarray:
    days = pd.DataFrame(row["days"])
    return ((days.shown_ctr - days.uniform_ctr) / (days.oracle_ctr - days.uniform_ctr)).to_numpy()


def main() -> None:
    """Run the benchmark; print a line per scenario and policy, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default="baseline", help="names in components/simulator/scenarios")
    parser.add_argument("--seeds", default="31", help="of the simulated shops")
    parser.add_argument("--policies", default=",".join(DEFAULT), help=f"NAME/FORM, or {LOGGING}")
    parser.add_argument("--density", type=float, default=0.25, help="of the default shop's traffic")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--refit", type=int, default=7, help="days between two refits")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--workdir", type=Path, default=Path(".adloom/policy_regret"), help="deleted run by run")
    parser.add_argument("--rows", type=Path, default=RESULTS, help="a JSON line per run; done ones are kept")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="the daily shares, as PNG")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    chosen = parser.parse_args()
    options = {name: getattr(chosen, name) for name in ("density", "days", "refit", "overrides")}
    options["workdir"] = str(chosen.workdir)
    tasks = {
        (scenario, seed, policy): (scenario, seed, policy, options)
        for scenario in chosen.scenarios.split(",")
        for seed in map(int, chosen.seeds.split(","))
        for policy in chosen.policies.split(",")
    }
    rows = resumed(run, tasks, lambda row: (row["scenario"], row["seed"], row["policy"]), chosen.rows, chosen.processes)
    summary = summarise(rows)
    for one in summary:
        print(
            f"{one['scenario']:<11} {one['policy']:<26} {one['share']:>5.0%} of the oracle's lift; against uniform: "
            f"CTR {one['ctr']:+.1%}, conversions {one['conversions']:+.1%}; {one['cpu_seconds']} CPU-s"
        )
    if chosen.plot:
        draw(rows, chosen.plot)
    line = json.dumps({"benchmark": "policy_regret", **options, "summary": summary, "rows": rows}, default=float)
    if chosen.out:
        chosen.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

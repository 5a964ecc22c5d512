"""Compares the policy that was evaluated with the policy that is served, and their true values, in simulated shops.

    python -m benchmarks.served_value [--seeds 1,2,3,4,5] [--set section.key=value] [--workdir DIR] [--out FILE]

For each seed the default shop is simulated and the stages run; instead of generated images, the pool holds 12 copies of
photographed creatives per campaign. The ledger is charged for one question, and the promoted package is exported. Each
form of the policy is then applied to the held-out impressions as a server does, from the exported or packaged files
only, and both the evaluated and the served probabilities are valued by the simulator's click probabilities. Last, a toy
case has a policy that passes and a table that harms; the gate must refuse the table. An interrupted run continues where
it stopped. Prints one line of JSON at the end.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from benchmarks.ope_parallel import resumed

RESULTS = Path("benchmarks/results/served_value.jsonl")
NAME = "marketplace"
NEW_PER_CAMPAIGN = 12


def run(task: tuple[int, str, tuple[str, ...]]) -> dict:
    """The row of one seed: every form of the policy, as evaluated and as served."""
    from components.contract.files.tables import read_json, write_json
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths
    from components.workflow import run_stage

    seed, workdir, overrides = task
    begun = time.process_time()
    folder = UPath(workdir) / str(seed)
    settings = load_settings("params.yaml", NAME, (f"simulator.seed={seed}", *overrides))
    paths = Paths.of(NAME, data=str(folder / "data" / NAME), workdir=str(folder / "artifacts"))
    build_shop(settings, paths)
    for name in ("validation", "features", "interest"):
        run_stage.run(name, settings, paths)
    stand_in_pool(settings, paths)
    write_json([run_stage.question(settings, paths)], paths.ledger)
    for name in ("evaluation", "promotion"):
        run_stage.run(name, settings, paths)
    decision = read_json(paths.stage("promotion") / "decision.json")
    row = {"seed": seed, "action": decision["action"], "acts": decision["acts"], "reasons": decision["reasons"]}
    row |= _values(paths, decision) | {"cpu_seconds": round(time.process_time() - begun)}
    shutil.rmtree(folder)
    return row


def build_shop(settings, paths) -> None:
    """Write the marketplace that the settings describe to the folder of its data."""
    from components.datasets.dataset_files import write_dataset
    from components.datasets.fashion_mnist import load_photos
    from components.datasets.marketplace import build_tables
    from components.settings.paths import ROOT

    shutil.rmtree(paths.artifacts, ignore_errors=True)
    tables, card = build_tables(settings.simulator, load_photos(cache=ROOT / ".adloom" / "cache"))
    write_dataset(tables, card, paths.data)


def stand_in_pool(settings, paths) -> None:
    """Write the outputs of the stage `creatives`: a gate that passed, and a pool of copied creatives."""
    from components.workflow import run_stage
    from components.workflow.stage_inputs import validated
    from components.workflow.stage_outputs import Outputs

    tables, _ = validated(paths, dict.fromkeys(("candidates", "events", "impressions"), ()))
    people = tables["creatives"].groupby("campaign").head(NEW_PER_CAMPAIGN).reset_index(drop=True)
    names = people["creative_id"] + "-new"
    pool = people.drop(columns="feature_prior").assign(creative_id=names, origin="stand-in-1", active_from=pd.NaT)
    out = Outputs(paths.stage("creatives"))
    out.json("metrics.json", {"generators": {}, "gate": {"passed": True, "reasons": ["a stand-in"]}, "remarks": []})
    out.table("pool/creatives.parquet", pool)
    out.table("pool/images.parquet", tables["images"][tables["images"]["image_id"].isin(pool["image_id"])])
    out.finish(run_stage.stage_manifest("creatives", settings, paths))


def _held_out_rows(paths) -> tuple:
    """(the validated tables, the held-out rows, the true click probability of each pair)."""
    from components.contract.files.tables import read_frame
    from components.evaluation.held_out import JUDGE, held_out
    from components.simulator import truth
    from components.workflow.stage_inputs import built_features, validated

    tables, card = validated(paths)
    _, built = built_features(paths)
    pairs = read_frame(paths.stage("interest") / "predictions.parquet")
    clicks = tables["impressions"]["click"].astype(float)
    rewarded = {**tables, "impressions": tables["impressions"].assign(reward=clicks)}
    rows = held_out(rewarded, built, pairs, JUDGE, None)
    return tables, rows, truth(card.simulator, tables)(rows.pairs)


def _values(paths, decision: dict) -> dict:
    """True values of the uniform, the logging and the best policy, and of each form as evaluated and as served."""
    from components.contract.files.digests import digest_package
    from components.policies.policy_package import FORMS
    from components.policies.ragged_rows import row_maxima, row_sums, spread
    from components.workflow.publishing.export import export

    tables, rows, rate = _held_out_rows(paths)

    def value(policy: np.ndarray) -> float:
        return float(row_sums(policy * rate, rows.offsets).mean())

    logged = value(rows.pairs["propensity"].to_numpy())
    even = value(1.0 / spread(np.diff(rows.offsets), rows.offsets).astype(float))
    best = (rate == spread(row_maxima(rate, rows.offsets), rows.offsets)).astype(float)
    oracle = value(best / spread(row_sums(best, rows.offsets), rows.offsets))
    package = paths.stage("promotion") / "policy"
    policy = _policy_in(package)
    outcome = {"dataset": NAME, "champion": 1, "candidate": 1, "package": digest_package(package)}
    export({**outcome, "acting": {"acts": "table", "forms": list(FORMS)}}, paths)
    served = {"table": _served_table(paths, rows), "per_shopper": _served_per_shopper(package, tables, rows)}
    forms = {}
    for record in decision["evidence"]["forms"]:
        form = record["form"]
        judged, charge = policy.shown_and_unlogged(form, rows.impressions, rows.pairs, rows.offsets)
        forms[form] = {
            "temperature": policy.parameters.temperatures[form],
            "verdict": next(each["verdict"] for each in decision["forms"] if each["form"] == form),
            "bound_per_1000": _bound(record, decision["evidence"]["alpha"]),
            "estimated_per_1000": _lift(record),
            "true_per_1000": 1000 * (value(judged) - logged),
            "true_relative": value(judged) / logged - 1,
            "served_per_1000": 1000 * (value(served[form]) - logged),
            "largest_difference": float(np.abs(judged - served[form]).max()),
            "charged_per_1000": 1000 * (value(judged * (1 - spread(charge, rows.offsets))) - logged),
            "share_of_oracle": (value(judged) - even) / (oracle - even),
        }
    return {"uniform": even, "logging": logged, "oracle": oracle, "forms": forms}


def _policy_in(package):
    """The PolicyPackage in the folder `package`."""
    from components.contract.files.tables import files_in
    from components.policies.policy_package import PolicyPackage

    return PolicyPackage.from_files({name: file for name, file in files_in(package).items() if "/" not in name})


def _served_table(paths, rows) -> np.ndarray:
    """Probabilities float64 [n_pairs] of the exported table, as the simulated shop applies it."""
    from components.workflow.publishing.export import exported_policy

    requests = rows.impressions[["shopper_id", "placement", "campaign"]]
    return exported_policy(paths).decide(requests, rows.pairs[["creative_id"]], rows.offsets)


def _served_per_shopper(package, tables, rows) -> np.ndarray:
    """Probabilities float64 [n_pairs] of the per-shopper form, from the features, model and policy in the package."""
    from components.contract.files.tables import files_in
    from components.features import FeatureModel, build_features
    from components.interest import CalibratedModel, score_pairs
    from components.policies.policy_package import PER_SHOPPER
    from components.settings.sections import FeaturesConfig

    features = build_features(
        FeatureModel.from_files(files_in(package / "model" / "features")), tables, FeaturesConfig()
    )
    model = CalibratedModel.from_files(files_in(package / "model" / "interest"))
    policy = _policy_in(package)
    scored = score_pairs(model, features, rows.pairs, errors=policy.parameters.errors)
    return policy.probabilities(PER_SHOPPER, rows.impressions, scored, rows.offsets)


def _bound(record: dict, alpha: float) -> float | None:
    from components.evaluation.gate.evidence import GateEvidence

    return None if record["gate"] is None else 1000 * GateEvidence.from_dict(record["gate"]).lower_bound(alpha)


def _lift(record: dict) -> list[float] | None:
    lift = record["logs"][0]["evaluation"]["lift"]
    return None if lift is None else [1000 * lift[key] for key in ("value", "ci_low", "ci_high")]


def toy_case(impressions: int = 200_000, seed: int = 0) -> dict:
    """The gate's decision on both forms of a policy whose table is harmful.

    Of two creatives each has four times the other's click probability in one of two contexts, which the table's cells
    do not distinguish. The logging policy shows the better creative with probability 0.7; the new policy, which knows
    the context, with 0.9. Averaged over a cell, the new policy shows both with 0.5, which is worse than the logging
    policy.
    """
    from components.evaluation.gate.evidence import gate_evidence
    from components.evaluation.logged_decisions import LoggedDecisions, cover
    from components.evaluation.rewards import REWARDS
    from components.registry.decision import Evidence, Gate, decide
    from components.settings.sections import PromotionConfig

    generator = np.random.default_rng(seed)
    context = generator.integers(0, 2, impressions)
    better = np.column_stack([context == 0, context == 1])  # [n, 2]
    rate, logging = np.where(better, 0.04, 0.01), np.where(better, 0.7, 0.3)
    shown = (generator.random(impressions) < logging[:, 1]).astype(int)
    rows = np.arange(impressions)
    log = LoggedDecisions(
        impression=rows.astype(str),
        offsets=np.arange(0, 2 * impressions + 1, 2),
        action=np.tile([0, 1], impressions),
        logged=2 * rows + shown,
        propensity=logging[rows, shown],
        reward=(generator.random(impressions) < rate[rows, shown]).astype(float),
        cluster=rows,
        action_names=np.array(["a", "b"], dtype=object),
        context=np.zeros((impressions, 0)),
        logging=logging.ravel(),
    )
    targets = {"per_shopper": np.where(better, 0.9, 0.1), "table": np.full((impressions, 2), 0.5)}
    records, forms = [], {}
    for form in ("table", "per_shopper"):
        evidence = gate_evidence(cover(log, targets[form].ravel(), None), (), 0.0, 0.1)
        true = float((targets[form] * rate).sum() / (logging * rate).sum() - 1)
        forms[form] = {"true_relative": true, "bound_per_1000": 1000 * evidence.lower_bound(0.025)}
        lift = {"value": true, "ci_low": true, "ci_high": true}
        logs = [{"evaluation": {"verdict": "trust", "lift": lift, "reasons": []}, "sample_sizes": None}]
        records.append({"form": form, "logs": logs, "gate": evidence.to_dict(), "critical_findings": []})
    passed = Gate(True, ("a toy",))
    evidence = Evidence(passed, None, False, tuple(records), "toy", 0.025, "new", None, REWARDS["click"])
    decision = decide(evidence, PromotionConfig())
    return {"forms": forms, "action": decision.action, "passed": list(decision.passed)}


def main() -> None:
    """Run the benchmark; print a line per seed and form, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3,4,5", help="of the worlds")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--workdir", type=Path, default=Path(".adloom/served_value"), help="deleted seed by seed")
    parser.add_argument("--rows", type=Path, default=RESULTS, help="a JSON line per seed; done ones are kept")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    tasks = {seed: (seed, str(options.workdir), tuple(options.overrides)) for seed in seeds}
    rows = resumed(run, tasks, lambda row: row["seed"], options.rows, 1)
    for row in rows:
        for form, figures in row["forms"].items():
            lifts = {name: f"{figures[f'{name}_per_1000'] or 0:+.3f}" for name in ("true", "served", "bound")}
            print(
                f"seed {row['seed']} {form:<12} {figures['verdict']:<9} true lift {figures['true_relative']:+.1%}; "
                f"per 1000: evaluated {lifts['true']}, served {lifts['served']}, bound {lifts['bound']}; "
                f"{figures['share_of_oracle']:.0%} of the oracle's lift at temperature {figures['temperature']:g}"
            )
    toy = toy_case()
    print(f"toy case: {toy}")
    promoted = sum(row["action"] == "promote" for row in rows)
    line = json.dumps({"benchmark": "served_value", "promoted": promoted, "of": len(rows), "rows": rows, "toy": toy})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

"""How long one decision takes in process, with the shopper's features at hand, on one core.

    python -m benchmarks.decision_latency [--decisions 5000] [--workdir DIR]

A simulated shop with 50 creatives per campaign runs through the stages once; requests are its held-out impressions.
Each form of its policy decides: eligible creatives, P(click), probabilities and the draw. `with history`: the form per
shopper also reads the shopper's events and ads from the service's database and computes the features from them. Beside
it: the same pairs scored by the batch path (pandas), and the form per shopper with the two-tower network, whose tower
Keras runs. Peers score the same 50 pairs on plain columns of the same features at hand, and choose nothing: `predict`
of a Keras network (64 and 32 units), the same network called, and `predict` of LightGBM (200 trees, one thread; left
out, with a line, where the package of `make peers` is not installed).
Microseconds. Ends with one line of JSON.
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.latency_peers import peers
from benchmarks.served_shop import assembled_package, prepared_shop

TARGET_MICROSECONDS = 1000.0


def latency(decide: Callable[[int], object], count: int) -> dict[str, float]:
    """p50, p99 and p99.9 of decide(0), ... decide(count - 1), in microseconds, after a tenth as many to warm up.

    `cpu_`: of processor time, to which other programs on the machine add nothing.
    """
    for number in range(count // 10):
        decide(number)
    gc.collect()
    taken = np.empty((count, 2))
    for number in range(count):
        begun = time.perf_counter_ns(), time.thread_time_ns()
        decide(number)
        taken[number] = time.perf_counter_ns() - begun[0], time.thread_time_ns() - begun[1]
    shares = {f"p{share}": np.percentile(taken / 1000, share, axis=0) for share in (50, 99, 99.9)}
    wall = {name: round(float(both[0]), 1) for name, both in shares.items()}
    return wall | {f"cpu_{name}": round(float(both[1]), 1) for name, both in shares.items()}


def deciders(paths, interest) -> dict[str, Callable[[int], object]]:
    """By name, a function of a request's number that makes its decision; interest: the calibrated model."""
    from components.features.pairs.pair_values import pair_columns
    from components.features.timeline import microseconds
    from components.interest.predictions import pairs_at
    from components.interest.request_scorer import RequestRow
    from components.policies.online_policy import AdRequest, online_policy
    from components.policies.policy_package import FORMS
    from components.workflow.publishing.deployed_policy import read_package
    from components.workflow.stage_inputs import built_features, validated

    model, built = built_features(paths)
    package = read_package(paths.stage("evaluation") / "policy")
    impressions = built.held_out().head(2000).reset_index(drop=True)
    placements = validated(paths)[0]["impressions"].set_index("impression_id")["placement"]
    placement = placements.reindex(impressions["impression_id"]).to_list()
    values = impressions[list(model.impression_columns)].to_numpy(dtype=np.float32)
    segment, moment = impressions["segment"].to_numpy(), microseconds(impressions["timestamp"])
    names = pair_columns(built.pairs)
    score = interest.for_requests(built.creatives, model.impression_columns, names)
    row_of = dict(zip(built.creatives["creative_id"], range(len(built.creatives)), strict=True))
    creative = np.array([row_of.get(name, 0) for name in package.catalogue["creative_id"]])
    none_seen = np.zeros((len(creative), len(names)), dtype=np.float32)

    def made(form: str) -> Callable[[int], object]:
        policy = online_policy(package, form)

        def decide(number: int):
            row = number % len(impressions)
            request = AdRequest(f"i{number}", int(moment[row]), (campaigns[row],), shoppers[row], placement[row])
            features = RequestRow(values[row], int(segment[row]))
            return policy.decide(
                request, policy.eligible(request), lambda rows: score(features, creative[rows], none_seen[rows])
            )

        return decide

    campaigns, shoppers = impressions["campaign"].to_list(), impressions["shopper_id"].to_list()
    held_out = np.flatnonzero(built.impressions["split"].isin(["select", "judge"]))

    def by_tables(number: int):
        pairs = np.full(50, held_out[number % len(held_out)]), np.arange(50)
        return interest.probabilities(pairs_at(built, *pairs))

    return {**{form: made(form) for form in FORMS}, "scores by tables": by_tables}


def with_history(paths, folder: Path) -> Callable[[int], object]:
    """A function of a request's number that decides as the service does, with the shopper's history from SQLite."""
    from components.features.timeline import microseconds
    from components.policies.online_policy import AdRequest
    from components.serving.history_store import HistoryStore
    from components.serving.served_policy import read_champion
    from components.serving.shop_tables import read_shop
    from components.settings.sections import ServingConfig
    from components.workflow.stage_inputs import built_features

    shop, acting = read_shop(paths.data), {"acts": "per_shopper", "forms": ["per_shopper"]}
    champion = read_champion(assembled_package(paths, folder / "package"), acting, (1, "f" * 64))
    served = champion.served(shop, ServingConfig())
    store = HistoryStore(folder / "journal.db", 10_000, shop.may_know)
    impressions = built_features(paths)[1].held_out().sample(2000, random_state=0)
    moment = microseconds(impressions["timestamp"])
    begun = time.perf_counter()
    rows = store.load(paths.data, "the shop", int(moment.max()))
    size = (folder / "journal.db").stat().st_size
    print(f"{rows:,} rows of history loaded in {time.perf_counter() - begun:.0f} s, {size / 2**20:.0f} MiB")
    campaigns, shoppers = impressions["campaign"].to_list(), impressions["shopper_id"].to_list()

    def decide(number: int):
        row = number % len(moment)
        request = AdRequest(f"i{number}", int(moment[row]), (campaigns[row],), shoppers[row], "home")
        return served.decide(request, 1, [], store.rows)

    return decide


def main() -> None:
    """Measure, print a line per form and model, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=5000)
    parser.add_argument("--workdir")
    given = parser.parse_args()
    from components.settings.environment import prepare

    prepare()
    with threadpool_limits(1), tempfile.TemporaryDirectory() as scratch:
        result = measured(given.workdir or scratch, given.decisions)
    for name, figures in result.items():
        print(f"{name:28s} {figures}")
    personal = result["logistic, per_shopper"]
    met = {f"met_{name}": personal[name] < TARGET_MICROSECONDS for name in ("p99", "cpu_p99")}
    print(json.dumps({"microseconds": result, "target": TARGET_MICROSECONDS, **met}))


def measured(workdir: str, count: int) -> dict[str, dict[str, float]]:
    """The latency of each form with each kind of interest model."""
    from components.interest.training import train_calibrated
    from components.workflow.stage_inputs import built_features

    settings, paths = prepared_shop(workdir)
    _, built = built_features(paths)
    result = {}
    for kind in ("logistic", "network"):
        interest = train_calibrated(built, kind, settings.interest)
        for name, decide in deciders(paths, interest).items():
            result[f"{kind}, {name}"] = latency(decide, count if name != "scores by tables" else count // 10)
    result |= peers(built, latency, count // 4)
    with tempfile.TemporaryDirectory() as folder:
        result["champion, per_shopper with history"] = latency(with_history(paths, Path(folder)), count)
    return result


if __name__ == "__main__":
    main()

"""How fast, beside obp on one log of openbandit, and how large a log in how much memory.

    python -m benchmarks.ope_speed [--peer .adloom/peers/bin/python] [--millions 1 3 10] [--replicates 1000]

Seconds are of processor time on one core. First, bootstrap evaluation of six estimators on one 10,000-row log, in one
run with obp where its environment is there (`make peers`): values equal to 1e-9, seconds side by side. Then 1, 3 and
10 million impressions x 50 actions through `evaluate_chunks`: seconds (drawing apart) and peak memory. Ends with one
line of JSON.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from upath import UPath

from benchmarks.ope_openbandit import load, target_policy, thompson
from benchmarks.ope_parallel import THREADS
from components.datasets.openbandit import bts_prior, load_wheel
from components.datasets.packages.package_download import DEFAULT_CACHE
from components.evaluation.estimators.chunks import Chunk, evaluate_chunks
from components.evaluation.estimators.estimators import ESTIMATORS, WeightedRows
from components.evaluation.intervals.resampling import bootstrap, value_of
from components.evaluation.logged_decisions import LoggedDecisions
from components.policies import Choices, Softmax
from components.policies.ragged_rows import draw_per_row

SIX = ("ips", "snips", "dm", "dr", "sndr", "switch_dr")
ACTIONS, CHUNK = 50, 100_000


def beside_obp(data: UPath, peer: str, replicates: int) -> dict:
    """Six estimators on random -> bts, campaign all, here and in obp."""
    log, position = load(data, "all", "random")
    by_position = thompson(*bts_prior(load_wheel(DEFAULT_CACHE), "all"), 20_000, seed=0)
    target = target_policy(log, position, "bts", by_position)
    generator = np.random.default_rng(0)
    predicted = 0.004 * np.exp(generator.normal(0, 0.3, len(log.action_names)))[log.action]
    rows = WeightedRows(
        log.weight(target), log.reward, predicted[log.logged], log.expected(predicted, target)
    )  # fmt: skip
    switch = float(np.quantile(rows.weight, 0.95))
    begun = time.process_time()
    quantities = {name: value_of(ESTIMATORS[name](rows, switch)) for name in SIX}
    ours = bootstrap(quantities, np.arange(log.n), replicates, 0)
    seconds = time.process_time() - begun
    answer = {"seconds": seconds, "values": {name: ours[name].value for name in ours}}
    if not Path(peer).exists():
        return answer | {"obp": None}
    with tempfile.TemporaryDirectory() as folder:
        wide = (log.n, len(log.action_names))
        arrays = Path(folder) / "log.npz"
        np.savez(
            arrays, reward=log.reward, action=log.action[log.logged], pscore=log.propensity,
            target=target.reshape(wide), predicted=predicted.reshape(wide), switch=switch,
        )  # fmt: skip
        command = [peer, "benchmarks/peers/obp_times.py", str(arrays), str(replicates)]
        one_core = os.environ | dict.fromkeys(THREADS, "1")
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_core)
        theirs = json.loads(done.stdout.splitlines()[-1])
    gaps = {name: abs(theirs[name]["value"] - quantities[name].value()) for name in SIX}
    total = sum(it["seconds"] for it in theirs.values())
    return answer | {"obp": theirs, "obp_seconds": total, "faster": total / seconds, "largest_gap": max(gaps.values())}


def chunks(impressions: int, spent: list[float]) -> Iterator[Chunk]:
    """A log of `impressions` x 50 actions, drawn chunk by chunk; the seconds that drawing took are added to `spent`."""
    offsets = np.arange(0, CHUNK * ACTIONS + 1, ACTIONS)
    action = np.tile(np.arange(ACTIONS), CHUNK)
    names = np.array([f"a{code:02d}" for code in range(ACTIONS)], dtype=object)
    ids = np.arange(CHUNK)
    for start in range(0, impressions, CHUNK):
        begun = time.process_time()
        generator = np.random.default_rng(start)
        rate = 0.02 * np.exp(0.3 * generator.standard_normal(CHUNK * ACTIONS, dtype=np.float32)).astype(float)
        target = Softmax(0.5, 0.05).probabilities(Choices(offsets, rate))
        logging = np.full(CHUNK * ACTIONS, 1.0 / ACTIONS)
        logged = draw_per_row(logging, offsets, generator)
        log = LoggedDecisions(
            impression=ids, offsets=offsets, action=action, logged=logged, propensity=logging[logged],
            reward=(generator.random(CHUNK) < rate[logged]).astype(float), cluster=(start + ids) // 5,
            action_names=names, context=np.zeros((CHUNK, 0)), logging=logging,
        )  # fmt: skip
        spent.append(time.process_time() - begun)
        yield Chunk(log, target, np.full(CHUNK * ACTIONS, 0.02))


def at_scale(millions: float, replicates: int) -> dict:
    """One log through the chunked call: seconds without drawing, and the process's peak memory so far."""
    spent: list[float] = []
    begun = time.process_time()
    found = evaluate_chunks(chunks(int(millions * 1_000_000), spent), replicates, 0)
    seconds = time.process_time() - begun - sum(spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"million": millions, "seconds": seconds, "peak_gib": peak, "ips": found["ips"].to_dict()}


def main() -> None:
    """Run, print as it goes and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data")
    parser.add_argument("--peer", default=".adloom/peers/bin/python")
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 3, 10])
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    with threadpool_limits(1):
        peers = beside_obp(UPath(options.data) / "openbandit", options.peer, options.replicates)
    print(json.dumps(peers))
    scale = []
    for millions in options.millions:
        with threadpool_limits(1):
            scale.append(at_scale(millions, options.replicates))
        print(json.dumps(scale[-1]), flush=True)
    line = json.dumps({"benchmark": "ope_speed", "replicates": options.replicates, "obp": peers, "scale": scale})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

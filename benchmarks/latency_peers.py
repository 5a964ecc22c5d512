"""How long Keras and LightGBM take to predict the click probabilities of one request's 50 creatives."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.interest_value import PEERS, PlainColumns

CREATIVES, TRAINED_ON, TREES = 50, 20_000, 200
LIGHTGBM = f"""
import json, sys, time
import lightgbm
import numpy
data = numpy.load(sys.argv[1])
settings = {{"objective": "binary", "num_leaves": 15, "num_threads": 1, "seed": 0, "verbose": -1}}
model = lightgbm.train(settings, lightgbm.Dataset(data["x"], data["y"]), {TREES})
requests, taken = data["requests"], []
for number in range(len(requests) + 50):
    begun = time.perf_counter_ns(), time.thread_time_ns()
    model.predict(requests[number % len(requests)], num_threads=1)
    taken.append([time.perf_counter_ns() - begun[0], time.thread_time_ns() - begun[1]])
print(json.dumps(taken[50:]))
"""
Latency = Callable[[Callable[[int], object], int], dict[str, float]]


def peers(built, latency: Latency, count: int) -> dict[str, dict[str, float]]:
    """The figures of each peer, by name, for `count` requests. latency: measures a function of a request's number."""
    from components.features.time_splits import TRAIN
    from components.interest.predictions import logged_pairs, pairs_at

    columns = PlainColumns(built)
    training, click = logged_pairs(built, TRAIN)
    x, y = columns.of(training)[:TRAINED_ON], click[:TRAINED_ON]
    held_out = np.flatnonzero(built.impressions["split"].isin(["select", "judge"]))[:count]
    requests = np.stack(
        [columns.of(pairs_at(built, np.full(CREATIVES, row), np.arange(CREATIVES))) for row in held_out]
    )
    network = _network(x, y)
    by_keras = {
        "keras, predict": lambda number: network.predict(requests[number % len(requests)], verbose=0),
        "keras, called": lambda number: np.asarray(network(requests[number % len(requests)], training=False)),
    }
    return {name: latency(decide, count) for name, decide in by_keras.items()} | _lightgbm(x, y, requests)


def _network(x: np.ndarray, y: np.ndarray):
    import keras

    keras.utils.set_random_seed(0)
    units = [keras.layers.Dense(size, activation="relu") for size in (64, 32)]
    network = keras.Sequential([keras.Input((x.shape[1],)), *units, keras.layers.Dense(1, activation="sigmoid")])
    network.compile("adam", "binary_crossentropy")
    network.fit(x, y, batch_size=1024, verbose=0)
    return network


def _lightgbm(x: np.ndarray, y: np.ndarray, requests: np.ndarray) -> dict[str, dict[str, float]]:
    """Measured in the peers' environment; nothing without it."""
    found = PEERS.exists() and not subprocess.run([str(PEERS), "-c", "import lightgbm"], capture_output=True).returncode
    if not found:
        print("lightgbm is left out: `make peers` installs it", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        np.savez(data, x=x, y=y, requests=requests)
        done = subprocess.run([str(PEERS), "-c", LIGHTGBM, str(data)], check=True, capture_output=True, text=True)
    taken = np.array(json.loads(done.stdout.splitlines()[-1])) / 1000
    shares = {f"p{share}": np.percentile(taken, share, axis=0) for share in (50, 99, 99.9)}
    wall = {name: round(float(both[0]), 1) for name, both in shares.items()}
    return {"lightgbm, predict": wall | {f"cpu_{name}": round(float(both[1]), 1) for name, both in shares.items()}}

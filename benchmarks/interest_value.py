"""What each interest model finds of what can be found: the default shop, by the click law's own truth.

    python -m benchmarks.interest_value [--seeds 1,2,3] [--impressions 20000] [--set section.key=value] [--out FILE]

For each seed the shop is built and its features computed; then the models that `interest.models` names are trained as
the stage trains them, beside three others on the same features:

- plain: scikit-learn's logistic regression (C = 1) on four products of tastes and traits (category, brand, price, look)
  and one-hot elements of the ad;
- lightgbm: on the same columns, stopped early on the calibration slice; left out, with a line, where the package of
  `make peers` is missing;
- reference: the most probable coefficients of the click law's own form, with the law's variances as priors, on the
  tastes and segments that the features estimate. It knows which elements the law uses, so no model can be expected to
  pass it.

Scores are of the eligible creatives of judged impressions, whose true click probabilities the law gives:

- share: of the oracle's lift over a uniform choice that the choice of the best score reaches;
- gap: share of the distance from the base rate's expected log loss to the truth's that the model closes;
- slope, error: of true probabilities on predicted ones: slope of the log-odds (1 is perfect), and the mean distance of
  the two over twenty equal groups;
- terms: slopes of the model's log-odds on each of the law's eight terms within an impression (1 is perfect);
- coverage: of the 95 % intervals by the model's standard errors, if it has any, the share that hold the law's log-odds
  of a creative against their mean over the impression's creatives.

No model sees the truth; the reference sees the law's form. A run that was cut off goes on where it stopped. Ends with
one line of JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from upath import UPath

from benchmarks.interest_law import TASTES, TERMS, law_terms, reference
from benchmarks.ope_parallel import resumed

RESULTS = Path("benchmarks/results/interest_value.jsonl")
NAME = "marketplace"
PEERS = Path(".adloom/peers/bin/python")
ELEMENTS = ("template", "headline", "call_to_action", "palette", "product")


@dataclass(frozen=True)
class Scored:
    """Eligible pairs of the judged impressions: places of impression and creative, int64 [n], and what the law says.

    rate: true P(click), float64 [n]; terms: each term of the law's log-odds, float64 [n]; offsets: int64 [m + 1].
    """

    row: np.ndarray
    column: np.ndarray
    offsets: np.ndarray
    rate: np.ndarray
    terms: dict[str, np.ndarray]


def run(task: tuple[int, int, str, tuple[str, ...]]) -> dict:
    """One seed: every model's figures."""
    from benchmarks.served_value import build_shop
    from components.settings.environment import limit_blas_threads, prepare
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths
    from components.workflow import run_stage
    from components.workflow.run_stage import checked
    from components.workflow.stage_inputs import built_features, validated

    prepare()
    limit_blas_threads()
    seed, impressions, workdir, overrides = task
    folder = UPath(workdir) / str(seed)
    settings = checked(load_settings("params.yaml", NAME, (f"simulator.seed={seed}", *overrides)))
    paths = Paths.of(NAME, data=str(folder / "data" / NAME), workdir=str(folder / "artifacts"))
    build_shop(settings, paths)
    for name in ("validation", "features"):
        run_stage.run(name, settings, paths)
    tables, card = validated(paths)
    _, built = built_features(paths)
    scored = judged_pairs(tables, card, built, impressions)
    answer = {"seed": seed, "models": {}}
    for name, train in trainers(built, tables, card, settings).items():
        begun = processor_seconds()
        score = train()
        if score is None:
            continue
        seconds = processor_seconds() - begun
        answer["models"][name] = (
            {"cpu_seconds": round(seconds, 1)} | figures(score(scored), scored) | sure(score, scored)
        )
        print(seed, name, json.dumps(answer["models"][name]), file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return answer


def processor_seconds() -> float:
    """Of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


Score = Callable[[Scored], np.ndarray]


@dataclass(frozen=True)
class OwnScore:
    """Log-odds by a calibrated model, from its features `built`."""

    model: object
    built: object

    def __call__(self, scored: Scored) -> np.ndarray:
        """Of each pair, float64 [n]."""
        return _log_odds(self.model.probabilities(_pairs(self.built, scored)))


def trainers(built, tables, card, settings) -> dict[str, Callable[[], Score | None]]:
    """Name of a model -> what trains it; that returns the log-odds of pairs, or None where the model cannot be had."""
    from components.interest.training import train_calibrated

    def ours(name: str) -> Score:
        return OwnScore(train_calibrated(built, name, settings.interest), built)

    names = {name: (lambda name=name: ours(name)) for name in settings.interest.models}
    columns = PlainColumns(built)
    return names | {
        "plain": lambda: plain(columns),
        "lightgbm": lambda: lightgbm(columns),
        "reference": lambda: reference_score(built, tables, card),
    }


def judged_pairs(tables, card, built, impressions: int) -> Scored:
    """The pairs of at most `impressions` judged impressions, chosen by chance, and the law's truth about them."""
    from components.features.time_splits import JUDGE
    from components.policies.eligible import eligible_pairs, pair_offsets, rows_of
    from components.simulator import truth

    rows = built.of(JUDGE)
    if len(rows) > impressions:
        chosen = np.sort(np.random.default_rng(0).choice(len(rows), impressions, replace=False))
        rows = rows.iloc[chosen].reset_index(drop=True)
    pairs = eligible_pairs(tables, rows)
    return Scored(
        rows_of(pairs["impression_id"], built.impressions["impression_id"]),
        rows_of(pairs["creative_id"], built.creatives["creative_id"]),
        pair_offsets(pairs, rows),
        truth(card.simulator, tables)(pairs),
        law_terms(card, tables, pairs),
    )


class PlainColumns:
    """Columns that anybody would think of: one-hot elements of the ad, and four products of tastes and traits."""

    def __init__(self, built) -> None:
        from components.features.time_splits import TRAIN
        from components.interest.models.feature_blocks import creative_blocks, impression_blocks
        from components.interest.predictions import logged_pairs

        self.built = built
        training, _ = logged_pairs(built, TRAIN)
        self.left, self.right = impression_blocks(training.impressions), creative_blocks(built.creatives)
        self.tastes = tuple(name for name in TASTES if self.left.width(name) and self.right.width(name))
        self.elements = tuple(name for name in ELEMENTS if self.right.width(name))
        self.context = tuple(name for name in ("position", "placement") if self.left.width(name))

    def of(self, pairs) -> np.ndarray:
        """float32 [n, d] of Pairs."""
        x = self.left.encode(pairs.impressions, (*self.tastes, *self.context))
        z = self.right.encode(pairs.creatives, (*self.tastes, *self.elements))
        row, column = pairs.row, pairs.column
        products = [(x[name][row] * z[name][column]).sum(axis=1, keepdims=True) for name in self.tastes]
        parts = [*products, *(z[name][column] for name in self.elements), *(x[name][row] for name in self.context)]
        return np.concatenate(parts, axis=1).astype(np.float32)


def reference_score(built, tables, card) -> Score:
    """The reference, as a function of pairs."""
    score = reference(built, tables, card)
    return lambda scored: score(scored.row, scored.column)


def plain(columns: PlainColumns) -> Score:
    """Logistic regression on the plain columns."""
    from sklearn.linear_model import LogisticRegression

    from components.features.time_splits import TRAIN
    from components.interest.predictions import logged_pairs

    training, click = logged_pairs(columns.built, TRAIN)
    model = LogisticRegression(C=1.0, max_iter=300).fit(columns.of(training), click)
    return lambda scored: model.decision_function(columns.of(_pairs(columns.built, scored)))


TRAIN_LIGHTGBM = """
import sys
import lightgbm
import numpy
data = numpy.load(sys.argv[1])
settings = {"objective": "binary", "learning_rate": 0.03, "num_leaves": 15, "min_data_in_leaf": 500, "seed": 0,
            "num_threads": 1, "feature_fraction": 0.5, "lambda_l2": 10.0, "verbose": -1, "deterministic": True}
train = lightgbm.Dataset(data["x"], data["y"])
later = lightgbm.Dataset(data["x_later"], data["y_later"], reference=train)
model = lightgbm.train(settings, train, 2000, [later], callbacks=[lightgbm.early_stopping(50, verbose=False)])
model.save_model(sys.argv[2])
"""
SCORE_LIGHTGBM = """
import sys
import lightgbm
import numpy
model = lightgbm.Booster(model_file=sys.argv[2])
numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[1]), raw_score=True))
"""


def lightgbm(columns: PlainColumns) -> Score | None:
    """LightGBM in the peers' environment; None without it."""
    from components.features.time_splits import CALIBRATE, TRAIN
    from components.interest.predictions import logged_pairs

    found = (
        PEERS.exists() and subprocess.run([str(PEERS), "-c", "import lightgbm"], capture_output=True).returncode == 0
    )
    if not found:
        print("lightgbm is left out: `make peers` installs it", file=sys.stderr)
        return None
    (training, click), (later, later_click) = (logged_pairs(columns.built, part) for part in (TRAIN, CALIBRATE))
    with tempfile.TemporaryDirectory() as folder:
        data, model = Path(folder) / "data.npz", Path(folder) / "model.txt"
        np.savez(data, x=columns.of(training), y=click, x_later=columns.of(later), y_later=later_click)
        subprocess.run([str(PEERS), "-c", TRAIN_LIGHTGBM, str(data), str(model)], check=True)
        trained = model.read_bytes()

    def score(scored: Scored) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            data, model, answer = (Path(folder) / name for name in ("data.npy", "model.txt", "answer.npy"))
            np.save(data, columns.of(_pairs(columns.built, scored)))
            model.write_bytes(trained)
            subprocess.run([str(PEERS), "-c", SCORE_LIGHTGBM, str(data), str(model), str(answer)], check=True)
            return np.load(answer)

    return score


def _pairs(built, scored: Scored):
    from components.interest.predictions import pairs_at

    return pairs_at(built, scored.row, scored.column)


def figures(logit: np.ndarray, scored: Scored) -> dict:
    """What log-odds of the pairs, float64 [n], are worth by the truth."""
    from components.policies.ragged_rows import row_maxima, row_sums, spread

    offsets, rate = scored.offsets, scored.rate
    size = spread(np.diff(offsets), offsets)

    def value(score: np.ndarray) -> float:
        best = (score == spread(row_maxima(score, offsets), offsets)).astype(float)
        return float(row_sums(rate * best / spread(row_sums(best, offsets), offsets), offsets).mean())

    even = float(row_sums(rate / size, offsets).mean())
    predicted = np.clip(1 / (1 + np.exp(-logit)), 1e-9, 1 - 1e-9)
    base = np.full(len(rate), np.average(rate, weights=1 / size))
    losses = {name: _expected_loss(guess, rate, 1 / size) for name, guess in (("base", base), ("truth", rate))}
    loss = _expected_loss(predicted, rate, 1 / size)
    return {
        "share": (value(logit) - even) / (value(rate) - even),
        "lift": value(logit) / even - 1,
        "log_loss": loss,
        "gap": (losses["base"] - loss) / (losses["base"] - losses["truth"]),
        "slope": _slope(logit, _log_odds(rate)),
        "error": _calibration_error(predicted, rate),
        "terms": _term_slopes(logit, scored),
    }


def sure(score: Score, scored: Scored) -> dict[str, float]:
    """The coverage of the model's intervals; empty if it has no standard errors."""
    if not (isinstance(score, OwnScore) and hasattr(score.model.model, "standard_errors")):
        return {}
    pairs = _pairs(score.built, scored)
    error = _within(score(scored) - _log_odds(scored.rate), scored.offsets)
    return {"coverage": float((np.abs(error) <= 1.96 * score.model.standard_errors(pairs, pairs.row)).mean())}


def _expected_loss(predicted: np.ndarray, rate: np.ndarray, weight: np.ndarray) -> float:
    loss = -(rate * np.log(predicted) + (1 - rate) * np.log1p(-predicted))
    return float(np.average(loss, weights=weight))


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of y on x by least squares."""
    return float(np.cov(x, y)[0, 1] / x.var(ddof=1))


def _calibration_error(predicted: np.ndarray, rate: np.ndarray) -> float:
    groups = np.array_split(np.argsort(predicted, kind="stable"), 20)
    return float(np.mean([abs(predicted[group].mean() - rate[group].mean()) for group in groups]))


def _term_slopes(logit: np.ndarray, scored: Scored) -> dict[str, float]:
    """Least squares of the log-odds on the law's terms, each without its mean over the impression's creatives."""
    columns = np.column_stack([_within(scored.terms[name], scored.offsets) for name in TERMS])
    slopes = np.linalg.lstsq(columns, _within(logit, scored.offsets), rcond=None)[0]
    return {name: round(float(slope), 3) for name, slope in zip(TERMS, slopes, strict=True)}


def _within(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The values of pairs without their mean over each impression: float64 [n]."""
    from components.policies.ragged_rows import row_sums, spread

    return values - spread(row_sums(values, offsets) / np.diff(offsets), offsets)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return np.log(probability) - np.log1p(-probability)


def summary(rows: list[dict]) -> dict:
    """Means over the seeds, and the default model's share over the reference's."""
    names = sorted({name for row in rows for name in row["models"]})
    models = {}
    for name in names:
        each = [row["models"][name] for row in rows if name in row["models"]]
        models[name] = {key: float(np.mean([one[key] for one in each])) for key in each[0] if key != "terms"}
        models[name]["shares"] = [round(one["share"], 3) for one in each]
        models[name]["terms"] = {term: float(np.mean([one["terms"][term] for one in each])) for term in TERMS}
    return {"benchmark": "interest_value", "seeds": [row["seed"] for row in rows], "models": models}


def main() -> None:
    """Measure the seeds that are not measured yet, and print the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3", help="of the worlds")
    parser.add_argument("--impressions", type=int, default=20_000, help="judged impressions that are scored")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--workdir", default="benchmarks/results/interest_value", help="deleted seed by seed")
    parser.add_argument("--rows", type=Path, default=RESULTS, help="a JSON line per seed; done ones are kept")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    tasks = {seed: (seed, given.impressions, given.workdir, tuple(given.overrides)) for seed in seeds}
    rows = resumed(run, tasks, lambda row: row["seed"], given.rows, processes=1)
    line = json.dumps(summary(rows))
    if given.out:
        given.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

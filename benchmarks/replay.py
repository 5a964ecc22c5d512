"""Logged requests decided as `adloom serve` decides them, compared with the batch path that a run judges policies by.

    python -m benchmarks.replay [--requests 100000] [--workdir DIR]

A simulated shop with 50 creatives per campaign. Its events, impressions and clicks are reported through the service's
journal, as /track does, so the histories of shoppers are what a server would have. Then each request of the log is
decided in process, at its time, by the policy per shopper; the batch path builds the features of all of them as tables,
scores all pairs and applies the policy to them. Compared are:

- `counters`: columns of features that hold whole numbers; they must be equal;
- `floats`: all other columns; `p_click` and `probabilities`: of each creative. They must be equal to 1e-6, relative;
- `segments`, `creatives`: the eligible creatives must be the same, and so must the one that is drawn. The draw of the
  batch path is computed here anew from the decision's id and the seed.

For each: how many values were compared, how many differ, and the largest relative difference. Ends with one line of
JSON.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from benchmarks.served_shop import assembled_package, prepared_shop

TOLERANCE = 1e-6
AT_ONCE = 2_000  # rows of one submission to the journal, and requests that are compared at once
CONTEXT = "context_"
SEED = 0  # serving.seed


@dataclass
class Agreement:
    """values: that were compared; mismatches: of them; largest: relative difference."""

    values: int = 0
    mismatches: int = 0
    largest: float = 0.0

    def add(self, served: np.ndarray, batch: np.ndarray, tolerance: float = 0.0) -> None:
        """Count two arrays of one shape; texts must be equal."""
        if served.dtype.kind in "OUT":
            differs = served != batch
        else:
            size = np.maximum(np.abs(served), np.abs(batch)).astype(np.float64)
            apart = np.abs(served.astype(np.float64) - batch)
            relative = np.divide(apart, size, out=np.zeros(size.shape), where=size != 0)
            self.largest = max(self.largest, float(relative.max(initial=0.0)))
            differs = ~(relative <= tolerance)
        self.values, self.mismatches = self.values + differs.size, self.mismatches + int(differs.sum())


@dataclass(frozen=True)
class Served:
    """A decision of the service, and what it was made from. row: the features; p_click: of the eligible creatives."""

    row: object
    p_click: np.ndarray
    decision: object


@dataclass
class Recorder:
    """Keeps the features and the P(click) that `features`, of a served policy, computed last."""

    features: object
    row: object = None
    p_click: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        compute = self.features.row

        def row(*given):
            self.row = compute(*given)
            return self.row

        self.features.row = row

    def scores(self, *given):
        """Those of the recorded features."""
        scores = self.features.scores(*given)

        def probabilities(rows: np.ndarray) -> np.ndarray:
            self.p_click = scores.probabilities(rows)
            return self.p_click

        return replace(scores, probabilities=probabilities)


def reported(tables, folder: Path, may_know):
    """The histories of a service to which the log's events, impressions and clicks were reported."""
    from components.serving.history_store import HistoryStore
    from components.serving.journal import Journal

    def applied(connection, row) -> None:
        histories.applied(connection, row)

    with closing(Journal(folder, applied)) as journal:
        histories = HistoryStore(journal.path, 100_000, may_know)
        batch: list = []
        for row in _reports(tables):
            batch.append(row)
            if len(batch) == AT_ONCE:
                journal.submit(batch).result()
                batch = []
        if batch:
            journal.submit(batch).result()
    return histories


def _reports(tables) -> Iterator:
    """The rows of the journal that say what is in the log: events, then decisions with what became of them."""
    from components.features.pairs.pair_history import known_moments
    from components.features.timeline import microseconds
    from components.serving.journal import DecisionRow, TrackedRow
    from components.serving.tracking import CLICK, EVENT, IMPRESSION

    if "events" in tables:
        events = tables["events"]
        moments = zip(microseconds(events["timestamp"]).tolist(), known_moments(events).tolist(), strict=True)
        columns = [name for name in ("shopper_id", "kind", "product_id", "text", "value") if name in events]
        bodies = events[columns].astype(object).to_dict("records")
        for name, (moment, known), body in zip(events["event_id"], moments, bodies, strict=True):
            yield TrackedRow(EVENT, name, moment, known, {key: value for key, value in body.items() if value == value})
    log = tables["impressions"]
    columns = log[["impression_id", "shopper_id", "campaign", "creative_id", "click"]].itertuples(index=False)
    for moment, (name, shopper, campaign, creative, click) in zip(
        microseconds(log["timestamp"]).tolist(), columns, strict=True
    ):
        yield DecisionRow(name, moment, shopper, campaign, 1, creative, 1.0, "log", None, None, {}, {})
        yield TrackedRow(IMPRESSION, name, moment, moment, {})
        if click:
            yield TrackedRow(CLICK, name, moment, moment, {})


def served_decisions(served, histories, log: pd.DataFrame) -> Iterator[Served]:
    """What the service decides for each impression of `log`, at its time."""
    from components.features.timeline import microseconds
    from components.policies.online_policy import AdRequest

    recorder = Recorder(served.features)
    served = replace(served, features=recorder)
    context = sorted(name for name in log if name.startswith(CONTEXT))
    moments = microseconds(log["timestamp"]).tolist()
    placements = log["placement"] if "placement" in log else pd.Series([None] * len(log))
    for moment, placement, row in zip(moments, placements, log.to_dict("records"), strict=True):
        shopper = row["shopper_id"] if served.shop.may_know(row["shopper_id"]) else None
        placement = None if pd.isna(placement) else placement
        request = AdRequest(row["impression_id"], moment, (row["campaign"],), shopper, placement)
        open_ = [(name, row[name]) for name in context if not pd.isna(row[name])]
        decision = served.decide(request, row["position"], open_, histories.rows)
        yield Served(recorder.row, recorder.p_click, decision)


def drawn(decision_id: str, seed: int, probabilities: np.ndarray) -> int:
    """The place of the creative that the decision's id and the seed draw, as docs/serve.md promises."""
    digest = blake2b(decision_id.encode(), key=seed.to_bytes(8, "big"), person=b"creative", digest_size=8).digest()
    level = (int.from_bytes(digest, "big") >> 11) / 2**53 * sum(probabilities.tolist())
    below = 0.0
    for place, probability in enumerate(probabilities.tolist()):
        below += probability
        if level < below:
            return place
    return int(np.flatnonzero(probabilities)[-1])


def eligible_ids(catalogue: pd.DataFrame, log: pd.DataFrame) -> list[np.ndarray]:
    """The creatives of each impression's campaign that are active at its time, in the catalogue's order."""
    early, late = pd.Timestamp.min.tz_localize("UTC"), pd.Timestamp.max.tz_localize("UTC")
    of = {}
    for campaign, rows in catalogue.groupby("campaign"):
        times = rows["active_from"].fillna(early), rows["active_until"].fillna(late)
        of[campaign] = rows["creative_id"].to_numpy(dtype=object), *times
    found = []
    for campaign, moment in zip(log["campaign"], log["timestamp"], strict=True):
        ids, begin, end = of[campaign]
        found.append(ids[((begin <= moment) & (moment <= end)).to_numpy()])
    return found


def compared(served, histories, package, models, built, log: pd.DataFrame) -> dict[str, Agreement]:
    """How far both paths agree on `log`, whose features are the rows of `built`. models: the package's."""
    names = ("counters", "floats", "segments", "p_click", "probabilities", "eligible", "creatives")
    agreement = {name: Agreement() for name in names}
    columns = list(models[0].impression_columns)
    table = built.impressions[columns].to_numpy(dtype=np.float64)
    whole = (table == np.round(table)).all(axis=0)
    decisions = served_decisions(served, histories, log)
    for start in range(0, len(log), AT_ONCE):
        part = log.iloc[start : start + AT_ONCE]
        made = [next(decisions) for _ in range(len(part))]
        rows = np.stack([one.row.values for one in made])
        agreement["counters"].add(rows[:, whole], table[start : start + len(part)][:, whole])
        agreement["floats"].add(rows[:, ~whole], table[start : start + len(part)][:, ~whole], TOLERANCE)
        segments = built.impressions["segment"].to_numpy()[start : start + len(part)]
        agreement["segments"].add(np.array([one.row.segment for one in made]), segments.astype(np.int64))
        _compare_choices(agreement, made, (served, package, models[1], built), part)
        print(f"{start + len(part):,} of {len(log):,} requests", file=sys.stderr, flush=True)
    return agreement


def _compare_choices(agreement: dict[str, Agreement], made: list[Served], paths, part: pd.DataFrame) -> None:
    """Add the P(click), probabilities and creatives of the impressions `part`."""
    from components.interest import score_pairs

    served, package, model, built = paths
    eligible = eligible_ids(served.online.catalogue, part)
    of_served = np.concatenate([one.decision.creative_ids for one in made])
    counts = np.array([len(ids) for ids in eligible])
    listed = np.concatenate(eligible)
    same = len(listed) == len(of_served) and list(counts) == [len(one.decision.creative_ids) for one in made]
    agreement["eligible"].add(of_served.astype(object), listed if same else np.full(len(of_served), "", dtype=object))
    if not same:
        return
    offsets = np.concatenate([[0], np.cumsum(counts)])
    pairs = pd.DataFrame({"impression_id": np.repeat(part["impression_id"], counts).to_numpy(), "creative_id": listed})
    scored = score_pairs(model, built, pairs, errors=package.parameters.errors)
    agreement["p_click"].add(np.concatenate([one.p_click for one in made]), scored["p_click"].to_numpy(), TOLERANCE)
    batch = package.per_shopper(part.reset_index(drop=True), scored, offsets)
    agreement["probabilities"].add(np.concatenate([one.decision.probabilities for one in made]), batch, TOLERANCE)
    shares = np.split(batch, offsets[1:-1])
    chosen = [
        ids[drawn(name, SEED, share)] for ids, name, share in zip(eligible, part["impression_id"], shares, strict=True)
    ]
    agreement["creatives"].add(
        np.array([one.decision.creative_id for one in made], dtype=object), np.array(chosen, dtype=object)
    )


def replayed(workdir: str, count: int) -> dict:
    """The figures of a simulated shop with `count` impressions."""
    from components.contract.files.tables import files_in
    from components.features import FeatureModel, build_features
    from components.interest import CalibratedModel
    from components.serving.served_policy import read_champion
    from components.serving.shop_tables import read_shop
    from components.settings.sections import ServingConfig
    from components.workflow.publishing.deployed_policy import read_package
    from components.workflow.stage_inputs import validated

    settings, paths = prepared_shop(workdir, (f"simulator.impressions={count}",))
    tables, shop = validated(paths)[0], read_shop(paths.data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = assembled_package(paths, Path(scratch) / "package")
        model = UPath(folder) / "model"
        models = (
            FeatureModel.from_files(files_in(model / "features")),
            CalibratedModel.from_files(files_in(model / "interest")),
        )
        acting = {"acts": "per_shopper", "forms": ["per_shopper"]}
        served = read_champion(folder, acting, (1, "f" * 64)).served(shop, ServingConfig(seed=SEED))
        begun = time.perf_counter()
        histories = reported(tables, Path(scratch) / "service", shop.may_know)
        seconds = {"reporting": round(time.perf_counter() - begun)}
        pool = pd.read_parquet(folder / "pool" / "creatives.parquet").reindex(columns=tables["creatives"].columns)
        creatives = pd.concat([tables["creatives"], pool], ignore_index=True)
        built = build_features(models[0], {**tables, "creatives": creatives}, settings.features)
        begun = time.perf_counter()
        with closing(histories):
            agreement = compared(served, histories, read_package(UPath(folder)), models, built, tables["impressions"])
        seconds["deciding"] = round(time.perf_counter() - begun)
    return summary(agreement) | {"requests": len(tables["impressions"]), "seconds": seconds}


def summary(agreement: dict[str, Agreement]) -> dict:
    """`mismatches` of all kinds, and each kind's figures."""
    kinds = {name: vars(one) for name, one in agreement.items()}
    return {"mismatches": sum(one.mismatches for one in agreement.values()), "compared": kinds}


def main() -> None:
    """Replay, print a line per kind of value, and one line of JSON; status 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--workdir")
    given = parser.parse_args()
    from components.settings.environment import prepare

    prepare()
    with tempfile.TemporaryDirectory() as scratch:
        result = replayed(given.workdir or scratch, given.requests)
    for name, figures in result["compared"].items():
        print(f"{name:14s} {figures}")
    print(json.dumps({**result, "tolerance": TOLERANCE, "load": os.getloadavg()[0]}))
    sys.exit(1 if result["mismatches"] else 0)


if __name__ == "__main__":
    main()

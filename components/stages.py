"""Read -> call -> write: the six stages, each `stage(config, paths) -> None`.

This is the only file that pairs paths with functions.

`dvc repro`, the Prefect flow and `adloom stage` call the same functions through `run`, which leaves a stage alone whose
inputs, settings, code and champion snapshot are those of its manifest and whose outputs are untouched.
"""

import dataclasses
import functools
import inspect
import logging
import textwrap
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from upath import UPath

from components import pages
from components.config import (
    CreativesConfig,
    EvaluationConfig,
    FeaturesConfig,
    InterestConfig,
    PromotionConfig,
    Section,
    Settings,
    ValidationConfig,
)
from components.contract.card import DatasetCard, read_card
from components.contract.tables import read_frame, read_json, read_table, write_text
from components.errors import UserError
from components.manifest import ROOT, Manifest, digest_code, digest_json, digest_tree, read_manifest
from components.outputs import Outputs
from components.paths import Paths

log = logging.getLogger("adloom")

# What a policy consists of, in the stages' folders and in its package: enough to act and to be judged again later.
PACKAGE = {
    "interest/model": "model",
    "creatives/pool": "pool",
    "evaluation/policy.json": "policy.json",
    "evaluation/decisions.parquet": "decisions.parquet",
}
GENERATORS = ("vae", "wgan")
READS = {
    "validation": (),
    "features": ("validation",),
    "interest": ("validation", "features"),
    "creatives": ("validation", "features", "interest"),
    "evaluation": ("validation", "features", "interest", "creatives"),
    "promotion": ("features", "interest", "creatives", "evaluation"),
}


def _stage(function: Callable[[Section, Paths, Outputs], None]) -> Callable[[Section, Paths], None]:
    """Give a stage its outputs, and write the manifest of what it read when it began once it has written them."""

    @functools.wraps(function)
    def stage(config: Section, paths: Paths) -> None:
        due = _due(function.__name__, config, paths)
        out = Outputs(paths.stage(function.__name__))
        function(config, paths, out)
        out.finish(due)

    return stage


def run(name: str, settings: Settings, paths: Paths, force: bool = False) -> bool:
    """Run stage `name` unless nothing it depends on has changed; say whether it ran."""
    config, label = getattr(settings, name), f"{paths.artifacts.name} {name}"
    if not force and _is_fresh(name, config, paths):
        log.info("%s: unchanged", label)
        return False
    log.info("%s: running", label)
    begun = time.monotonic()
    globals()[name](config, paths)
    log.info("%s: done in %.1f s", label, time.monotonic() - begun)
    return True


def _is_fresh(name: str, config: Section, paths: Paths) -> bool:
    folder = paths.stage(name)
    manifest = read_manifest(folder)
    if manifest is None or not manifest.same_work(_due(name, config, paths)):
        return False
    return digest_tree(folder) == dict(manifest.outputs)


def _due(name: str, config: Section, paths: Paths) -> Manifest:
    """The manifest that a run of stage `name` would have now, but for its outputs."""
    inputs = {stage: digest_json(dict(_finished(stage, name, paths).outputs)) for stage in READS[name]}
    if name == "validation":
        inputs["data"] = digest_json(digest_tree(paths.data))
        inputs["expectations"] = digest_json(digest_tree(UPath(ROOT) / "expectations"))
    if name in ("evaluation", "promotion"):
        inputs["champion"] = digest_json(digest_tree(paths.champion))
    settings = digest_json(config.model_dump(mode="json"))
    return Manifest(stage=name, settings=settings, code=_code(name), inputs=inputs, outputs={})


def _finished(stage: str, reader: str, paths: Paths) -> Manifest:
    manifest = read_manifest(paths.stage(stage))
    if manifest is None:
        dataset = paths.artifacts.name
        raise UserError(
            f"stage {reader} needs stage {stage} of {dataset}, which has not been run: "
            f"`adloom stage {stage} --dataset {dataset}`"
        )
    return manifest


@functools.cache
def _code(name: str) -> str:
    return digest_code(textwrap.dedent(inspect.getsource(globals()[name])))


@_stage
def validation(config: ValidationConfig, paths: Paths, out: Outputs) -> None:
    """Raw tables -> the rows that hold the contract, those in quarantine, and the report."""
    from components.contract.card import NAME as CARD
    from components.contract.card import write_card
    from components.contract.documents import page, render
    from components.contract.report import DataRefused
    from components.contract.validation import load_dataset, validate

    tables, card = load_dataset(paths.data)
    try:
        checked = validate(tables, card, config)
    except DataRefused as refused:  # the pages show why, and nothing downstream is touched
        render(refused, paths.docs / "data_docs")
        raise
    for name, table in checked.tables.items():
        out.table(f"{name}.parquet", table)
    for name, table in checked.quarantine.items():
        out.table(f"quarantine/{name}.parquet", table)
    write_card(card, out.folder)
    out.claim(CARD)
    out.json("report.json", checked.report.to_dict())
    render(checked, paths.docs / "data_docs")
    write_text(page(checked.report), paths.docs / "validation.md")


@_stage
def features(config: FeaturesConfig, paths: Paths, out: Outputs) -> None:
    """Validated tables -> features of impressions and creatives, and readable shopper profiles."""
    from components.features import build_features, fit_features

    tables, card = _validated(paths)
    model = fit_features(tables, config, card.ends_at)
    built = build_features(model, tables, config)
    out.table("impressions.parquet", built.impressions)
    out.table("creatives.parquet", built.creatives)
    out.table("shopper_profiles.parquet", built.shopper_profiles)
    out.files("model", model.files())
    out.json("messages.json", list(built.messages))
    write_text(pages.features(built), paths.docs / "features.md")


@_stage
def interest(config: InterestConfig, paths: Paths, out: Outputs) -> None:
    """Features -> a calibrated model of interest, and its P(click) for every pair that evaluation will judge."""
    from components.interest import predict_pairs, train_interest
    from components.policy.eligible import eligible_pairs

    tables, _ = _validated(paths)
    model, built = _features(paths)
    trained = train_interest(built, config)
    pairs = eligible_pairs(tables, _judged(built))
    out.table("predictions.parquet", pairs.assign(p_click=predict_pairs(trained.champion, built, pairs)))
    out.files("model/interest", trained.champion.files())
    out.files("model/features", model.files())
    out.json("metrics.json", trained.to_dict())
    write_text(pages.interest(trained.to_dict()), paths.docs / "interest.md")


@_stage
def creatives(config: CreativesConfig, paths: Paths, out: Outputs) -> None:
    """Photos -> trained generators and a pool of new creatives, ranked per segment by the model of interest."""
    from components.creatives.photos import read_photos
    from components.features.audience import segment_shares

    tables, _ = _validated(paths)
    if "images" not in tables:
        out.json("metrics.json", {"generators": {}, "gate": None, "pool": 0, "remarks": ["no table images"]})
        write_text(pages.creatives(read_json(out.folder / "metrics.json")), paths.docs / "creatives.md")
        return
    _, built = _features(paths)
    segments = int(built.impressions["segment"].max()) + 1
    shares = segment_shares(tables["events"], tables["products"], built.shopper_profiles, segments)
    photos, remarks = read_photos(tables["images"], segments, config.side or 28, shares)
    generators, figures = {}, {}
    for name in GENERATORS:
        generators[name], figures[name] = _train(name, photos, config, paths)
        out.files(f"model/{name}", generators[name].files())
    out.json("metrics.json", {"generators": figures, "gate": None, "pool": 0, "remarks": list(remarks)})
    write_text(pages.creatives(read_json(out.folder / "metrics.json")), paths.docs / "creatives.md")


@_stage
def evaluation(config: EvaluationConfig, paths: Paths, out: Outputs) -> None:
    """Predictions -> a policy, its decisions, and what it would have earned on the logged impressions of later days."""
    from components.evaluation import evaluate
    from components.evaluation.logs import split_logs
    from components.policy.decisions import decisions

    tables, card = _validated(paths)
    _, built = _features(paths)
    pairs = read_frame(paths.stage("interest") / "predictions.parquet")
    judged = _judged(built).merge(tables["impressions"][["impression_id", "placement", "logging_policy"]])
    target = _act(config.policy.model_dump(), pairs["p_click"], pairs, judged)
    baseline = _champion_probabilities(paths, tables, pairs, judged)
    found, truths = {}, {}
    for part in split_logs(judged, pairs, built.creatives, target, baseline):
        found[part.logging_policy] = evaluate(part.log, part.target, config, part.baseline)
        truths[part.logging_policy] = _truth(card, tables, part)
    out.json("evaluation.json", {name: each.to_dict() for name, each in found.items()})
    out.json("truth.json", truths)
    out.json("policy.json", config.policy.model_dump(mode="json"))
    out.table("decisions.parquet", decisions(judged, pairs, target, _pool(paths), config.policy.exploration))
    write_text(pages.evaluation(found, truths), paths.docs / "evaluation.md")


@_stage
def promotion(config: PromotionConfig, paths: Paths, out: Outputs) -> None:
    """Three verdicts and the champion snapshot -> the candidate policy as one package, and the decision about it."""
    from components.promotion.decision import Evidence, Gate, decide, page
    from components.tracking import digest_package

    for source, target in PACKAGE.items():
        out.copy(paths.artifacts / source, f"policy/{target}")
    evidence = Evidence(
        interest=Gate.of(read_json(paths.stage("interest") / "metrics.json")),
        creatives=Gate.of(read_json(paths.stage("creatives") / "metrics.json")["gate"]),
        evaluation=next(iter(read_json(paths.stage("evaluation") / "evaluation.json").values())),
        candidate=digest_package(out.folder / "policy"),
        champion=digest_package(paths.champion) if paths.champion.exists() else None,
    )
    decision = decide(evidence, config)
    out.json("decision.json", decision.to_dict())
    write_text(page(decision), paths.docs / "promotion.md")


def _validated(paths: Paths):
    """The validated tables that are there, by name, and the data set's card."""
    folder = paths.stage("validation")
    card = read_card(folder)
    return {name: read_table(folder, name) for name in card.tables}, card


def _features(paths: Paths):
    """The fitted feature model and the features that it built."""
    from components.features import FeatureModel, Features

    folder = paths.stage("features")
    names = ("impressions", "creatives", "shopper_profiles")
    tables = {name: read_frame(folder / f"{name}.parquet") for name in names}
    messages = tuple(read_json(folder / "messages.json"))
    return FeatureModel.from_files(_files(folder / "model")), Features(**tables, messages=messages)


def _files(folder: UPath) -> dict[str, bytes]:
    """Relative name -> bytes for all files below `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _judged(built) -> pd.DataFrame:
    """The impressions later than all that any model learned from."""
    return built.impressions[built.impressions["split"] == "evaluation"].reset_index(drop=True)


def _act(policy: dict, scores: pd.Series, pairs: pd.DataFrame, judged: pd.DataFrame) -> np.ndarray:
    """The softmax policy of settings `policy` on scored pairs -> probability of each pair."""
    from components.policy import Softmax, pair_offsets

    return Softmax(**policy).probabilities(scores.to_numpy(), pair_offsets(pairs, judged))


def _train(name: str, photos, config: CreativesConfig, paths: Paths):
    """Train generator `name`, or go on from the checkpoint of a run that was cut off; it and its figures."""
    from components.creatives.train import start_training
    from components.training_log import follow

    budget = getattr(config, name)
    checkpoint = paths.artifacts / "checkpoints" / f"{name}.npz"
    resume = checkpoint.read_bytes() if checkpoint.exists() else None
    training = start_training(name, photos, budget, config.seed, resume)
    follow(training, budget.steps, checkpoint, paths.artifacts / "tensorboard" / name, config.checkpoint_seconds)
    checkpoint.unlink()  # it is for a run that was cut off; this one is done
    return training.generator(), {"training": dataclasses.asdict(training.summary())}


def _champion_probabilities(paths: Paths, tables: dict, pairs: pd.DataFrame, judged: pd.DataFrame) -> np.ndarray | None:
    """What the champion would do on the judged pairs, by its own pinned features and model; None without a champion."""
    if not paths.champion.exists():
        return None
    from components.features import FeatureModel, build_features
    from components.interest import CalibratedModel, predict_pairs

    pinned = FeatureModel.from_files(_files(paths.champion / "model" / "features"))
    model = CalibratedModel.from_files(_files(paths.champion / "model" / "interest"))
    built = build_features(pinned, tables, FeaturesConfig())
    scores = pd.Series(predict_pairs(model, built, pairs))
    return _act(read_json(paths.champion / "policy.json"), scores, pairs, judged)


def _truth(card: DatasetCard, tables: dict, part) -> dict[str, float] | None:
    """What the law says that both policies earn on these rows; None for real data. For the page alone."""
    if card.world is None:
        return None
    from components.world import truth

    click = truth(card.world, tables)(part.pairs)
    baseline = part.log.logging if part.baseline is None else part.baseline
    target, base = (float(part.log.expected(click, policy).mean()) for policy in (part.target, baseline))
    return {"target": target, "baseline": base, "lift": target - base}


def _pool(paths: Paths) -> pd.DataFrame | None:
    file = paths.stage("creatives") / "pool" / "creatives.parquet"
    return read_frame(file) if file.exists() else None

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
from components.manifest import ROOT, Manifest, digest_code, digest_json, digest_package, digest_tree, read_manifest
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
    if manifest is None:
        return False
    due = _due(name, config, paths)
    if "champion" in due.inputs and _is_own_champion(paths):
        # the champion is what these very outputs became: it is not judged against itself
        kept = {key: manifest.inputs[key] for key in ("champion", "ledger") if key in manifest.inputs}
        due = dataclasses.replace(due, inputs={**due.inputs, **kept})
    return manifest.same_work(due) and digest_tree(folder) == dict(manifest.outputs)


def _asked_before(paths: Paths) -> list[str]:
    """The ledger's questions before the one about the candidate at hand, which a second run asks again for nothing."""
    from components.promotion.decision import question_of

    asked = read_json(paths.ledger) if paths.ledger.exists() else []
    candidate = _digest(paths.stage("promotion") / "policy")
    own = question_of(candidate, _digest(paths.champion)) if candidate else None
    return asked[: asked.index(own)] if own in asked else asked


def _digest(package: UPath) -> str | None:
    return digest_package(package) if package.exists() else None


def _is_own_champion(paths: Paths) -> bool:
    champion = _digest(paths.champion)
    return champion is not None and champion == _digest(paths.stage("promotion") / "policy")


def _due(name: str, config: Section, paths: Paths) -> Manifest:
    """The manifest that a run of stage `name` would have now, but for its outputs."""
    inputs = {stage: digest_json(dict(_finished(stage, name, paths).outputs)) for stage in READS[name]}
    if name == "validation":
        inputs["data"] = digest_json(digest_tree(paths.data))
        inputs["expectations"] = digest_json(digest_tree(UPath(ROOT) / "expectations"))
    if name in ("evaluation", "promotion"):
        inputs["champion"] = digest_json(digest_tree(paths.champion))
    if name == "promotion":
        inputs["ledger"] = digest_json(_asked_before(paths))
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
    from components.contract.window import cut

    tables, card = cut(*load_dataset(paths.data), config)
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
    """Photos -> trained generators, judged, and a pool of new creatives that the model of interest ranks."""
    from components.creatives.boards import ads, board, texts_of
    from components.creatives.review import review

    tables, _ = _validated(paths)
    if "images" not in tables:
        record = {"generators": {}, "gate": None, "pool": 0, "remarks": ["no table images: nothing to generate from"]}
        out.json("metrics.json", record)
        write_text(pages.creatives(record, {}), paths.docs / "creatives.md")
        return
    model, built = _features(paths)
    train, test, remarks = _photos(tables, built, config)
    trained = {name: _train(name, train, config, paths) for name in config.generators}
    generators = {generator.name: generator for generator, _ in trained.values()}
    judged = review(generators, train, test, config)
    for name in judged.passing() or generators:
        out.files(f"model/{name}", generators[name].files())
    people = tables["creatives"][tables["creatives"]["origin"] == "people"]
    texts = texts_of(people.drop_duplicates(["campaign", "headline", "call_to_action"]), tables["campaigns"])
    out.json("model/about.json", {"best": judged.best or next(iter(generators)), "texts": texts})
    record = {
        "generators": {generator.name: _steps(summary) for generator, summary in trained.values()},
        "real_photos": judged.ground.metrics(),
        "quality": {name: quality.metrics() for name, quality in judged.quality.items()},
        "gate": {"passed": judged.gate().passed, "reasons": list(judged.gate().reasons)},
        "best": judged.best,
        "remarks": list(remarks),
    }
    pool = _fill_pool(tables, model, built, generators, judged, config, paths)
    out.json("metrics.json", {**record, "pool": 0 if pool is None else len(pool.creatives)})
    if pool is not None:
        for name in ("creatives", "images", "ranking"):
            out.table(f"pool/{name}.parquet", getattr(pool, name))
        out.files("pool/ads", ads(pool, tables["campaigns"]))
    out.files("boards", {f"{name}.png": board(generator) for name, generator in generators.items()})
    seconds = {generator.name: summary.seconds for generator, summary in trained.values()}
    write_text(pages.creatives(read_json(out.folder / "metrics.json"), seconds), paths.docs / "creatives.md")


@_stage
def evaluation(config: EvaluationConfig, paths: Paths, out: Outputs) -> None:
    """Predictions -> a policy, its decisions, and what it would have earned on the logged impressions of later days."""
    from components.evaluation.assess import assess
    from components.evaluation.logs import split_logs
    from components.evaluation.report import page
    from components.policy.decisions import decisions

    tables, card = _validated(paths)
    _, built = _features(paths)
    pairs = read_frame(paths.stage("interest") / "predictions.parquet")
    judged = _judged(built).merge(tables["impressions"][["impression_id", "placement", "logging_policy"]])
    target = _act(config.policy.model_dump(), pairs["p_click"], pairs, judged)
    baseline = _champion_probabilities(paths, tables, pairs, judged)
    lost = read_frame(paths.stage("validation") / "quarantine" / "impressions.parquet")
    found, truths, report = {}, {}, []
    for part in split_logs(judged, pairs, built.creatives, target, baseline):
        name = part.logging_policy
        own = lost[lost["logging_policy"] == name]
        found[name] = assess(
            part.log, part.target, config, part.baseline, tables["impressions"], tables["creatives"], own
        )
        truths[name] = _truth(card, tables, part)
        report.append(f"# Logged by {name}\n\n{page(found[name])}{pages.truth(truths[name])}")
    logs = [{"logging_policy": name, **_record(each)} for name, each in found.items()]
    out.json("evaluation.json", {"logs": logs})
    out.json("truth.json", truths)
    out.text("estimates.csv", pages.estimates(logs))
    out.json("policy.json", config.policy.model_dump(mode="json"))
    out.table("decisions.parquet", decisions(judged, pairs, target, _pool(paths), config.policy.exploration))
    write_text("\n".join(report), paths.docs / "evaluation.md")


@_stage
def promotion(config: PromotionConfig, paths: Paths, out: Outputs) -> None:
    """Three verdicts and the registry's snapshot -> the candidate policy as one package, and the decision about it."""
    from components.evaluation.ledger import Ledger
    from components.promotion.decision import Evidence, Gate, decide, page, question_of

    for source, target in PACKAGE.items():
        out.copy(paths.artifacts / source, f"policy/{target}")
    candidate = digest_package(out.folder / "policy")
    champion = _digest(paths.champion)
    questions = read_json(paths.ledger) if paths.ledger.exists() else []
    alpha, _ = Ledger(config.alpha, tuple(questions)).ask(question_of(candidate, champion))
    # logs stand in order of size: the largest one decides
    assessed = next(iter(read_json(paths.stage("evaluation") / "evaluation.json")["logs"]))
    evidence = Evidence(
        interest=Gate.of(read_json(paths.stage("interest") / "metrics.json")),
        creatives=Gate.of(read_json(paths.stage("creatives") / "metrics.json")["gate"]),
        evaluation=assessed["evaluation"],
        lift=assessed["gate"],
        alpha=alpha,
        candidate=candidate,
        champion=champion,
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
    """The softmax policy of settings `policy` on scored pairs -> probability of each pair, float64 [n_pairs]."""
    from components.policy import Softmax, pair_offsets

    base = pairs["propensity"].to_numpy() if "propensity" in pairs else None
    return Softmax(**policy).probabilities(scores.to_numpy(), pair_offsets(pairs, judged), base)


def _photos(tables: dict, built, config: CreativesConfig):
    """Training photos, test photos (None where the data have no such split) and remarks on what was left out."""
    from components.creatives.photos import read_photos
    from components.features.audience import segment_shares

    segments = int(built.impressions["segment"].max()) + 1
    shares = None
    if "events" in tables and "products" in tables:
        shares = segment_shares(tables["events"], tables["products"], built.shopper_profiles, segments)
    images = tables["images"]
    train, remarks = read_photos(images, segments, config.side, shares)
    if not (images["split"] == "test").any():
        return train, None, remarks
    side = train.shape[0]
    test, _ = read_photos(images, segments, side, shares, split="test", categories=train.categories)
    return train, test, remarks


def _fill_pool(tables: dict, model, built, generators: dict, judged, config: CreativesConfig, paths: Paths):
    """New creatives of the generators that passed; None where none did."""
    from components.creatives.pool import fill_pool
    from components.features import creative_features
    from components.interest import CalibratedModel
    from components.interest.audience import segment_scores

    if not judged.passing():
        return None
    interest = CalibratedModel.from_files(_files(paths.stage("interest") / "model" / "interest"))
    segments = next(iter(generators.values())).segments

    def score(creatives: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
        rows = creative_features(model, creatives, tables.get("products"), images)
        return segment_scores(interest, built, rows, segments, config.audience, config.seed)

    makers = [generators[name] for name in judged.passing()]
    return fill_pool(
        tables, makers, judged.manifold, score, config.pool_per_campaign, config.duplicate_distance, config.seed
    )


def _steps(summary) -> dict[str, int | bool]:
    """What a rerun repeats of a training; seconds are not among it."""
    return {"steps": summary.steps, "planned": summary.planned, "capped": summary.capped}


def _train(name: str, photos, config: CreativesConfig, paths: Paths):
    """Train generator `name`, or go on from the checkpoint of a run that was cut off; it and its summary."""
    from components.creatives.train import start_training
    from components.training_log import follow

    budget = getattr(config, name)
    # another budget is another schedule: its checkpoints are not gone on from
    label = digest_json([budget.model_dump(mode="json"), config.seed])[:12]
    checkpoint = paths.artifacts / "checkpoints" / f"{name}-{label}.npz"
    resume = checkpoint.read_bytes() if checkpoint.exists() else None
    training = start_training(name, photos, budget, config.seed, resume)
    follow(training, budget.steps, checkpoint, paths.artifacts / "tensorboard" / name, config.checkpoint_seconds)
    checkpoint.unlink()  # it is for a run that was cut off; this one is done
    return training.generator(), training.summary()


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


def _record(assessment) -> dict[str, object]:
    """An assessment as JSON values."""
    return {
        "evaluation": assessment.evaluation.to_dict(),
        "gate": None if assessment.gate is None else assessment.gate.to_dict(),
        "metrics": [metric.to_dict() for metric in assessment.metrics],
        "segments": [dataclasses.asdict(part) for part in assessment.segments],
        "elements": [dataclasses.asdict(part) for part in assessment.elements],
    }


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

"""The six stages, each `stage(config, paths) -> None`: read, call, write. `run_stage.run` runs them.

Each stage imports within its function, so that a stage without networks starts without TensorFlow.
"""

import functools
import logging
from collections.abc import Callable

from components.contract.files.tables import read_json, write_text
from components.settings.paths import Paths
from components.settings.sections import (
    CreativesStageConfig,
    EvaluationConfig,
    FeaturesConfig,
    InterestConfig,
    PromotionConfig,
    Section,
    ValidationConfig,
)
from components.workflow.caching.freshness import (
    current_question,
    digest_if_present,
    evaluation_key,
    expected_manifest,
    is_charged,
    ledger_place,
)
from components.workflow.stage_outputs import Outputs

log = logging.getLogger("adloom")
SCORED_AT_ONCE = 1 << 18  # impressions whose pairs the stage interest holds at a time

# the parts of a policy's package: the source in the stages' folders, and the folder in the package
PACKAGE = {"interest/model": "model", "creatives/pool": "pool", "evaluation/policy": ""}


def _stage(function: Callable[[Section, Paths, Outputs], None]) -> Callable[[Section, Paths], None]:
    """Give a stage its outputs; after it has written them, write the manifest of its inputs at its start."""

    @functools.wraps(function)
    def stage(config: Section, paths: Paths) -> None:
        expected = expected_manifest(function.__name__, config, paths)
        out = Outputs(paths.stage(function.__name__))
        function(config, paths, out)
        out.finish(expected)

    return stage


@_stage
def validation(config: ValidationConfig, paths: Paths, out: Outputs) -> None:
    """Validated tables, quarantined rows and the report, from raw tables."""
    from components.contract.card import CARD_FILE, write_card
    from components.contract.time_window import restrict_to_window
    from components.contract.validation.data_docs import render_data_docs, summary_page
    from components.contract.validation.data_report import DataRefused
    from components.contract.validation.validate import load_dataset, validate

    tables, card = restrict_to_window(*load_dataset(paths.data, config.as_of), config)
    try:
        checked = validate(tables, card, config)
    except DataRefused as refused:  # the pages show why, and nothing downstream is touched
        try:
            render_data_docs(refused, paths.docs / "data_docs")
        except Exception as error:  # the reason counts for more than its pages
            log.warning("the pages of %s could not be made: %s", paths.docs / "data_docs", error)
        raise refused from None
    for name, table in checked.tables.items():
        out.table(f"{name}.parquet", table)
    for name, table in checked.quarantine.items():
        out.table(f"quarantine/{name}.parquet", table)
    write_card(card, out.folder)
    out.claim(CARD_FILE)
    out.json("report.json", checked.report.to_dict())
    render_data_docs(checked, paths.docs / "data_docs")
    write_text(summary_page(checked.report), paths.docs / "validation.md")


@_stage
def features(config: FeaturesConfig, paths: Paths, out: Outputs) -> None:
    """Features of impressions and creatives, and readable shopper profiles, from validated tables."""
    from components.features import build_features, fit_with_looks
    from components.workflow.pages.features_page import features_page
    from components.workflow.stage_inputs import FEATURES_READ, chosen_encoder, validated

    encoder = chosen_encoder(config)
    tables, card = validated(paths, FEATURES_READ)
    model, looks = fit_with_looks(tables, config, card.ends_at, encoder)
    built = build_features(model, tables, config, looks)
    out.table("impressions.parquet", built.impressions)
    out.table("creatives.parquet", built.creatives)
    out.table("creatives_earlier.parquet", built.earlier)
    out.table("shopper_profiles.parquet", built.shopper_profiles)
    out.table("looks.parquet", looks.to_table())
    out.files("model", model.files())
    out.json("messages.json", list(built.messages))
    write_text(features_page(built), paths.docs / "features.md")


@_stage
def interest(config: InterestConfig, paths: Paths, out: Outputs) -> None:
    """A calibrated interest model, and its P(click) of every pair that selects or judges a policy, from features."""
    from components.features.time_splits import JUDGE, SELECT
    from components.interest import score_pairs, train_disjoint_models, train_interest
    from components.interest.model_kinds import MODEL_KINDS
    from components.policies.eligible import eligible_blocks
    from components.workflow.pages.interest_page import interest_page
    from components.workflow.stage_inputs import DISJOINT_MODELS, INTEREST_READ, built_features, validated
    from components.workflow.training_curves import write_curves

    tables, _ = validated(paths, INTEREST_READ)
    model, built = built_features(paths)
    trained = train_interest(built, config)
    rows = built.rows_of(SELECT, JUDGE)
    held_out = built.impressions.loc[rows, ["impression_id", "campaign", "timestamp"]]
    blocks = eligible_blocks(tables, held_out, SCORED_AT_ONCE)
    scored = (score_pairs(trained.champion, built, pairs, rows[row]) for row, pairs in blocks)
    out.blocks("predictions.parquet", scored)
    out.files("model/interest", trained.champion.files())
    out.files("model/features", model.files())
    if model.traits.look is not None:  # these models personalise images
        for number, disjoint in enumerate(train_disjoint_models(built, config)):
            out.files(f"model/{DISJOINT_MODELS}/{number}", disjoint.files())
    for name in MODEL_KINDS:
        write_curves(trained.losses.get(name, ()), paths.tensorboard / f"interest-{name}")
    out.json("metrics.json", trained.to_dict())
    write_text(interest_page(trained.to_dict()), paths.docs / "interest.md")


@_stage
def creatives(config: CreativesStageConfig, paths: Paths, out: Outputs) -> None:
    """Trained and judged generators, and a pool of new ads ranked by the interest model, from photos and texts."""
    from components.ads.new_creatives import CreativesInputs, GeneratorSources, make_creatives
    from components.ads.pools.reviews import Reviews
    from components.contract.files.digests import digest_package
    from components.generators.generator_kinds import check_families
    from components.generators.pretrained import adopt
    from components.generators.text_to_image.text_encoders import text_encoder
    from components.workflow.caching.local_folders import folder_remarks, read_local_folder
    from components.workflow.checkpointed_training import clear_checkpoints, train_all
    from components.workflow.pages.creatives_page import creatives_page
    from components.workflow.stage_inputs import built_features, validated
    from components.workflow.stage_models import interest_model

    check_families(config)
    tables, card = validated(paths)
    interest = interest_model(paths), digest_package(paths.stage("interest") / "model")
    training = GeneratorSources(
        adopt=lambda photos: read_local_folder(config, "pretrained", lambda files: adopt(files, photos)),
        train=lambda photos: train_all(photos, config, paths),
        text_encoder=read_local_folder(config, "text_encoder", text_encoder),
    )
    decisions = read_json(paths.reviews) if paths.reviews.exists() else []
    reviews = Reviews.of(decisions, required=config.ads.review == "required")
    sources = CreativesInputs(tables, *built_features(paths), *interest, card.currency, reviews)
    result = make_creatives(sources, training, config)
    for name, content in result.files.items():
        out.file(name, content)
    for name, table in result.tables.items():
        out.table(name, table)
    for name, document in result.documents.items():
        out.json(name, document)
    result.record["remarks"] += folder_remarks(config)
    out.json("metrics.json", result.record)
    write_text(creatives_page(result.record, result.seconds), paths.docs / "creatives.md")
    clear_checkpoints(paths)


@_stage
def evaluation(config: EvaluationConfig, paths: Paths, out: Outputs) -> None:
    """The proposed policy, from predictions and a pool of ads, and the evaluation of each of its forms.

    The judged rows are read only if the ledger was charged for it, as `adloom run` does; otherwise the figures are of
    the select slice, on which the policy was chosen.
    """
    from components.evaluation.judging import judge_forms
    from components.policies.policy_choice import choose_policy
    from components.simulator import reward_truth
    from components.workflow.evaluation_files import EvaluationRecord, write_evaluation
    from components.workflow.evaluation_inputs import read_evaluation_inputs

    inputs = read_evaluation_inputs(config, paths)
    card, window = inputs.card, inputs.card.conversion_window_days
    charged = is_charged(evaluation_key(expected_manifest("evaluation", config, paths)), paths)
    chosen = choose_policy(inputs.learned, inputs.tables, inputs.pool, inputs.select_slice(), config.policy)
    policy = chosen.policy
    rows = inputs.rows(charged, config.exclude_bots)
    truth = None if card.simulator is None else reward_truth(card.simulator, inputs.tables, inputs.reward.name, window)
    forms = judge_forms(policy, rows, config, inputs.judging_tables(rows, charged, truth))
    out.files("policy", policy.files())
    record = EvaluationRecord(forms, chosen, charged, inputs.reward, window, card.simulator is not None)
    write_evaluation(record, config, paths, out)


@_stage
def promotion(config: PromotionConfig, paths: Paths, out: Outputs) -> None:
    """The candidate policy as one package, and its decision, from three verdicts and the registry's snapshot."""
    from components.evaluation.gate.ledger import share_of
    from components.evaluation.rewards import Reward
    from components.registry.decision import Evidence, Gate, decide, page
    from components.registry.experiment_plan import experiment_page, plan_experiment
    from components.workflow.pool_files import shows_generated

    for source, target in PACKAGE.items():
        out.copy(paths.artifacts / source, f"policy/{target}" if target else "policy")
    candidate, champion = out.package_digest("policy"), digest_if_present(paths.champion)
    question = current_question(config, paths)
    place = ledger_place(question, paths)
    evaluated = read_json(paths.stage("evaluation") / "evaluation.json")
    evidence = Evidence(
        interest=Gate.of(read_json(paths.stage("interest") / "metrics.json")),
        creatives=Gate.of(read_json(paths.stage("creatives") / "metrics.json")["gate"]),
        new_creatives=shows_generated(out.folder / "policy"),
        forms=tuple(evaluated["forms"]),
        question=question,
        alpha=share_of(config.alpha, place) if place is not None and evaluated["judged"] else None,
        candidate=candidate,
        champion=champion,
        reward=Reward(**evaluated["reward"]),
    )
    decision = decide(evidence, config)
    out.json("decision.json", decision.to_dict())
    report = page(decision)
    if decision.action == "promote":
        assessed = evidence.record(decision.acts)
        plan = plan_experiment(candidate, champion, assessed, evidence.reward, evaluated["conversion_window_days"])
        out.json("experiment.json", plan.to_dict())
        out.text("experiment.md", experiment_page(plan))
        report = f"{report}\n{experiment_page(plan)}"
    write_text(report, paths.docs / "promotion.md")

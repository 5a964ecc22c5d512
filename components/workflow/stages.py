"""The six stages, each `stage(config, paths) -> None`: read, call, write. `run_stage.run` runs them.

A stage imports what it calls within its function, so that a stage without networks starts without TensorFlow.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import asdict

from components.contract.escaping import markdown
from components.contract.files.tables import read_frame, read_json, write_text
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
from components.workflow import pages
from components.workflow.caching import (
    asked_question,
    charged_place,
    digest_of,
    due,
    evaluation_key,
    is_charged,
)
from components.workflow.stage_outputs import Outputs

log = logging.getLogger("adloom")

# What a policy consists of, in the stages' folders and in its package: enough to act and to be judged again later.
PACKAGE = {"interest/model": "model", "creatives/pool": "pool", "evaluation/policy": ""}


def _stage(function: Callable[[Section, Paths, Outputs], None]) -> Callable[[Section, Paths], None]:
    """Give a stage its outputs, and write the manifest of what it read when it began once it has written them."""

    @functools.wraps(function)
    def stage(config: Section, paths: Paths) -> None:
        expected = due(function.__name__, config, paths)
        out = Outputs(paths.stage(function.__name__))
        function(config, paths, out)
        out.finish(expected)

    return stage


@_stage
def validation(config: ValidationConfig, paths: Paths, out: Outputs) -> None:
    """Raw tables -> the rows that hold the contract, those in quarantine, and the report."""
    from components.contract.card import NAME as CARD
    from components.contract.card import write_card
    from components.contract.time_window import cut
    from components.contract.validation.data_docs import page, render
    from components.contract.validation.data_report import DataRefused
    from components.contract.validation.validate import load_dataset, validate

    tables, card = cut(*load_dataset(paths.data, config.as_of), config)
    try:
        checked = validate(tables, card, config)
    except DataRefused as refused:  # the pages show why, and nothing downstream is touched
        try:
            render(refused, paths.docs / "data_docs")
        except Exception as error:  # the reason counts for more than its pages
            log.warning("the pages of %s could not be made: %s", paths.docs / "data_docs", error)
        raise refused from None
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
    from components.workflow.stage_inputs import FEATURES_READ, chosen_encoder, validated

    encoder = chosen_encoder(config)
    tables, card = validated(paths, FEATURES_READ)
    model = fit_features(tables, config, card.ends_at, encoder)
    built = build_features(model, tables, config)
    out.table("impressions.parquet", built.impressions)
    out.table("creatives.parquet", built.creatives)
    out.table("creatives_earlier.parquet", built.earlier)
    out.table("shopper_profiles.parquet", built.shopper_profiles)
    out.files("model", model.files())
    out.json("messages.json", list(built.messages))
    write_text(pages.features(built), paths.docs / "features.md")


@_stage
def interest(config: InterestConfig, paths: Paths, out: Outputs) -> None:
    """Features -> a calibrated model of interest, and its P(click) for every pair that selects or judges a policy."""
    from components.interest import predict_pairs, train_halves, train_interest
    from components.policies.eligible import eligible_pairs
    from components.workflow.stage_inputs import built_features, validated

    tables, _ = validated(paths)
    model, built = built_features(paths)
    trained = train_interest(built, config)
    pairs = eligible_pairs(tables, built.held_out())
    out.table("predictions.parquet", pairs.assign(p_click=predict_pairs(trained.champion, built, pairs)))
    out.files("model/interest", trained.champion.files())
    out.files("model/features", model.files())
    if model.traits.look is not None:  # what pictures are personalised by
        for number, each in enumerate(train_halves(built, config)):
            out.files(f"model/halves/{number}", each.files())
    out.json("metrics.json", trained.to_dict())
    write_text(pages.interest(trained.to_dict()), paths.docs / "interest.md")


@_stage
def creatives(config: CreativesStageConfig, paths: Paths, out: Outputs) -> None:
    """Photos -> trained generators, judged, and a pool of new creatives that the model of interest ranks."""
    from components.ads.ad_sizes import ad_sizes
    from components.ads.admission import Standards
    from components.ads.admitted_texts import admitted_texts
    from components.ads.audience_score import audience_score
    from components.ads.contact_sheets import ad_names, ads, ads_board, board, caption_board, known_texts
    from components.ads.copy_choice import wordings
    from components.ads.pool import fill_pool
    from components.contract.files.digests import digest_package
    from components.generators.build_training import origin
    from components.generators.generator_kinds import check_families
    from components.generators.photos.preprocessing import augment, denoise
    from components.generators.photos.training_photos import NoNewPictures, training_photos
    from components.generators.pretrained import adopt
    from components.generators.quality.photo_manifold import FILE as BOUNDS
    from components.generators.quality.quality_review import review
    from components.generators.text_to_image.text_encoders import encoder
    from components.generators.text_to_image.text_to_image import WORDS, literacy, teach
    from components.interest import CalibratedModel
    from components.interest.segment_scores import draw_audience
    from components.workflow.checkpointed_training import clear_checkpoints, train
    from components.workflow.local_folders import digests, taken
    from components.workflow.stage_inputs import built_features, files_in, validated

    check_families(config)
    sizes = ad_sizes(config.ads.sizes)
    tables, _ = validated(paths)
    model, built = built_features(paths)
    try:
        photos, test, remarks = training_photos(tables, built, config.side)
    except NoNewPictures as why:
        record = {"generators": {}, "gate": None, "pool": 0, "remarks": [f"no new pictures were made: {why}"]}
        out.json("metrics.json", record)
        write_text(pages.creatives(record, {}), paths.docs / "creatives.md")
        return
    written, unwritten = admitted_texts(tables, Standards(banned_words=config.ads.banned_words))
    photos, test = denoise(photos, config.denoise), test and denoise(test, config.denoise)
    lessons = augment(photos, config.augment)
    adopted = taken(config, "pretrained", lambda files: adopt(files, photos))
    words = taken(config, "text_encoder", encoder)
    trained = {origin(name): train(name, lessons, config, paths) for name in config.generators}
    generators = {name: each.generator for name, each in trained.items()} | adopted
    judged = review(generators, photos, test, config, model.network)
    for name in judged.passing() or generators:
        out.files(f"model/{name}", (trained | adopted)[name].files())
    best = judged.leading()
    scorer = paths.stage("interest") / "model"
    audience = draw_audience(built, photos.segments, config.audience, config.seed)
    about = {"best": best, "texts": known_texts(written), "max_attempts": config.max_attempts}
    about["sizes"] = list(config.ads.sizes)
    about |= {"campaigns": wordings(written), "interest": digest_package(scorer)}
    out.json("model/about.json", about)
    out.table("model/audience.parquet", audience)
    out.files("model", {BOUNDS: judged.manifold.bounds.to_bytes()})
    out.files("boards", {f"{name}.png": board(generator) for name, generator in generators.items()})
    if config.reader_steps:
        reading = teach(generators[best], photos, judged.classifier, config.seed, config.reader_steps, words)
        remarks = (*remarks, literacy(reading, config.seed))
        out.files(f"model/{WORDS}", reading.words())
        out.files("boards", {"captions.png": caption_board(reading, attempts=config.max_attempts)})
    pool = None
    if judged.passing():
        score = audience_score(CalibratedModel.from_files(files_in(scorer / "interest")), model, audience, tables)
        makers = [generators[name] for name in judged.passing()]
        standards = Standards(judged.manifold, config.duplicate_fraction, config.ads.banned_words)
        try:
            pool = fill_pool(written, makers, standards, score, config.pool_per_campaign, seed=config.seed)
        except NoNewPictures as why:
            remarks = (*remarks, f"no new pictures were made: {why}")
    else:
        remarks = (*remarks, "no new pictures were made: no generator passed the gate")
    if pool is not None and len(pool.creatives):
        for name in ("creatives", "images", "ranking"):
            out.table(f"pool/{name}.parquet", getattr(pool, name))
        for size, drawn in ads(pool, tables["campaigns"], sizes).items():
            out.files("pool/ads", drawn)
            out.files("boards", {f"ads-{size.name}.png": ads_board(drawn)})
        out.json("pool/ads.json", ad_names(pool, sizes))
    record = {
        "generators": {name: each.to_dict() for name, each in trained.items()},
        **judged.to_dict(),
        "remarks": [
            *remarks,
            *unwritten,
            *(each.start for each in trained.values() if each.start),
            *(f"creatives.{name}: from a local folder, digest {it}" for name, it in digests(config).items()),
            *(pool.remarks() if pool else ()),
        ],
        "pool": 0 if pool is None else len(pool.creatives),
    }
    out.json("metrics.json", record)
    seconds = {name: each.summary.seconds for name, each in trained.items()}
    write_text(pages.creatives(record, seconds), paths.docs / "creatives.md")
    clear_checkpoints(paths)


@_stage
def evaluation(config: EvaluationConfig, paths: Paths, out: Outputs) -> None:
    """Predictions and a pool -> the policy that is proposed, and what each of its forms would have earned.

    The judged rows are looked at only where the ledger was charged for it, as `adloom run` does; else the figures are
    of the select slice, on which the policy was chosen.
    """
    from components.evaluation.held_out import JUDGE, SELECT, consenting, held_out, later_than, without
    from components.evaluation.judging import bots_before, judge
    from components.evaluation.log_checks.leakage import leakage_findings
    from components.evaluation.reports.evaluation_report import page, picture, picture_name
    from components.policies.proposal import Learned, propose
    from components.simulator import truth
    from components.workflow.deployed_policy import read_champion
    from components.workflow.stage_inputs import built_features, validated
    from components.workflow.stage_models import interest_model, pool_creatives

    tables, card = validated(paths)
    model, built = built_features(paths)
    pairs = read_frame(paths.stage("interest") / "predictions.parquet")
    champion = read_champion(paths)
    baseline = None if champion is None else lambda rows, own: champion.probabilities(tables, rows, own)
    selecting, judging = (held_out(tables, built, pairs, split, baseline) for split in (SELECT, JUDGE))
    if champion is not None:
        judging = later_than(judging, champion.package.acting.learned_until)
    learned = Learned(model, built, interest_model(paths))
    choice = consenting(selecting).selecting(len(judging.impressions))
    policy, promised = propose(learned, tables, pool_creatives(paths), choice, config.policy)
    judged = is_charged(evaluation_key(due("evaluation", config, paths)), paths)
    rows = judging if judged else selecting
    since = model.splits.starts(JUDGE if judged else SELECT)
    if config.exclude_bots:
        rows = without(rows, bots_before(tables["impressions"][tables["impressions"]["timestamp"] < since]))
    quarantined = read_frame(paths.stage("validation") / "quarantine" / "impressions.parquet")
    lost = quarantined[model.splits.may_judge(quarantined)] if judged else quarantined.head(0)
    click = None if card.world is None else truth(card.world, tables)
    own = tables["impressions"].merge(rows.impressions[["impression_id"]], on="impression_id")
    about = {"creatives": built.creatives_at(since), "tables": tables, "lost": lost, "click": click}
    about["findings"] = leakage_findings(tables, own)
    forms, report, drawn = {}, [pages.slice_judged(judged)], {}
    for form in policy.acting.forms:
        target, charge = policy.acts(form, rows.impressions, rows.pairs, rows.offsets)
        forms[form] = judge(rows, target, charge, config, **about)
        for name, found in forms[form].logs.items():
            known = forms[form].truths[name]
            report.append(f"# {form}, on what {markdown(name)} logged\n\n{page(found)}{pages.truth(known)}")
            drawn[picture_name(form, name)] = picture(found.evaluation, known and known["target"])
    guards = {"guard_bound": config.guard_bound, "segment_bound": config.segment_bound}
    record = [{"form": form, "guards": guards, **found.to_dict()} for form, found in forms.items()]
    offered = {form: [asdict(each) for each in of_form] for form, of_form in promised.items()}
    noted = {"judged": judged, "conversion_window_days": card.conversion_window_days}
    out.files("policy", policy.files())
    out.json("evaluation.json", {**noted, "forms": record, "temperatures": offered})
    out.json("truth.json", {form: found.truths for form, found in forms.items()})
    out.files("pictures", drawn)
    out.text("estimates.csv", pages.estimates(record))
    write_text(
        "\n".join([*report, pages.temperatures(policy.acting.temperatures, offered)]), paths.docs / "evaluation.md"
    )


@_stage
def promotion(config: PromotionConfig, paths: Paths, out: Outputs) -> None:
    """Three verdicts and the registry's snapshot -> the candidate policy as one package, and the decision about it."""
    from components.evaluation.gate.ledger import share_of
    from components.registry.decision import Evidence, Gate, decide, page
    from components.registry.experiment_plan import experiment_page, plan_experiment

    for source, target in PACKAGE.items():
        out.copy(paths.artifacts / source, f"policy/{target}" if target else "policy")
    candidate, champion = digest_of(out.folder / "policy"), digest_of(paths.champion)
    question = asked_question(config, paths)
    place = charged_place(question, paths)
    evaluated = read_json(paths.stage("evaluation") / "evaluation.json")
    evidence = Evidence(
        interest=Gate.of(read_json(paths.stage("interest") / "metrics.json")),
        creatives=Gate.of(read_json(paths.stage("creatives") / "metrics.json")["gate"]),
        new_creatives=(out.folder / "policy" / "pool").exists(),
        forms=tuple(evaluated["forms"]),
        question=question,
        alpha=share_of(config.alpha, place) if place is not None and evaluated["judged"] else None,
        candidate=candidate,
        champion=champion,
    )
    decision = decide(evidence, config)
    out.json("decision.json", decision.to_dict())
    report = page(decision)
    if decision.action == "promote":
        assessed = evidence.record(decision.acts)
        plan = plan_experiment(candidate, champion, assessed, evaluated["conversion_window_days"])
        out.json("experiment.json", plan.to_dict())
        out.text("experiment.md", experiment_page(plan))
        report = f"{report}\n{experiment_page(plan)}"
    write_text(report, paths.docs / "promotion.md")

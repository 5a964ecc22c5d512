"""Whether a stage must run: its manifest compared with the current inputs, settings, code and champion snapshot.

A manifest is valid only with the files that it lists: a stage that was interrupted, or whose files were altered or
deleted, is never fresh, and no later stage reads it.
"""

import dataclasses

from upath import UPath

from components.contract.files.digests import digest_bytes, digest_json, digest_package, digest_tree
from components.contract.files.tables import read_json
from components.evaluation.gate.boundaries import Boundary
from components.settings.errors import UserError
from components.settings.paths import ROOT, Paths
from components.settings.sections import CreativesStageConfig, FeaturesConfig, PromotionConfig, Section
from components.workflow.caching.local_folders import folder_digests
from components.workflow.caching.manifests import Manifest, digest_code, read_manifest
from components.workflow.caching.stage_graph import GRAPH
from components.workflow.stage_inputs import encoder_file


def expected_manifest(name: str, config: Section, paths: Paths) -> Manifest:
    """The manifest that a run of stage `name` would have now, without its outputs.

    UserError if a stage that it reads has not run, or its files do not match its manifest, or a folder that the
    settings name does not exist.
    """
    inputs = {stage: digest_json(dict(_finished(stage, name, paths).outputs)) for stage in GRAPH[name].reads}
    if name == "validation":
        inputs["data"] = digest_json(digest_tree(paths.data))
        inputs["expectations"] = digest_json(digest_tree(UPath(ROOT) / "expectations"))
    if isinstance(config, FeaturesConfig) and config.encoder is not None:
        inputs["encoder"] = digest_bytes(encoder_file(config))
    if isinstance(config, CreativesStageConfig):
        inputs |= folder_digests(config)
        if paths.reviews.exists():
            inputs["reviews"] = digest_bytes(paths.reviews.read_bytes())
        if config.warm_start:
            inputs["champion_generators"] = digest_json(digest_tree(paths.champion_generators))
    if name in ("evaluation", "promotion"):
        inputs["champion"] = digest_json([digest_tree(paths.champion), _record(paths)])
    code = digest_code(GRAPH[name].code)
    manifest = Manifest(stage=name, settings=settings_digest(config), code=code, inputs=inputs, outputs={})
    if name == "evaluation":
        return _with_ledger(manifest, is_charged(evaluation_key(manifest), paths))
    if name == "promotion":
        return _with_ledger(manifest, ledger_place(current_question(config, paths), paths))
    return manifest


def settings_digest(config: Section) -> str:
    """The digest of a stage's settings in its manifest."""
    return digest_json(config.model_dump(mode="json"))


def is_fresh(expected: Manifest, paths: Paths) -> bool:
    """Whether the stage's folder holds the unchanged outputs of a run with the manifest `expected`."""
    folder = paths.stage(expected.stage)
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    if "champion" in expected.inputs and _is_promoted(paths):
        # these outputs became the champion, which is not judged against itself
        before = {key: manifest.inputs[key] for key in ("champion", "ledger") if key in manifest.inputs}
        expected = dataclasses.replace(expected, inputs={**expected.inputs, **before})
    return is_made_by(expected, manifest) and not _changed_files(manifest, folder)


def is_made_by(expected: Manifest, manifest: Manifest) -> bool:
    """Whether `manifest` is of a run with the manifest `expected`.

    If the generators of a warm start became the champion since, the stage does not run again from them: without new
    photos it would train on every night.
    """
    model = {
        name.removeprefix("model/"): digest for name, digest in manifest.outputs.items() if name.startswith("model/")
    }
    if expected.inputs.get("champion_generators") == digest_json(model):
        start = {"champion_generators": manifest.inputs.get("champion_generators")}
        expected = dataclasses.replace(expected, inputs={**expected.inputs, **start})
    return manifest.same_work(expected)


def evaluation_key(manifest: Manifest) -> str:
    """The key of an evaluation: its inputs, settings and code, but not whether the ledger was charged."""
    inputs = {name: digest for name, digest in manifest.inputs.items() if name != "ledger"}
    return digest_json([manifest.settings, manifest.code, inputs])[:24]


REFRESH = ("refresh", "refresh_margin", "refresh_forgetting")  # settings of `promotion` that ask nothing of the ledger


def question_of(evaluation: str, promotion: PromotionConfig) -> str:
    """The ledger's key of a question: the evaluation (`evaluation_key`), and the settings of its decision.

    `promotion.approval` and the settings of refreshes are not part of it, because they change no number. The key ends
    with the boundary in words, because a last look has to be planned beforehand.
    """
    settings = promotion.model_dump(mode="json", exclude={"approval", *REFRESH})
    return f"{evaluation}.{digest_json(settings)[:24]} {Boundary.of(promotion).label}"


def current_question(promotion: PromotionConfig, paths: Paths) -> str:
    """The question of the evaluation in its stage's folder."""
    return question_of(evaluation_key(_finished("evaluation", "promotion", paths)), promotion)


def is_charged(evaluation: str, paths: Paths) -> bool:
    """Whether the ledger was charged for a question about this evaluation, so that the judged rows may be looked at."""
    return any(question.startswith(f"{evaluation}.") for question in ledger_questions(paths))


def ledger_place(question: str, paths: Paths) -> int | None:
    """The place of `question` in the ledger's snapshot, from 0; None if it was never charged."""
    questions = ledger_questions(paths)
    return questions.index(question) if question in questions else None


def ledger_questions(paths: Paths) -> list[str]:
    """The questions in the ledger's snapshot, in order."""
    return read_json(paths.ledger) if paths.ledger.exists() else []


def digest_if_present(package: UPath) -> str | None:
    """The digest that identifies a registered version of the package; None if there is no package."""
    return digest_package(package) if package.exists() else None


def _is_promoted(paths: Paths) -> bool:
    """Whether the champion is the candidate in this data set's artifacts."""
    champion = digest_if_present(paths.champion)
    return champion is not None and champion == digest_if_present(paths.stage("promotion") / "policy")


def _record(paths: Paths) -> object:
    return read_json(paths.champion_record) if paths.champion_record.exists() else None


def _with_ledger(manifest: Manifest, state: object) -> Manifest:
    return dataclasses.replace(manifest, inputs={**manifest.inputs, "ledger": digest_json(state)})


def _finished(stage: str, reader: str, paths: Paths) -> Manifest:
    """The manifest of a stage that `reader` reads; UserError if it has not run, or its files have changed."""
    folder, dataset = paths.stage(stage), paths.artifacts.name
    manifest, remedy = read_manifest(folder), f"`adloom stage {stage} --dataset {dataset}`"
    if manifest is None:
        raise UserError(
            f"stage {reader} needs stage {stage} of {dataset}, which has not run, or was interrupted: {remedy}"
        )
    changed = _changed_files(manifest, folder)
    if changed:
        raise UserError(
            f"stage {reader} needs stage {stage} of {dataset}, whose files are not those that it wrote "
            f"({folder / changed[0]}{f' and {len(changed) - 1} more' if changed[1:] else ''}): {remedy}"
        )
    return manifest


def _changed_files(manifest: Manifest, folder: UPath) -> list[str]:
    """The names of files in `folder` that are missing, not in the manifest, or different; sorted."""
    files, listed = digest_tree(folder), manifest.outputs
    return sorted(name for name in files.keys() | listed.keys() if files.get(name) != listed.get(name))

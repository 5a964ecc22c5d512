"""Whether a stage must run: its manifest against the inputs, settings, code and champion snapshot of now.

A manifest counts only with the files that it lists: what was cut off, altered or deleted since is never fresh, and no
later stage reads it.
"""

import dataclasses

from upath import UPath

from components.contract.files.digests import digest_bytes, digest_json, digest_package, digest_tree
from components.contract.files.tables import read_json
from components.settings.errors import UserError
from components.settings.paths import ROOT, Paths
from components.settings.sections import PromotionConfig, Section
from components.workflow.caching.local_folders import digests
from components.workflow.caching.manifests import Manifest, digest_code, read_manifest
from components.workflow.caching.stage_graph import GRAPH
from components.workflow.stage_inputs import encoder_file


def due(name: str, config: Section, paths: Paths) -> Manifest:
    """The manifest that a run of stage `name` would have now, but for its outputs.

    Raises UserError where a stage that it reads has not been run or its files are not those of its manifest, or a
    folder that its settings name is not there.
    """
    inputs = {stage: digest_json(dict(_finished(stage, name, paths).outputs)) for stage in GRAPH[name].reads}
    if name == "validation":
        inputs["data"] = digest_json(digest_tree(paths.data))
        inputs["expectations"] = digest_json(digest_tree(UPath(ROOT) / "expectations"))
    if name == "features" and config.encoder is not None:
        inputs["encoder"] = digest_bytes(encoder_file(config))
    if name == "creatives":
        inputs |= digests(config)
        if config.warm_start:
            inputs["champion_generators"] = digest_json(digest_tree(paths.champion_generators))
    if name in ("evaluation", "promotion"):
        inputs["champion"] = digest_json([digest_tree(paths.champion), _record(paths)])
    code = digest_code(GRAPH[name].code)
    manifest = Manifest(stage=name, settings=settings_digest(config), code=code, inputs=inputs, outputs={})
    if name == "evaluation":
        return _with_ledger(manifest, is_charged(evaluation_key(manifest), paths))
    if name == "promotion":
        return _with_ledger(manifest, charged_place(asked_question(config, paths), paths))
    return manifest


def settings_digest(config: Section) -> str:
    """What a manifest says of the settings that a stage ran with."""
    return digest_json(config.model_dump(mode="json"))


def is_fresh(expected: Manifest, paths: Paths) -> bool:
    """Whether the stage's folder holds what a run that is `expected` would write, untouched since."""
    folder = paths.stage(expected.stage)
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    if "champion" in expected.inputs and _is_own_champion(paths):
        # the champion is what these very outputs became: it is not judged against itself
        kept = {key: manifest.inputs[key] for key in ("champion", "ledger") if key in manifest.inputs}
        expected = dataclasses.replace(expected, inputs={**expected.inputs, **kept})
    return is_made_by(expected, manifest) and not _changed_files(manifest, folder)


def is_made_by(expected: Manifest, manifest: Manifest) -> bool:
    """Whether `manifest` is of a run that was `expected`.

    A warm start whose own generators became the champion since is not run again from them: without new photos it would
    else go on training, night after night.
    """
    model = {name.removeprefix("model/"): it for name, it in manifest.outputs.items() if name.startswith("model/")}
    if expected.inputs.get("champion_generators") == digest_json(model):
        begun = {"champion_generators": manifest.inputs.get("champion_generators")}
        expected = dataclasses.replace(expected, inputs={**expected.inputs, **begun})
    return manifest.same_work(expected)


def evaluation_key(manifest: Manifest) -> str:
    """What an evaluation asks: everything that it reads, its settings and its code, whether it was charged or not."""
    inputs = {name: digest for name, digest in manifest.inputs.items() if name != "ledger"}
    return digest_json([manifest.settings, manifest.code, inputs])[:24]


def question_of(evaluation: str, promotion: PromotionConfig) -> str:
    """The ledger's key of a question: the evaluation asked for (`evaluation_key`), and how it would be decided.

    Whether a person approves is no part of it: `promotion.approval` changes no number. When it may be looked at stands
    in words at its end: a last look has to be planned beforehand.
    """
    from components.evaluation.gate.boundaries import Boundary

    rules = promotion.model_dump(mode="json", exclude={"approval"})
    return f"{evaluation}.{digest_json(rules)[:24]} {Boundary.of(promotion).label}"


def asked_question(promotion: PromotionConfig, paths: Paths) -> str:
    """The question of the evaluation that stands in its stage's folder."""
    return question_of(evaluation_key(_finished("evaluation", "promotion", paths)), promotion)


def is_charged(evaluation: str, paths: Paths) -> bool:
    """Whether the ledger was charged for a question about this evaluation, so that the judged rows may be looked at."""
    return any(question.startswith(f"{evaluation}.") for question in asked_questions(paths))


def charged_place(question: str, paths: Paths) -> int | None:
    """Place of `question` in the ledger's snapshot, from 0; None where it was never charged."""
    asked = asked_questions(paths)
    return asked.index(question) if question in asked else None


def asked_questions(paths: Paths) -> list[str]:
    """The ledger's snapshot: every question that the registry's gate was charged for, in order."""
    return read_json(paths.ledger) if paths.ledger.exists() else []


def digest_of(package: UPath) -> str | None:
    """What a registered version of the package is known by; None where there is no package."""
    return digest_package(package) if package.exists() else None


def _is_own_champion(paths: Paths) -> bool:
    champion = digest_of(paths.champion)
    return champion is not None and champion == digest_of(paths.stage("promotion") / "policy")


def _record(paths: Paths) -> object:
    return read_json(paths.champion_record) if paths.champion_record.exists() else None


def _with_ledger(manifest: Manifest, state: object) -> Manifest:
    return dataclasses.replace(manifest, inputs={**manifest.inputs, "ledger": digest_json(state)})


def _finished(stage: str, reader: str, paths: Paths) -> Manifest:
    """The manifest of a stage that `reader` reads; UserError where it has not been run, or its files have changed."""
    folder, dataset = paths.stage(stage), paths.artifacts.name
    manifest, remedy = read_manifest(folder), f"`adloom stage {stage} --dataset {dataset}`"
    if manifest is None:
        raise UserError(
            f"stage {reader} needs stage {stage} of {dataset}, which has not been run, or was cut off: {remedy}"
        )
    changed = _changed_files(manifest, folder)
    if changed:
        raise UserError(
            f"stage {reader} needs stage {stage} of {dataset}, whose files are not those that it wrote "
            f"({folder / changed[0]}{f' and {len(changed) - 1} more' if changed[1:] else ''}): {remedy}"
        )
    return manifest


def _changed_files(manifest: Manifest, folder: UPath) -> list[str]:
    """Names of files that are missing in `folder`, there without being listed, or different; sorted."""
    files, listed = digest_tree(folder), manifest.outputs
    return sorted(name for name in files.keys() | listed.keys() if files.get(name) != listed.get(name))

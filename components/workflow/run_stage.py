"""Run a stage unless nothing that it depends on has changed; `dvc repro`, the flow and `adloom stage` call this.

The settings are checked first for what `load_settings` cannot check, because packages above `settings` define the kinds
of models and policies: whether they are registered, and whether their settings are valid.
"""

import logging
import time
from collections.abc import Mapping

from components.contract.files.atomic_files import clear_leftovers, recover_folder
from components.interest.model_kinds import MODEL_KINDS, model_kind
from components.policies.policy_kinds import POLICIES, policy_kind
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import KindsSection, Section, Settings
from components.settings.typed_settings import kind_settings
from components.workflow import stages
from components.workflow.caching.freshness import evaluation_key, expected_manifest, is_fresh, question_of
from components.workflow.caching.manifests import Manifest, read_manifest

log = logging.getLogger("adloom")


def run(name: str, settings: Settings, paths: Paths, force: bool = False) -> bool:
    """Run stage `name` unless nothing that it depends on has changed; whether it ran."""
    settings = checked(settings)
    config, label = settings.of_stage(name), f"{paths.artifacts.name} {name}"
    _recover(name, paths)
    if not force and is_fresh(stage_manifest(name, settings, paths), paths):
        log.info("%s: unchanged", label)
        return False
    log.info("%s: running", label)
    start = time.monotonic()
    getattr(stages, name)(config, paths)
    log.info("%s: done in %.1f s", label, time.monotonic() - start)
    return True


def _recover(name: str, paths: Paths) -> None:
    """Undo unfinished changes of killed commands in the folders that stage `name` reads and writes."""
    if name == "validation":
        recover_folder(paths.data)
    clear_leftovers(paths.artifacts)


def stage_manifest(name: str, settings: Settings, paths: Paths) -> Manifest:
    """The manifest that a run of stage `name` would have now, without its outputs."""
    return expected_manifest(name, checked(settings).of_stage(name), paths)


def question(settings: Settings, paths: Paths) -> str:
    """The ledger's key of the question that evaluation and promotion ask with these inputs, settings and code."""
    expected = stage_manifest("evaluation", settings, paths)
    written = read_manifest(paths.stage("evaluation"))
    # a fresh evaluation, such as the one that made the present champion, keeps its question
    manifest = written if written is not None and is_fresh(expected, paths) else expected
    return question_of(evaluation_key(manifest), settings.promotion)


def checked(settings: Settings) -> Settings:
    """`settings` with the settings of every kind typed and complete, so that equal settings have equal digests.

    UserError if a kind is not registered or has an unknown setting.
    """
    for name in settings.interest.models:
        model_kind(name)
    interest = _typed(settings.interest, "interest", {name: kind.settings for name, kind in MODEL_KINDS.items()})
    _check_errors(settings)
    policies = {name: kind.settings for name, kind in POLICIES.items()}
    policy = _typed(settings.evaluation.policy, "evaluation.policy", policies)
    evaluation = settings.evaluation.model_copy(update={"policy": policy})
    return settings.model_copy(update={"interest": interest, "evaluation": evaluation})


def _check_errors(settings: Settings) -> None:
    """UserError if a policy is not registered, or needs standard errors that a chosen interest model lacks."""
    without = [model for model in settings.interest.models if not model_kind(model).has_errors]
    policies = settings.evaluation.policy
    needing = [policies.name] if policy_kind(policies.name).needs_errors else []
    others = [one.name for one in policies.candidates if one.name is not None]
    needing += [name for name in others if policy_kind(name, "evaluation.policy.candidates").needs_errors]
    if needing and without:
        known = [model for model in settings.interest.models if model not in without]
        known = known or [model for model, kind in MODEL_KINDS.items() if kind.has_errors]
        raise UserError(
            f"evaluation.policy.name: {needing[0]} needs the standard errors of the scores, and the interest model "
            f"{without[0]} gives none; set interest.models=[{', '.join(known)}], or choose another policy"
        )


def _typed(section: KindsSection, path: str, kinds: Mapping[str, type[Section]]) -> KindsSection:
    """`section`, at the dotted `path` of the settings, with a sub-section for every kind."""
    for name in section.model_extra:
        if name not in kinds:
            raise UserError(f"{path}.{name}: no kind of this name is registered; there are {', '.join(kinds)}")
    typed = {name: kind_settings(section, path, name, kind) for name, kind in kinds.items()}
    return section.model_copy(update=typed)

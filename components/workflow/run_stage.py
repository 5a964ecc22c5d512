"""Run a stage unless nothing that it depends on has changed: what `dvc repro`, the flow and `adloom stage` all call.

Settings are checked first for what `load_settings` cannot tell, for kinds of models and policies stand in packages
above `settings`: whether they are registered, and whether their own settings are right.
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
from components.workflow.caching.freshness import due, evaluation_key, is_fresh, question_of
from components.workflow.caching.manifests import Manifest, read_manifest

log = logging.getLogger("adloom")


def run(name: str, settings: Settings, paths: Paths, force: bool = False) -> bool:
    """Run stage `name` unless nothing it depends on has changed; say whether it ran."""
    settings = checked(settings)
    config, label = settings.of_stage(name), f"{paths.artifacts.name} {name}"
    _recover(name, paths)
    if not force and is_fresh(expected(name, settings, paths), paths):
        log.info("%s: unchanged", label)
        return False
    log.info("%s: running", label)
    begun = time.monotonic()
    getattr(stages, name)(config, paths)
    log.info("%s: done in %.1f s", label, time.monotonic() - begun)
    return True


def _recover(name: str, paths: Paths) -> None:
    """Undo what killed commands began in the folders that stage `name` reads and writes."""
    if name == "validation":
        recover_folder(paths.data)
    clear_leftovers(paths.artifacts)


def expected(name: str, settings: Settings, paths: Paths) -> Manifest:
    """The manifest that a run of stage `name` would have now, but for its outputs."""
    return due(name, checked(settings).of_stage(name), paths)


def question(settings: Settings, paths: Paths) -> str:
    """What the ledger knows the question by that evaluation and promotion ask of these inputs, settings and code."""
    asked = expected("evaluation", settings, paths)
    standing = read_manifest(paths.stage("evaluation"))
    # of a champion that is judged no further, the question is the one that made it champion
    asks = standing if standing is not None and is_fresh(asked, paths) else asked
    return question_of(evaluation_key(asks), settings.promotion)


def checked(settings: Settings) -> Settings:
    """`settings` with the own settings of every kind typed and complete, so that equal ones have equal digests.

    UserError names a kind that is not registered, or a setting that its kind does not know.
    """
    for name in settings.interest.models:
        model_kind(name)
    interest = _typed(settings.interest, "interest", {name: kind.settings for name, kind in MODEL_KINDS.items()})
    policy_kind(settings.evaluation.policy.name)
    policies = {name: kind.settings for name, kind in POLICIES.items()}
    policy = _typed(settings.evaluation.policy, "evaluation.policy", policies)
    evaluation = settings.evaluation.model_copy(update={"policy": policy})
    return settings.model_copy(update={"interest": interest, "evaluation": evaluation})


def _typed(section: KindsSection, place: str, kinds: Mapping[str, type[Section]]) -> KindsSection:
    """`section`, which stands at `place`, with the sub-section of every kind."""
    for name in section.model_extra:
        if name not in kinds:
            raise UserError(f"{place}.{name}: no kind of this name is registered; there are {', '.join(kinds)}")
    typed = {name: kind_settings(section, place, name, expected) for name, expected in kinds.items()}
    return section.model_copy(update=typed)

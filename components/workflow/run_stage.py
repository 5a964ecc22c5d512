"""Run a stage unless nothing that it depends on has changed: what `dvc repro`, the flow and `adloom stage` all call."""

import logging
import time

from components.contract.files.atomic_files import clear_leftovers, recover_folder
from components.settings.paths import Paths
from components.settings.sections import Settings
from components.workflow import stages
from components.workflow.caching import due, evaluation_key, is_fresh, question_of
from components.workflow.manifests import Manifest, read_manifest

log = logging.getLogger("adloom")


def run(name: str, settings: Settings, paths: Paths, force: bool = False) -> bool:
    """Run stage `name` unless nothing it depends on has changed; say whether it ran."""
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
    return due(name, settings.of_stage(name), paths)


def question(settings: Settings, paths: Paths) -> str:
    """What the ledger knows the question by that evaluation and promotion ask of these inputs, settings and code."""
    asked = expected("evaluation", settings, paths)
    standing = read_manifest(paths.stage("evaluation"))
    # of a champion that is judged no further, the question is the one that made it champion
    asks = standing if standing is not None and is_fresh(asked, paths) else asked
    return question_of(evaluation_key(asks), settings.promotion)

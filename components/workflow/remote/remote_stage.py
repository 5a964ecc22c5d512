"""The creatives stage on a machine without a shared disk: inputs and outputs pass through an object store.

The order records the digests of the inputs, settings and code to run with. The other machine compares them before it
trains, and this one again before it takes the outputs over, with the manifest last.
"""

import shutil
import tempfile
from pathlib import Path

from upath import UPath

from components.contract.files.digests import digest_tree
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import Section, Settings
from components.workflow import run_stage
from components.workflow.caching.freshness import is_fresh, is_made_by
from components.workflow.caching.local_folders import folder_digests
from components.workflow.caching.manifests import Manifest, read_manifest
from components.workflow.caching.stage_graph import GRAPH
from components.workflow.remote.object_store import open_object_store, receive, send
from components.workflow.stage_outputs import Outputs

STAGE = "creatives"
PAGE = f"docs/{STAGE}.md"


class StageOrder(Section):
    """An order to run the stage on another machine.

    store: URL. inputs: digest of their parcel. settings, code: digests as in a manifest. folders: by setting, the
    digest of the local folder that it names; both machines must have the same files in it.
    """

    store: str
    inputs: str
    settings: str
    code: str
    folders: dict[str, str]


def must_run(settings: Settings, paths: Paths) -> bool:
    """Whether anything that the stage depends on has changed since its last run."""
    return not is_fresh(run_stage.stage_manifest(STAGE, settings, paths), paths)


def hand_over(settings: Settings, paths: Paths) -> StageOrder:
    """The order for the other machine, after sending the stage's inputs to the configured store."""
    url = settings.creatives.store
    if url is None:
        raise UserError(
            "creatives.pool is gpu, so creatives.store must name the folder or bucket that both workers reach"
        )
    expected = run_stage.stage_manifest(STAGE, settings, paths)
    names = [f"{stage}/{name}" for stage in GRAPH[STAGE].reads for name in digest_tree(paths.stage(stage), skip=())]
    if settings.creatives.warm_start:
        snapshot = paths.champion_generators
        names += [f"{snapshot.name}/{name}" for name in digest_tree(snapshot, skip=())]
    names += [paths.reviews.name] if paths.reviews.exists() else []
    inputs, folders = send(paths.artifacts, names, open_object_store(url)), folder_digests(settings.creatives)
    return StageOrder(store=url, inputs=inputs, settings=expected.settings, code=expected.code, folders=folders)


def carry_out(order: StageOrder, settings: Settings, paths: Paths) -> str:
    """The digest of the outputs' parcel, after fetching the inputs, running the stage and sending its outputs.

    This runs on the other machine. UserError, before any training, if this clone's code, its settings, or the files in
    the local folders that they name are not those of the order.
    """
    store = open_object_store(order.store)
    shutil.rmtree(paths.champion_generators, ignore_errors=True)  # of an earlier order
    paths.reviews.unlink(missing_ok=True)
    _delete_others(receive(order.inputs, store, paths.artifacts), paths)
    expected = run_stage.stage_manifest(STAGE, settings, paths)
    for kind in ("code", "settings"):
        if getattr(expected, kind) != getattr(order, kind):
            raise UserError(
                f"the {kind} of stage {STAGE} on this worker differ from those of the run that ordered it; "
                "bring both clones to one commit and one params.yaml"
            )
    folders = folder_digests(settings.creatives)
    different = [name for name in {**order.folders, **folders} if order.folders.get(name) != folders.get(name)]
    if different:
        raise UserError(
            f"creatives.{different[0]} does not name the same files on this worker as on the machine of the run; "
            "put a copy of that folder in the same place on both machines"
        )
    run_stage.run(STAGE, settings, paths)
    outputs = [f"{STAGE}/{name}" for name in digest_tree(paths.stage(STAGE), skip=())]
    return send(paths.artifacts, [*outputs, PAGE], store)


def _delete_others(names: tuple[str, ...], paths: Paths) -> None:
    """Delete files of earlier orders, which are not among `names`, from the folders of the input stages.

    A model consists of all files in its folder, so they would become part of it.
    """
    for stage in GRAPH[STAGE].reads:
        for file in [path for path in paths.stage(stage).rglob("*") if path.is_file()]:
            if file.relative_to(paths.artifacts).as_posix() not in names:
                file.unlink()


def take_over(outputs: str, order: StageOrder, settings: Settings, paths: Paths) -> None:
    """Copy the other machine's outputs into the stage's folder, with the manifest last.

    Every file is checked before the first one is copied; UserError if one is wrong.
    """
    expected = run_stage.stage_manifest(STAGE, settings, paths)
    with tempfile.TemporaryDirectory() as scratch:
        arrived = UPath(Path(scratch))
        receive(outputs, open_object_store(order.store), arrived)
        _check(read_manifest(arrived / STAGE), expected, arrived)
        out = Outputs(paths.stage(STAGE))
        for name in digest_tree(arrived / STAGE):
            out.copy(arrived / STAGE / name, name)
        Outputs(paths.artifacts).copy(arrived / PAGE, PAGE)
        out.finish(expected)


def _check(manifest: Manifest | None, expected: Manifest, arrived: UPath) -> None:
    outputs = digest_tree(arrived / STAGE)
    if manifest is None or not is_made_by(expected, manifest) or dict(manifest.outputs) != outputs:
        raise UserError(
            f"the other machine's files are not the outputs of stage {STAGE} on these inputs, settings and code; "
            "nothing was taken over. Run again"
        )

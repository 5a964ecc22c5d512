"""The creatives stage on a machine that shares no disk: its inputs go out by a store, its outputs come back by it.

The order says which inputs, settings and code the work is due from; the other machine compares before it trains, and
this one again before it takes the outputs over, manifest last.
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
from components.workflow.caching.local_folders import digests
from components.workflow.caching.manifests import Manifest, read_manifest
from components.workflow.caching.stage_graph import GRAPH
from components.workflow.remote.object_store import open_store, receive, send
from components.workflow.stage_outputs import Outputs

STAGE = "creatives"
PAGE = f"docs/{STAGE}.md"


class Order(Section):
    """Work for another machine. store: URL; inputs: their parcel's digest; settings, code: digests as in a manifest;
    folders: setting -> digest of what lies in the local folder that it names, and must lie there on both machines."""

    store: str
    inputs: str
    settings: str
    code: str
    folders: dict[str, str]


def is_due(settings: Settings, paths: Paths) -> bool:
    """Whether anything that the stage depends on has changed since its outputs were made."""
    return not is_fresh(run_stage.expected(STAGE, settings, paths), paths)


def hand_over(settings: Settings, paths: Paths) -> Order:
    """Leave the stage's inputs in the configured store; the order for the machine that does the work."""
    url = settings.creatives.store
    if url is None:
        raise UserError(
            "creatives.pool is gpu, so creatives.store must name the folder or bucket that both workers reach"
        )
    due = run_stage.expected(STAGE, settings, paths)
    names = [f"{stage}/{name}" for stage in GRAPH[STAGE].reads for name in digest_tree(paths.stage(stage), skip=())]
    if settings.creatives.warm_start:
        snapshot = paths.champion_generators
        names += [f"{snapshot.name}/{name}" for name in digest_tree(snapshot, skip=())]
    inputs, folders = send(paths.artifacts, names, open_store(url)), digests(settings.creatives)
    return Order(store=url, inputs=inputs, settings=due.settings, code=due.code, folders=folders)


def carry_out(order: Order, settings: Settings, paths: Paths) -> str:
    """On the other machine: fetch the inputs, run the stage, leave its outputs; the digest of their parcel.

    Raises UserError, before anything is trained, where this clone's code, its settings, or what lies in the local
    folders that they name are not those of the order.
    """
    store = open_store(order.store)
    shutil.rmtree(paths.champion_generators, ignore_errors=True)  # an earlier night's
    _leave_only(receive(order.inputs, store, paths.artifacts), paths)
    due = run_stage.expected(STAGE, settings, paths)
    for kind in ("code", "settings"):
        if getattr(due, kind) != getattr(order, kind):
            raise UserError(
                f"the {kind} of stage {STAGE} on this worker differ from those of the run that asked for it; "
                "bring both clones to one commit and one params.yaml"
            )
    here = digests(settings.creatives)
    other = [name for name in {**order.folders, **here} if order.folders.get(name) != here.get(name)]
    if other:
        raise UserError(
            f"creatives.{other[0]} does not name the same files on this worker as where the run was asked for; "
            "put a copy of that folder in the same place on both machines"
        )
    run_stage.run(STAGE, settings, paths)
    outputs = [f"{STAGE}/{name}" for name in digest_tree(paths.stage(STAGE), skip=())]
    return send(paths.artifacts, [*outputs, PAGE], store)


def _leave_only(names: tuple[str, ...], paths: Paths) -> None:
    """Delete what else lies in the folders of the stages that the inputs are of.

    An earlier order's files would count among this one's: a model is known by all that lies in its folder.
    """
    for stage in GRAPH[STAGE].reads:
        for file in [path for path in paths.stage(stage).rglob("*") if path.is_file()]:
            if file.relative_to(paths.artifacts).as_posix() not in names:
                file.unlink()


def take_over(outputs: str, order: Order, settings: Settings, paths: Paths) -> None:
    """Put the outputs that the other machine left into the stage's folder, its manifest last.

    Every file has been checked before the first one takes its place; UserError where one is not what it should be.
    """
    due = run_stage.expected(STAGE, settings, paths)
    with tempfile.TemporaryDirectory() as scratch:
        arrived = UPath(Path(scratch))
        receive(outputs, open_store(order.store), arrived)
        _check(read_manifest(arrived / STAGE), due, arrived)
        out = Outputs(paths.stage(STAGE))
        for name in digest_tree(arrived / STAGE):
            out.copy(arrived / STAGE / name, name)
        Outputs(paths.artifacts).copy(arrived / PAGE, PAGE)
        out.finish(due)


def _check(made: Manifest | None, due: Manifest, arrived: UPath) -> None:
    if made is None or not is_made_by(due, made) or dict(made.outputs) != digest_tree(arrived / STAGE):
        raise UserError(
            f"what the other machine left is not the outcome of stage {STAGE} on these inputs, settings and code; "
            "nothing was taken over. Run again"
        )

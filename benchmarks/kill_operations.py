"""What the kill harness kills: each operation as a user types it, the state that it begins in, and what it must leave.

One small project folder goes through all states in order: a data set is built, each stage runs, a version is
published, promoted, displaced by a second one, and rolled back.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from upath import UPath

NAME = "marketplace"
OWN = "shop"  # the name that the data set is added under
PULLED = "bakery"  # the name of the data set that comes from a database
SOURCE = "ADLOOM_KILLS_SOURCE"  # environment variable with the database's URL, which its operation needs
TINY = {
    "simulator": {
        "shoppers": 200,
        "campaigns": 2,
        "creatives_per_campaign": 12,
        "events": 2_000,
        "impressions": 3_000,
        "days": 6,
    },
    "interest": {"models": ["logistic"], "bootstrap": 20},
    "creatives": {
        "vae": {"steps": 2, "max_seconds": 60.0, "batch_size": 16, "latent": 4},
        "generators": ["vae"],
        "restarts": 0,
        "quality_photos": 100,
        "quality_samples": 60,
        "pool_per_campaign": 1,
        "parser_steps": 0,
        "max_attempts": 1,
        "checkpoint_seconds": 0.1,
    },
    "evaluation": {"bootstrap": 20, "clones": 2, "clone_impressions": 200},
}
PHOTOS = (40, 20)  # of each category: train, test
SECOND = ("evaluation.policy.temperatures=[0.05]",)  # settings of the version that displaces the first
LIGHT = ("pandas", "pyarrow.compute", "components.cli.data", "components.datasets")
VALIDATES = (*LIGHT, "great_expectations", "components.workflow.stages", "components.contract.validation.validate")
LEARNS = (*VALIDATES, "sklearn.linear_model", "components.features", "components.interest")
DRAWS = (
    *LEARNS,
    "tensorflow",
    "keras",
    "components.generators.build_training",
    "components.generators.quality.quality_review",
    "matplotlib.pyplot",
)
REGISTERS = (
    *DRAWS,
    "mlflow",
    "mlflow.pyfunc",
    "sqlalchemy",
    "components.workflow.publishing.publication",
    "components.workflow.publishing.export",
    "components.registry.promotion",
)


@dataclass(frozen=True)
class Operation:
    """One operation, in the project folder that is the working directory.

    begins: the state that it starts in. run: what a user types, and types again after a kill; again: what is typed then
    where that is something else. look: what it leaves, by name; equal to an unkilled run's once it has been run again.
    once: not run again where it was complete already. modules: what is imported before the fork. by_day: it commits day
    by day, so a kill may leave some of the days.
    """

    name: str
    begins: str
    run: Callable[[], None]
    look: Callable[[], dict]
    once: bool = False
    modules: tuple[str, ...] = LIGHT
    by_day: bool = False
    again: Callable[[], None] | None = None


def adloom(*arguments: str) -> None:
    """Run the command line in this process; its errors are raised."""
    from components import cli

    cli._collect()
    cli.adloom.main(list(arguments), standalone_mode=False)


def settings(overrides: tuple[str, ...] = ()):
    """The settings and folders of the project's data set."""
    from components.settings.environment import prepare
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths

    prepare()
    return load_settings("params.yaml", NAME, overrides), Paths.of(NAME)


def build() -> None:
    """A project folder as after `dvc init` and `adloom data build`, its world sized down."""
    import subprocess
    import sys

    import numpy as np

    from components.datasets.dataset_files import write_dataset
    from components.datasets.fashion_mnist import load_photos
    from components.datasets.marketplace import build_tables
    from components.settings.paths import ROOT
    from components.simulator import Photos

    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in TINY.items():
        document[section] = {**document[section], **values}
    if SOURCE in os.environ:
        document["datasets"][PULLED] = {"source": {"url": os.environ[SOURCE], "batch_rows": 37}}
    Path("params.yaml").write_text(yaml.safe_dump(document))
    Path(".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
    photos = load_photos(cache=ROOT / ".adloom" / "cache")
    rows = np.concatenate(
        [
            np.flatnonzero((photos.split == split) & (photos.category == category))[:count]
            for split, count in enumerate(PHOTOS)
            for category in np.unique(photos.category)
        ]
    )
    few = Photos(
        tuple(photos.ids[row] for row in rows), photos.pictures[rows], photos.category[rows], photos.split[rows]
    )
    tables, card = build_tables(settings()[0].simulator, few)
    for place in (f"data/{NAME}", "mine"):
        write_dataset(tables, card, UPath(place))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)


def learn(overrides: tuple[str, ...] = (), stages: tuple[str, ...] = ()) -> None:
    """The pipeline's steps up to the decision, without Prefect."""
    from components.settings.paths import STAGES
    from components.workflow.publishing import publication
    from components.workflow.run_stage import run

    chosen, paths = settings(overrides)
    publication.snapshot(NAME, chosen, paths)
    for name in stages or STAGES:
        if name == "evaluation":
            publication.charge(NAME, chosen, paths)
        run(name, chosen, paths)


def publish(overrides: tuple[str, ...] = ()) -> None:
    """The whole pipeline, without Prefect: stages that are done are not run again."""
    from components.workflow.publishing import publication
    from components.workflow.publishing.export import export

    learn(overrides)
    chosen, paths = settings(overrides)
    export(publication.publish(NAME, chosen, paths, "a run"), paths)


def promote() -> None:
    """The gate refuses so small a shop's policies; a person overrules it."""
    adloom("promote", NAME, "--force", "--reason", "a trial", "--by", "tester")


def rollback() -> None:
    """`adloom rollback`, which also renews the export."""
    adloom("rollback", NAME, "--reason", "a trial", "--by", "tester")


def _champion() -> int | None:
    """The number of the champion policy's version."""
    from components.registry.mlflow_store import open_store, version_of

    settings()
    version = version_of(open_store(), f"{NAME}-policy", "champion")
    return None if version is None else version.number


def _unless_moved(move: Callable[[], None], champion: int) -> Callable[[], None]:
    """`move` again; where the champion has moved already, what the next run does first, and the export."""

    def again() -> None:
        if _champion() != champion:
            move()
            return
        from components.workflow.publishing import publication

        publication.snapshot(NAME, *settings())
        renew()

    return again


def second() -> None:
    """Another version, promoted over the first."""
    publish(SECOND)
    promote()
    renew()


def moved() -> None:
    """Rolled back in the registry, and the export still to follow."""
    from components.registry.mlflow_store import open_store
    from components.registry.promotion import rollback as move

    settings()
    move(open_store(), f"{NAME}-policy", "a trial", "tester")


def renew() -> None:
    """The export follows the registry's champion."""
    from components.workflow.publishing.export import renew_export

    renew_export(NAME, settings()[1])


@contextmanager
def database() -> Iterator[str | None]:
    """Run a PostgreSQL with a shop of some days, known to the environment; why there is none where there is none."""
    from tests.components.datasets.servers import READER, create, missing
    from tests.components.datasets.shop import SAMPLE, Shop, declared

    reason = missing("postgresql")
    if reason:
        yield reason
        return
    import tempfile

    import sqlalchemy

    from components.settings.sections import SourceConfig

    with tempfile.TemporaryDirectory(prefix="adloom-kills-") as folder:
        os.chmod(folder, 0o755)  # the server is another user
        server = create("postgresql", Path(folder) / "server")
        try:
            tables = declared(server.kind)
            tables["impressions"].metadata.create_all(sqlalchemy.create_engine(server.owner_url()))
            shop = Shop(server, SourceConfig(), tables)
            for name, rows in SAMPLE.items():
                shop.insert(name, rows)
            os.environ |= {"SHOP_USER": READER[0], "SHOP_PASSWORD": READER[1], SOURCE: server.source()}
            yield None
        finally:
            server.kill()


def _stage(name: str) -> Callable[[], None]:
    return lambda: adloom("stage", name, "--dataset", NAME)


def look_at_data(name: str) -> Callable[[], dict]:
    """The files of a data set, and what DVC says of them."""

    def look() -> dict:
        from components.contract.files.digests import digest_tree

        record = Path("data.dvc")
        return {"files": digest_tree(UPath("data") / name, skip=()), "dvc": record.exists() and record.read_text()}

    return look


def look_at_stage(name: str) -> Callable[[], dict]:
    """The files of a stage and its manifest; whether its page is there."""

    def look() -> dict:
        from components.contract.files.digests import digest_tree
        from components.settings.paths import Paths

        paths = Paths.of(NAME)
        page = (paths.docs / f"{name}.md").exists()
        return {"files": digest_tree(paths.stage(name), skip=()), "page": page}

    return look


def look_at_registry() -> dict:
    """Every version with its digest, aliases and tags that a rerun repeats; the ledger; the export."""
    from components.contract.files.digests import digest_tree
    from components.contract.files.tables import read_json
    from components.registry.mlflow_store import open_store
    from components.registry.promotion import questions

    _, paths = settings()
    client = open_store()
    policy = f"{NAME}-policy"
    models = {model.name: dict(model.aliases) for model in client.search_registered_models()}
    versions = {
        f"{found.name} {found.version}": {
            key: value for key, value in found.tags.items() if key not in ("git_commit", "flow_run_id")
        }
        for name in models
        for found in client.search_model_versions(f"name = '{name}'")
    }
    exported = paths.export / "manifest.json"
    return {
        "aliases": models,
        "versions": versions,
        "ledger": list(questions(client, policy)),
        "export": digest_tree(paths.export, skip=()) if exported.exists() else None,
        "exported version": read_json(exported)["policy_version"] if exported.exists() else None,
    }


STATES: dict[str, tuple[str | None, Callable[[], None]]] = {
    "built": (None, build),
    "validated": ("built", lambda: learn(stages=("validation",))),
    "with features": ("validated", _stage("features")),
    "with interest": ("with features", _stage("interest")),
    "with creatives": ("with interest", lambda: learn(stages=("creatives",))),
    "evaluated": ("with creatives", lambda: learn(stages=("evaluation",))),
    "decided": ("evaluated", _stage("promotion")),
    "published": ("decided", publish),
    "promoted": ("published", promote),
    "displaced": ("promoted", second),
    "moved": ("displaced", moved),
}
STAGE_STATES = {
    "validation": ("built", VALIDATES),
    "features": ("validated", LEARNS),
    "interest": ("with features", LEARNS),
    "creatives": ("with interest", DRAWS),
    "promotion": ("evaluated", DRAWS),
}
OPERATIONS = {
    each.name: each
    for each in (
        Operation("data add", "built", lambda: adloom("data", "add", OWN, "mine"), look_at_data(OWN), once=True),
        Operation(
            "data advance",
            "built",
            lambda: adloom("data", "advance", NAME, "--days", "2"),
            look_at_data(NAME),
            once=True,
        ),
        Operation(
            "data pull",
            "built",
            lambda: adloom("data", "pull", PULLED),
            look_at_data(PULLED),
            modules=(*LIGHT, "sqlalchemy", "psycopg"),
            by_day=True,
        ),
        *(
            Operation(name, begins, _stage(name), look_at_stage(name), modules=modules)
            for name, (begins, modules) in STAGE_STATES.items()
        ),
        Operation(
            "evaluation",
            "with creatives",
            lambda: learn(stages=("evaluation",)),
            look_at_stage("evaluation"),
            modules=REGISTERS,
        ),
        Operation("publish", "decided", publish, look_at_registry, modules=REGISTERS),
        Operation(
            "promote",
            "published",
            promote,
            look_at_registry,
            once=True,
            modules=REGISTERS,
            again=_unless_moved(promote, 1),
        ),
        Operation(
            "rollback",
            "displaced",
            rollback,
            look_at_registry,
            once=True,
            modules=REGISTERS,
            again=_unless_moved(rollback, 1),
        ),
        Operation("export", "moved", renew, look_at_registry, modules=REGISTERS),
    )
}


def stated(value: dict) -> str:
    """`value` as JSON, by which two looks are compared."""
    return json.dumps(value, sort_keys=True)

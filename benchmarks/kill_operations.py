"""The operations that `benchmarks.kills` kills: the command, its initial state, and the outputs that are compared.

One small project folder passes through all states in order: a data set is built, each stage runs, a version is
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
ADDED = "shop"  # the name of the data set that `data add` adds
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
SECOND_SETTINGS = ("evaluation.policy.temperatures=[0.05]",)  # settings of the version that displaces the first
DATA_MODULES = ("pandas", "pyarrow.compute", "components.cli.data", "components.datasets")
VALIDATION_MODULES = (
    *DATA_MODULES,
    "great_expectations",
    "components.workflow.stages",
    "components.contract.validation.validate",
)
INTEREST_MODULES = (*VALIDATION_MODULES, "sklearn.linear_model", "components.features", "components.interest")
CREATIVES_MODULES = (
    *INTEREST_MODULES,
    "tensorflow",
    "keras",
    "components.generators.build_training",
    "components.generators.quality.quality_review",
    "matplotlib.pyplot",
)
REGISTRY_MODULES = (
    *CREATIVES_MODULES,
    "mlflow",
    "mlflow.pyfunc",
    "sqlalchemy",
    "components.workflow.publishing.publication",
    "components.workflow.publishing.export",
    "components.registry.promotion",
)


@dataclass(frozen=True)
class Operation:
    """One operation, run with the project folder as the working directory.

    initial_state: a name in STATES. run: the command; rerun: the command after a kill, if it is another one. observe:
    the outputs by name, which must equal those of an uninterrupted run. once: not run again if it was complete.
    modules: imported before the fork. by_day: it commits day by day, so some days may exist after a kill.
    """

    name: str
    initial_state: str
    run: Callable[[], None]
    observe: Callable[[], dict]
    once: bool = False
    modules: tuple[str, ...] = DATA_MODULES
    by_day: bool = False
    rerun: Callable[[], None] | None = None


def adloom(*arguments: str) -> None:
    """Run `adloom` in this process; its errors are raised."""
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
    """Create a project folder as `dvc init` and `adloom data build` do, with a small simulated shop."""
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
    for folder in (f"data/{NAME}", "mine"):
        write_dataset(tables, card, UPath(folder))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)


def run_stages(overrides: tuple[str, ...] = (), stages: tuple[str, ...] = ()) -> None:
    """Run the pipeline's stages up to the decision, without Prefect."""
    from components.settings.paths import STAGES
    from components.workflow.publishing import publication
    from components.workflow.run_stage import run

    loaded, paths = settings(overrides)
    publication.snapshot(NAME, loaded, paths)
    for name in stages or STAGES:
        if name == "evaluation":
            publication.charge(NAME, loaded, paths)
        run(name, loaded, paths)


def publish(overrides: tuple[str, ...] = ()) -> None:
    """Run the whole pipeline without Prefect; finished stages are not run again."""
    from components.workflow.publishing import publication
    from components.workflow.publishing.export import export

    run_stages(overrides)
    loaded, paths = settings(overrides)
    export(publication.publish(NAME, loaded, paths, "a run"), paths)


def promote() -> None:
    """`adloom promote --force`: the gate refuses the policies of so small a shop."""
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
    """A function that repeats `move`, or if the champion has moved, does the first step of the next run and exports."""

    def rerun() -> None:
        if _champion() != champion:
            move()
            return
        from components.workflow.publishing import publication

        publication.snapshot(NAME, *settings())
        renew_export_files()

    return rerun


def publish_second() -> None:
    """Publish another version and promote it over the first."""
    publish(SECOND_SETTINGS)
    promote()
    renew_export_files()


def move_alias() -> None:
    """Roll back in the registry without renewing the export."""
    from components.registry.mlflow_store import open_store
    from components.registry.promotion import rollback as move

    settings()
    move(open_store(), f"{NAME}-policy", "a trial", "tester")


def renew_export_files() -> None:
    """Renew the export from the registry's champion."""
    from components.workflow.publishing.export import renew_export

    renew_export(NAME, settings()[1])


@contextmanager
def database() -> Iterator[str | None]:
    """Run PostgreSQL with some days of data and set SOURCE; yields None, or the reason that it cannot run."""
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


def observe_data(name: str) -> Callable[[], dict]:
    """A function that returns the digests of a data set's files, and DVC's record."""

    def observe() -> dict:
        from components.contract.files.digests import digest_tree

        record = Path("data.dvc")
        return {"files": digest_tree(UPath("data") / name, skip=()), "dvc": record.exists() and record.read_text()}

    return observe


def observe_stage(name: str) -> Callable[[], dict]:
    """A function that returns the digests of a stage's files, and whether its page exists."""

    def observe() -> dict:
        from components.contract.files.digests import digest_tree
        from components.settings.paths import Paths

        paths = Paths.of(NAME)
        page = (paths.docs / f"{name}.md").exists()
        return {"files": digest_tree(paths.stage(name), skip=()), "page": page}

    return observe


def observe_registry() -> dict:
    """Every version with its aliases and the tags that a rerun repeats; the ledger; the export."""
    from components.contract.files.digests import digest_tree
    from components.contract.files.tables import read_json
    from components.registry.mlflow_store import open_store
    from components.registry.promotion import questions

    _, paths = settings()
    client = open_store()
    policy = f"{NAME}-policy"
    models = {model.name: dict(model.aliases) for model in client.search_registered_models()}
    versions = {
        f"{version.name} {version.version}": {
            key: value for key, value in version.tags.items() if key not in ("git_commit", "flow_run_id")
        }
        for name in models
        for version in client.search_model_versions(f"name = '{name}'")
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
    "validated": ("built", lambda: run_stages(stages=("validation",))),
    "with features": ("validated", _stage("features")),
    "with interest": ("with features", _stage("interest")),
    "with creatives": ("with interest", lambda: run_stages(stages=("creatives",))),
    "evaluated": ("with creatives", lambda: run_stages(stages=("evaluation",))),
    "decided": ("evaluated", _stage("promotion")),
    "published": ("decided", publish),
    "promoted": ("published", promote),
    "displaced": ("promoted", publish_second),
    "moved": ("displaced", move_alias),
}
STAGE_STATES = {
    "validation": ("built", VALIDATION_MODULES),
    "features": ("validated", INTEREST_MODULES),
    "interest": ("with features", INTEREST_MODULES),
    "creatives": ("with interest", CREATIVES_MODULES),
    "promotion": ("evaluated", CREATIVES_MODULES),
}
OPERATIONS = {
    each.name: each
    for each in (
        Operation("data add", "built", lambda: adloom("data", "add", ADDED, "mine"), observe_data(ADDED), once=True),
        Operation(
            "data advance",
            "built",
            lambda: adloom("data", "advance", NAME, "--days", "2"),
            observe_data(NAME),
            once=True,
        ),
        Operation(
            "data pull",
            "built",
            lambda: adloom("data", "pull", PULLED),
            observe_data(PULLED),
            modules=(*DATA_MODULES, "sqlalchemy", "psycopg"),
            by_day=True,
        ),
        *(
            Operation(name, begins, _stage(name), observe_stage(name), modules=modules)
            for name, (begins, modules) in STAGE_STATES.items()
        ),
        Operation(
            "evaluation",
            "with creatives",
            lambda: run_stages(stages=("evaluation",)),
            observe_stage("evaluation"),
            modules=REGISTRY_MODULES,
        ),
        Operation("publish", "decided", publish, observe_registry, modules=REGISTRY_MODULES),
        Operation(
            "promote",
            "published",
            promote,
            observe_registry,
            once=True,
            modules=REGISTRY_MODULES,
            rerun=_unless_moved(promote, 1),
        ),
        Operation(
            "rollback",
            "displaced",
            rollback,
            observe_registry,
            once=True,
            modules=REGISTRY_MODULES,
            rerun=_unless_moved(rollback, 1),
        ),
        Operation("export", "moved", renew_export_files, observe_registry, modules=REGISTRY_MODULES),
    )
}


def as_json(value: dict) -> str:
    """`value` as JSON with sorted keys, for comparison."""
    return json.dumps(value, sort_keys=True)

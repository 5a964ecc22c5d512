"""The few MLflow calls that stages share: open the store, log one model with its evidence, find and fetch versions.

A version is known by the digest of its package (the files it consists of): logging the same package twice gives the
same version, so a publication that was cut off is simply done again. What is fetched is checked against that digest,
because the registry itself checks nothing.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.errors import UserError
from components.escaping import filter_by_name
from components.lock import store_lock
from components.manifest import digest_package

PACKAGE = "package"  # folder of a run's artifacts that holds the files a version consists of
TAG_LIMIT = 4_000  # characters; MLflow refuses values above 5,000


@dataclass(frozen=True)
class ModelRecord:
    """One model to be registered: its files, what it was made from, and how it did.

    package: folder with the model's files. log_native: logs the model in its framework's own MLflow flavour within the
    active run and returns its URI. metrics: finite numbers. pictures: folders of PNG files shown with the run.
    """

    name: str
    package: Path
    log_native: Callable[[], str]
    dataset: str
    data_digest: str
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[Path, ...] = ()
    reports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """One registered version: number, tags and aliases as the registry shows them."""

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str]


def open_store():
    """A client of the configured tracking store; the first one makes the database, alone.

    Concurrent first starts race in MLflow's migrations, so this holds the lock meanwhile.
    """
    import mlflow

    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise UserError("MLFLOW_TRACKING_URI is not set")
    mlflow.set_tracking_uri(uri)
    with store_lock():
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
    return client


def register(client, record: ModelRecord) -> Version:
    """The version of `record.name` that holds this package: the existing one, or a new one with everything logged."""
    digest = digest_package(record.package)
    existing = find_version(client, record.name, digest)
    if existing:
        for key, value in record.tags.items():
            client.set_model_version_tag(record.name, str(existing.number), key, value[:TAG_LIMIT])
        return find_version(client, record.name, digest)
    return _log_version(client, record, digest)


def _log_version(client, record: ModelRecord, digest: str) -> Version:
    import mlflow

    ensure_model(client, record.name)
    experiment = _experiment(client, record.dataset)
    tags = {key: value[:TAG_LIMIT] for key, value in record.tags.items()}
    with mlflow.start_run(experiment_id=experiment, run_name=record.name) as run:
        mlflow.set_tags({**tags, "git_commit": git_commit(), "package_digest": digest})
        client.log_inputs(run.info.run_id, [_data_input(record)])
        mlflow.log_params(dict(record.params))
        mlflow.log_metrics(dict(record.metrics))
        for name, text in record.reports.items():
            mlflow.log_text(text, name)
        for folder in record.pictures:
            mlflow.log_artifacts(str(folder), "pictures")
        mlflow.log_artifacts(str(record.package), PACKAGE)
        source = record.log_native()
    version = client.create_model_version(
        record.name, source, run.info.run_id, tags={**tags, "git_commit": git_commit(), "package_digest": digest}
    )
    return _version(version)


def _experiment(client, name: str) -> str:
    """The id of experiment `name`. A new one keeps its files under ADLOOM_ARTIFACT_ROOT, or else where MLflow says."""
    existing = client.get_experiment_by_name(name)
    if existing:
        return existing.experiment_id
    root = os.environ.get("ADLOOM_ARTIFACT_ROOT")
    return client.create_experiment(name, artifact_location=f"{root}/{name}" if root else None)


def ensure_model(client, name: str) -> None:
    """Make the registered model `name`, unless it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _data_input(record: ModelRecord):
    from mlflow.entities import Dataset, DatasetInput

    source = json.dumps({"uri": f"data/{record.dataset}"})
    return DatasetInput(
        Dataset(name=record.dataset, digest=record.data_digest[:36], source_type="local", source=source)
    )


def find_version(client, name: str, digest: str) -> Version | None:
    """The version of `name` whose package has `digest`; None where there is none."""
    found = client.search_model_versions(filter_by_name(name))
    same = [version for version in found if version.tags.get("package_digest") == digest]
    return _version(min(same, key=lambda version: int(version.version))) if same else None


def version_of(client, name: str, alias: str) -> Version | None:
    """The version of `name` that bears `alias`; None where the model or the alias does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(found) -> Version:
    return Version(found.name, int(found.version), found.run_id, dict(found.tags))


def fetch_package(version: Version, folder: Path) -> None:
    """Put the files of `version` into `folder`, replacing what is there, if their digest is the registered one."""
    from mlflow.artifacts import download_artifacts

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        fetched = Path(download_artifacts(run_id=version.run_id, artifact_path=PACKAGE, dst_path=scratch))
        if digest_package(fetched) != version.tags.get("package_digest"):
            raise UserError(
                f"{version.name} version {version.number}: its files differ from those that were registered; "
                "nothing was loaded. Roll back, or register it again"
            )
        shutil.rmtree(folder, ignore_errors=True)
        fetched.rename(folder)


def git_commit() -> str:
    """The commit that the project's folder is at; `unknown` outside a git checkout."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else "unknown"

"""MLflow calls: open the store, log a model with its evidence, find and fetch versions.

A version is identified by the digest of its package (the files it consists of): logging the same package twice gives
the same version, so an interrupted publication can be repeated. Every package is signed. Fetched files are checked
against digest and signature before they are read, because MLflow checks nothing.
"""

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from upath import UPath

from components.contract.escaping import filter_by_name
from components.contract.files.atomic_files import replace_folder, scratch_folder
from components.contract.files.digests import digest_package
from components.registry.locks import migration_lock, sqlite_file, store_lock
from components.registry.signing import sign, signature_path, verify
from components.settings.errors import Unavailable, UserError

PACKAGE = "package"  # folder of a run's artifacts that holds the files a version consists of
SIGNATURE = "package.sig"  # the artifact beside it
DIGEST = "package_digest"  # tag of a version
TAG_LIMIT = 4_000  # characters; MLflow refuses values above 5,000


@dataclass(frozen=True)
class ModelRecord:
    """One model to be registered: its files, the data it was made from, and its figures.

    package: folder with the model's files. log_native: logs the model to the active run in its framework's MLflow
    flavour and returns its URI. metrics: finite numbers. pictures: folders of PNG files shown with the run. reports:
    text by file name.
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
    """One registered version: its number, run and tags."""

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str]


@functools.cache
def _client_class():
    from mlflow import MlflowClient  # imported late, because it reads the environment when it is imported

    class Client(MlflowClient):
        """MLflow's client with the registry's lock, which every change of the registry holds."""

        def __init__(self, lock: str | None) -> None:
            super().__init__()
            self._lock = lock

        def lock(self):
            """The registry's lock; UserError if neither the registry nor `promotion.lock` has one."""
            return store_lock(self._lock)

    return Client


def open_store(lock: str | None = None):
    """A client of the configured tracking store, whose database is created if needed. lock: `promotion.lock`.

    Concurrent first starts would collide in MLflow's migrations, so this holds the database's lock. A new SQLite
    database is readable by its owner alone.
    """
    import mlflow

    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise UserError("MLFLOW_TRACKING_URI is not set")
    mlflow.set_tracking_uri(uri)
    with migration_lock(uri):
        if uri.startswith("sqlite"):
            _make_private(sqlite_file(uri))
        client = _client_class()(lock)
        _reach(client, uri)
    return client


def _reach(client, uri: str) -> None:
    """Make a first request to the store, which creates a database's tables. Unavailable if a server does not answer."""
    from mlflow.exceptions import MlflowException

    try:
        client.search_experiments(max_results=1)
    except MlflowException as error:
        if not uri.startswith("http"):
            raise
        reason = str(error).partition("(Caused by ")[2].rstrip(")") or str(error).splitlines()[0]
        place = urlsplit(uri)
        raise Unavailable(f"the MLflow server at {place.hostname}:{place.port} gives no answer: {reason}") from None


def _make_private(database: Path | None) -> None:
    """Create an empty file that only its owner may open, if there is no database yet; SQLite fills it."""
    if database is not None and not database.exists():
        os.close(os.open(database, os.O_CREAT, 0o600))


def register(client, record: ModelRecord) -> Version:
    """The version of `record.name` with this package: the existing one, or a new one with everything logged.

    An existing version without a signature, from before packages were signed, is signed now.
    """
    digest = digest_package(record.package)
    existing = find_version(client, record.name, digest)
    if existing:
        if not has_artifact(existing, SIGNATURE):
            with _signature(record.package, record.name) as signature:
                client.log_artifact(existing.run_id, str(signature))
        for key, value in record.tags.items():
            client.set_model_version_tag(record.name, str(existing.number), key, value[:TAG_LIMIT])
        return find_version(client, record.name, digest)
    return _log_version(client, record, digest)


def _log_version(client, record: ModelRecord, digest: str) -> Version:
    import mlflow

    ensure_model(client, record.name)
    experiment = _experiment(client, record.dataset)
    tags = {key: value[:TAG_LIMIT] for key, value in record.tags.items()}
    tags |= {"git_commit": git_commit(), DIGEST: digest}
    with (
        _signature(record.package, record.name) as signature,
        mlflow.start_run(experiment_id=experiment, run_name=record.name) as run,
    ):
        mlflow.set_tags(tags)
        client.log_inputs(run.info.run_id, [_data_input(record)])
        mlflow.log_params(dict(record.params))
        mlflow.log_metrics(dict(record.metrics))
        for name, text in record.reports.items():
            mlflow.log_text(text, name)
        for folder in record.pictures:
            mlflow.log_artifacts(str(folder), "pictures")
        mlflow.log_artifacts(str(record.package), PACKAGE)
        mlflow.log_artifact(str(signature))
        source = record.log_native()
    return _version(client.create_model_version(record.name, source, run.info.run_id, tags=tags))


@contextmanager
def _signature(package: Path, name: str) -> Iterator[Path]:
    """A file with the signature of `package` as the files of `name`."""
    with tempfile.TemporaryDirectory(prefix="adloom-sign-") as scratch:
        sign(package, name, Path(scratch) / SIGNATURE)
        yield Path(scratch) / SIGNATURE


def _experiment(client, name: str) -> str:
    """The id of experiment `name`. A new one has its files under ADLOOM_ARTIFACT_ROOT, or else in MLflow's default."""
    existing = client.get_experiment_by_name(name)
    if existing:
        return existing.experiment_id
    root = os.environ.get("ADLOOM_ARTIFACT_ROOT")
    return client.create_experiment(name, artifact_location=f"{root}/{name}" if root else None)


def ensure_model(client, name: str) -> None:
    """Create the registered model `name`, unless it exists."""
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
    """The version of `name` whose package has `digest`; None if there is none."""
    return next((version for version in versions_of(client, name) if version.tags.get(DIGEST) == digest), None)


def version_of(client, name: str, alias: str) -> Version | None:
    """The version of `name` with `alias`; None if the model or the alias does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(entity) -> Version:
    return Version(entity.name, int(entity.version), entity.run_id, dict(entity.tags))


def digest_of(version: Version) -> str:
    """The digest of the version's package; UserError for a version that Adloom did not register."""
    if DIGEST not in version.tags:
        raise UserError(
            f"{_label(version)} has no tag {DIGEST}: it was not registered by Adloom, and somebody moved an alias to "
            "it. Move the alias back to a version of Adloom's in MLflow (`adloom ui`), or, if it is the champion of a "
            "policy, use `adloom rollback`"
        )
    return version.tags[DIGEST]


def versions_of(client, name: str) -> list[Version]:
    """All versions of `name`, with their tags, oldest first."""
    entities = client.search_model_versions(filter_by_name(name))
    return sorted((_version(entity) for entity in entities), key=lambda version: version.number)


def fetch_package(version: Version, folder: Path) -> None:
    """Replace `folder` with the files of `version`, and write their signature beside it (`NAME.sig`).

    UserError, with `folder` unchanged, if the files do not match the registered digest or the signature.
    """
    with scratch_folder(UPath(folder)) as scratch:
        fetched = checked_package(version, Path(scratch))
        os.replace(Path(scratch) / SIGNATURE, signature_path(folder))
        replace_folder(UPath(fetched), UPath(folder))


def checked_package(version: Version, scratch: Path) -> Path:
    """The folder below `scratch` with the files of `version`, checked against the digest and the signature."""
    expected = digest_of(version)
    fetched = fetch_artifact(version, PACKAGE, scratch)
    if digest_package(fetched) != expected:
        raise UserError(
            f"{_label(version)}: its files differ from the registered ones; nothing was loaded. Restore them "
            "from a backup, or roll back"
        )
    if has_artifact(version, SIGNATURE):
        fetch_artifact(version, SIGNATURE, scratch)
    verify(fetched, version.name, scratch / SIGNATURE, _label(version))
    return fetched


def sign_package(client, version: Version) -> None:
    """Sign the registered files of `version`; UserError if their digest is not the registered one."""
    with tempfile.TemporaryDirectory(prefix="adloom-fetch-") as scratch:
        fetched = fetch_artifact(version, PACKAGE, Path(scratch))
        if digest_package(fetched) != digest_of(version):
            raise UserError(f"{_label(version)}: its files differ from the registered ones; nothing was signed")
        with _signature(fetched, version.name) as signature:
            client.log_artifact(version.run_id, str(signature))


def log_files(name: str, number: int, files: Sequence[Path], folder: str) -> None:
    """Add files to `folder` of the MLflow run of version `number` of the model `name`."""
    client = open_store()
    run_id = client.get_model_version(name, str(number)).run_id
    for file in files:
        client.log_artifact(run_id, str(file), folder)


def fetch_artifact(version: Version, name: str, scratch: Path) -> Path:
    """The file or folder `name` of the version's run, copied below `scratch`; Unavailable if it cannot be read."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(run_id=version.run_id, artifact_path=name, dst_path=str(scratch)))
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Unavailable(f"{_label(version)}: {name} cannot be read from its MLflow run: {reason}") from None


def has_artifact(version: Version, name: str) -> bool:
    """Whether the version's run has the artifact `name`."""
    return any(file == name for file in artifacts_in(version, str(Path(name).parent)))


def artifacts_in(version: Version, folder: str) -> list[str]:
    """The paths of the files and folders in `folder` of the version's run (`.`: its root), sorted."""
    from mlflow import MlflowClient

    artifacts = MlflowClient().list_artifacts(version.run_id, None if folder == "." else folder)
    return sorted(artifact.path for artifact in artifacts)


def _label(version: Version) -> str:
    return f"{version.name} version {version.number}"


def git_commit() -> str:
    """The commit of the project's folder, with `+dirty` if tracked files differ from it; `unknown` without git."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return "unknown"
    return f"{commit}+dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit


def _git(*arguments: str) -> str | None:
    """The output of git with these arguments; None if it fails."""
    process = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return process.stdout.strip() if process.returncode == 0 else None

"""The few MLflow calls that stages share: open the store, log one model with its evidence, find and fetch versions.

A version is known by the digest of its package (the files it consists of): logging the same package twice gives the
same version, so a publication that was cut off is simply done again. Every package is signed. What is fetched is
checked against digest and signature before anything reads it, because the registry itself checks nothing.
"""

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from upath import UPath

from components.contract.escaping import filter_by_name
from components.contract.files.atomic_files import replace_folder, scratch_folder
from components.contract.files.digests import digest_package
from components.registry.locks import migration_lock, sqlite_file, store_lock
from components.registry.signing import beside, sign, verify
from components.settings.errors import Unavailable, UserError

PACKAGE = "package"  # folder of a run's artifacts that holds the files a version consists of
SIGNATURE = "package.sig"  # the artifact beside it
DIGEST = "package_digest"  # tag of a version
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


@functools.cache
def _client_class():
    from mlflow import MlflowClient  # late, for it reads the environment when it is imported

    class Client(MlflowClient):
        """MLflow's client, with the lock that whoever changes the registry holds."""

        def __init__(self, lock: str | None) -> None:
            super().__init__()
            self._lock = lock

        def lock(self):
            """The registry's lock; UserError where it has none and `promotion.lock` names none."""
            return store_lock(self._lock)

    return Client


def open_store(lock: str | None = None):
    """A client of the configured tracking store; the first one makes the database, alone. `lock`: `promotion.lock`.

    Concurrent first starts race in MLflow's migrations, so this holds the database's lock meanwhile. A new SQLite
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
    """The first question to the store, which makes a database's tables; Unavailable where a server does not answer."""
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
    """An empty file that only its owner may open, where there is no database yet: SQLite fills it."""
    if database is not None and not database.exists():
        os.close(os.open(database, os.O_CREAT, 0o600))


def register(client, record: ModelRecord) -> Version:
    """The version of `record.name` that holds this package: the existing one, or a new one with everything logged.

    An existing one that was registered before packages were signed is signed now: the same files are at hand.
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
    return next((version for version in versions_of(client, name) if version.tags.get(DIGEST) == digest), None)


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


def digest_of(version: Version) -> str:
    """The digest of the version's package; UserError for a version that Adloom did not register."""
    if DIGEST not in version.tags:
        raise UserError(
            f"{_label(version)} has no tag {DIGEST}: it was not registered by Adloom, and somebody moved an alias to "
            "it. Move the alias back to a version of Adloom's in MLflow (`adloom ui`), or, if it is the champion of a "
            "policy, take its place from it with `adloom rollback`"
        )
    return version.tags[DIGEST]


def versions_of(client, name: str) -> list[Version]:
    """All versions of `name`, with their tags, oldest first."""
    found = client.search_model_versions(filter_by_name(name))
    return sorted((_version(version) for version in found), key=lambda version: version.number)


def fetch_package(version: Version, folder: Path) -> None:
    """Put the files of `version` into `folder`, replacing what is there, and their signature beside it (`NAME.sig`).

    UserError, with `folder` as it was, unless both the registered digest and the signature are theirs.
    """
    with scratch_folder(UPath(folder)) as scratch:
        fetched = checked_package(version, Path(scratch))
        os.replace(Path(scratch) / SIGNATURE, beside(folder))
        replace_folder(UPath(fetched), UPath(folder))


def checked_package(version: Version, scratch: Path) -> Path:
    """The folder below `scratch` with the files of `version`, which have the registered digest and a good signature."""
    expected = digest_of(version)
    fetched = fetch_artifact(version, PACKAGE, scratch)
    if digest_package(fetched) != expected:
        raise UserError(
            f"{_label(version)}: its files differ from those that were registered; nothing was loaded. Restore them "
            "from a backup, or roll back"
        )
    if has_artifact(version, SIGNATURE):
        fetch_artifact(version, SIGNATURE, scratch)
    verify(fetched, version.name, scratch / SIGNATURE, _label(version))
    return fetched


def sign_package(client, version: Version) -> None:
    """Sign the registered files of `version` as they are; UserError where their digest is not the registered one."""
    with tempfile.TemporaryDirectory(prefix="adloom-fetch-") as scratch:
        fetched = fetch_artifact(version, PACKAGE, Path(scratch))
        if digest_package(fetched) != digest_of(version):
            raise UserError(f"{_label(version)}: its files differ from those that were registered; nothing was signed")
        with _signature(fetched, version.name) as signature:
            client.log_artifact(version.run_id, str(signature))


def fetch_artifact(version: Version, name: str, scratch: Path) -> Path:
    """The file or folder `name` of the version's run, below `scratch`; Unavailable where it cannot be read."""
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
    """Paths of the files and folders in `folder` of the version's run (`.`: at its top), sorted."""
    from mlflow import MlflowClient

    listed = MlflowClient().list_artifacts(version.run_id, None if folder == "." else folder)
    return sorted(file.path for file in listed)


def _label(version: Version) -> str:
    return f"{version.name} version {version.number}"


def git_commit() -> str:
    """The commit that the project's folder is at, `+dirty` if tracked files differ from it; `unknown` without git."""
    found = _git("rev-parse", "HEAD")
    if found is None:
        return "unknown"
    return f"{found}+dirty" if _git("status", "--porcelain", "--untracked-files=no") else found


def _git(*words: str) -> str | None:
    """What git answers; None where it fails."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None

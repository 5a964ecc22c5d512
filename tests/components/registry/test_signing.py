"""Signatures: every file and the model's name are covered; keys are private, made once, and can be replaced."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.registry.signing import KEY, PUBLIC_KEY, SIGNING_KEY, VERIFY_KEY, sign, verify
from components.settings.environment import prepare
from components.settings.errors import UserError


@pytest.fixture
def state(tmp_path, monkeypatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def package(tmp_path) -> Path:
    folder = tmp_path / "package"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights").write_bytes(b"weights")
    (folder / "about.json").write_text("{}")
    return folder


def check(package: Path, name: str = "shop-policy") -> None:
    verify(package, name, package.with_name("package.sig"), "shop-policy version 1")


def altered(package: Path) -> None:
    (package / "model" / "weights").write_bytes(b"others")


def added(package: Path) -> None:
    (package / "model" / "more.py").write_text("")


def hidden(package: Path) -> None:
    (package / ".git").mkdir()
    (package / ".git" / "config").write_text("")


def manifest(package: Path) -> None:
    (package / "manifest.json").write_text("{}")  # which the digest of a package leaves out


def missing(package: Path) -> None:
    (package / "about.json").unlink()


def swapped(package: Path) -> None:
    (package / "about.json").rename(package / "held")
    (package / "model" / "weights").rename(package / "about.json")
    (package / "held").rename(package / "model" / "weights")


def linked(package: Path) -> None:
    (package / "about.json").unlink()
    (package / "about.json").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (altered, "model/weights was altered"),
        (added, "added: model/more.py"),
        (hidden, r"added: \.git/config"),
        (manifest, "added: manifest.json"),
        (missing, "missing: about.json"),
        (swapped, "about.json was altered; model/weights was altered"),
        (linked, "it contains a symbolic link"),
    ],
)
def test_whatever_is_done_to_the_files_is_named(state, package, tamper, said):
    sign(package, "shop-policy", package.with_name("package.sig"))
    check(package)
    tamper(package)
    with pytest.raises(UserError, match=f"^shop-policy version 1: its signature does not hold: {said}"):
        check(package)


def test_a_signature_is_of_one_model_and_of_one_key(state, package, tmp_path, monkeypatch):
    sign(package, "shop-policy", package.with_name("package.sig"))
    with pytest.raises(UserError, match="it is the signature of shop-policy, not of other-policy"):
        check(package, "other-policy")
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "another machine"))
    with pytest.raises(UserError, match="made with a key that is not trusted here; ADLOOM_VERIFY_KEY names"):
        check(package)


@pytest.mark.parametrize("content", ["", "{}", "no JSON", '{"dsseEnvelope": 1}'])
def test_a_signature_that_is_none_is_named(state, package, content):
    sign(package, "shop-policy", package.with_name("package.sig"))
    package.with_name("package.sig").write_text(content)
    with pytest.raises(UserError, match="the signature cannot be read or was altered"):
        check(package)
    package.with_name("package.sig").unlink()
    with pytest.raises(UserError, match=r"it has no signature.*`adloom sign DATASET`"):
        check(package)


def test_one_machine_signs_and_another_trusts_its_public_key(state, package, tmp_path, monkeypatch):
    """And, where several sign, each one's."""
    sign(package, "shop-policy", package.with_name("package.sig"))
    theirs = state / PUBLIC_KEY
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "another machine"))
    monkeypatch.setenv(VERIFY_KEY, str(theirs))
    check(package)
    sign(package, "shop-policy", tmp_path / "own.sig")
    public_key = tmp_path / "another machine" / PUBLIC_KEY
    monkeypatch.setenv(VERIFY_KEY, f"{public_key}{os.pathsep}{theirs}")
    check(package)
    monkeypatch.setenv(VERIFY_KEY, str(public_key))
    with pytest.raises(UserError, match="not trusted here"):
        check(package)
    monkeypatch.setenv(SIGNING_KEY, str(state / KEY))
    monkeypatch.setenv(VERIFY_KEY, "")
    check(package)
    for variable in (SIGNING_KEY, VERIFY_KEY):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(tmp_path / "gone"))
            with pytest.raises(UserError, match=f"{variable}: .*gone: there is no such file"):
                check(package)


def test_the_key_is_made_once_and_is_its_owners_alone(state, package, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: sign(package, "shop-policy", tmp_path / f"{number}.sig"), range(8)))
    for number in range(8):
        verify(package, "shop-policy", tmp_path / f"{number}.sig", "it")
    assert stat.S_IMODE((state / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {path.name for path in state.iterdir()} == {KEY, PUBLIC_KEY}


def test_the_state_folder_and_a_new_database_are_their_owners_alone(tmp_path, monkeypatch):
    """Under a umask that lets everybody read, and where an earlier release made the folder."""
    from components.registry.mlflow_store import open_store

    for name in ("ADLOOM_STATE", "MLFLOW_TRACKING_URI", "ADLOOM_ARTIFACT_ROOT", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    before = os.umask(0o022)
    try:
        (tmp_path / ".adloom").mkdir(mode=0o755)
        monkeypatch.chdir(tmp_path)
        state = prepare()
        open_store()
    finally:
        os.umask(before)
        for name in ("ADLOOM_STATE", "MLFLOW_TRACKING_URI", "ADLOOM_ARTIFACT_ROOT", "PREFECT_HOME"):
            os.environ.pop(name, None)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "mlflow.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "mlflow.db.lock").stat().st_mode) == 0o600


def test_mlflow_unpickles_nothing(tmp_path):
    """A model that MLflow itself would load is refused; Adloom's environment says so to every process."""
    import mlflow
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    estimator = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    mlflow.sklearn.save_model(
        estimator, str(tmp_path / "model"), serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
    )
    with pytest.raises(mlflow.MlflowException, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        mlflow.sklearn.load_model(str(tmp_path / "model"))

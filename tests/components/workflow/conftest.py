"""A registry of each test's own, for tests that publish."""

import pytest

from components.registry.mlflow_store import open_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A client of an empty MLflow store in the test's own folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/state/mlflow.db")
    monkeypatch.setenv("ADLOOM_ARTIFACT_ROOT", str(tmp_path / "state" / "artifacts"))
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    return open_store()

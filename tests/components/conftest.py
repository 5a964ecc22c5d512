import hashlib
import pickle

import numpy as np
import pytest

from components.contract.validation import findings
from components.generators.photos.training_photos import Photos


@pytest.fixture(scope="session")
def photos():
    """240 grey 12x12 photos: category 0 is a bright upper half, 1 a bright left half, 2 a bright disc; some noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:12, :12]
    shapes = np.stack([rows < 6, columns < 6, (rows - 5.5) ** 2 + (columns - 5.5) ** 2 < 16]).astype(float)
    category = np.arange(240, dtype=np.int32) % 3
    light = random.uniform(120, 220, (240, 1, 1))
    pictures = np.clip(shapes[category] * light + random.normal(0, 8, (240, 12, 12)), 0, 255).astype(np.uint8)
    weights = np.zeros((240, 3), np.float32)
    weights[np.arange(240), np.where(light[:, 0, 0] > 170, 0, 1)] = 1.0
    weights[::4] = (0, 0, 1)
    return Photos(pictures[..., None], category, ("top", "left", "disc"), weights)


@pytest.fixture(scope="session")
def earlier_checks() -> dict:
    """Digest of a table, its rules and the log's end -> their outcomes."""
    return {}


@pytest.fixture
def equal_tables_checked_once(earlier_checks, monkeypatch):
    """Rules are checked once on equal tables, byte for byte; a table that a test changes is always checked.

    Great Expectations takes a second for the tables of a small data set, of which most tests change one.
    """
    check_rules = findings.check_rules

    def checked(*table_rules_end):
        digest = hashlib.sha256(pickle.dumps(table_rules_end)).digest()
        if digest not in earlier_checks:
            earlier_checks[digest] = check_rules(*table_rules_end)
        return earlier_checks[digest]

    monkeypatch.setattr(findings, "check_rules", checked)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A client of an empty MLflow store of the module's own, in whose folder its tests work."""
    from components.registry.mlflow_store import open_store

    folder = tmp_path_factory.mktemp("store")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.setenv("ADLOOM_ARTIFACT_ROOT", str(folder / "artifacts"))
    patch.setenv("ADLOOM_STATE", str(folder))
    patch.chdir(folder)
    yield open_store()
    patch.undo()


@pytest.fixture(scope="session")
def broker():
    """A Kafka broker in this process; its topics are for a test to create."""
    from benchmarks.mock_kafka import mock_kafka

    with mock_kafka() as broker:
        yield broker

"""The architecture, held: data flows one way, the truth stays out of the models, six names are one set everywhere."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from components.config import Section, Settings, load_settings
from components.manifest import ROOT, imports_of
from components.paths import STAGES

ROOMS = [
    *("errors", "file_names", "escaping", "addresses", "expansion", "config", "paths", "environment", "notify"),
    *("scratch", "manifest", "contract", "outputs", "folders", "store", "world", "datasets", "pictures", "features"),
    *("interest", "creatives", "policy", "evaluation", "lock", "signing", "tracking", "promotion", "training_log"),
    *("pages", "inputs", "champion", "freshness", "stages", "handoff", "publication", "generation", "cli"),
]
MAY_READ_FILES = {
    "config",
    "manifest",
    "scratch",
    "environment",
    "contract",
    "datasets",
    "lock",
    "signing",
    "tracking",
    "outputs",
    "folders",
    "store",
    "inputs",
    "training_log",
    "stages",
    "cli",
}
SURROUNDING = {"world", "source", "notify"}  # sections of settings that are no stage's
CLOCK_READERS = {
    "components.notify",  # a notice's signature has a time, against replay
    "components.datasets.pull",  # a day that is not over is not pulled
}
WALL_CLOCK = {"time.time", "datetime.now", "datetime.utcnow", "date.today", "pd.Timestamp.now", "pd.Timestamp.utcnow"}
TRUTH_READERS = {"world", "datasets", "stages"}
# These wire stages together, so they reach the truth through them; none makes or judges anything itself.
TRUTH_REACHERS = TRUTH_READERS | {None, "__main__", "cli", "handoff", "publication", "generation"}
SOURCES = sorted((ROOT / "components").rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "components" else None


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_each_room_imports_only_from_rooms_above_it(path):
    room = room_of(module_of(path))
    if room in (None, "__main__"):
        return
    assert room in ROOMS, f"{room} is no room of the house; give its code a room, or list the room"
    above = set(ROOMS[: ROOMS.index(room) + 1])
    for imported in imports_of(module_of(path)):
        if imported.startswith("flows"):
            assert room == "cli", f"{path} imports {imported}"
            continue
        target = room_of(imported)
        assert target is None or target in above, f"{path} imports {imported}, which lies below it"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_the_truth_stays_out_of_every_model(path):
    room = room_of(module_of(path))
    if room not in TRUTH_READERS and room not in ("cli", "publication"):
        assert not any(name.startswith("components.world") for name in imports_of(module_of(path)))


def path_to_truth(module: str) -> list[str]:
    """The imports by which `module` reaches the world, at whatever depth; none where it does not."""
    found: dict[str, str | None] = {module: None}
    waiting = [module]
    while waiting:
        importer = waiting.pop()
        for imported in imports_of(importer):
            if imported not in found:
                found[imported] = importer
                waiting.append(imported)
    path = [next((name for name in found if name.startswith("components.world")), None)]
    while path[-1] is not None:
        path.append(found[path[-1]])
    return path[-2::-1]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_no_model_reaches_the_truth_through_what_it_imports(path):
    if room_of(module_of(path)) not in TRUTH_REACHERS:
        assert path_to_truth(module_of(path)) == []


def test_a_detour_to_the_truth_is_seen(monkeypatch):
    detour = {
        "components.interest.x": {"components.pages"},
        "components.pages": {"components.contract", "components.world.law"},
        "components.contract": {"components.interest.x"},
        "components.world.law": set(),
    }
    monkeypatch.setattr("tests.test_house.imports_of", detour.__getitem__)
    assert path_to_truth("components.interest.x") == [
        "components.interest.x",
        "components.pages",
        "components.world.law",
    ]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_prefect_stays_in_flows_and_mlflow_in_tracking_and_promotion(path):
    source = path.read_text(encoding="utf-8")
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    assert "prefect" not in imported
    if room_of(module_of(path)) not in ("tracking", "promotion", "publication"):
        assert "mlflow" not in imported


FILE_CALLS = {
    "read_parquet",
    "to_parquet",
    "read_csv",
    "to_csv",
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
}
FILE_READERS = {
    "components.generation",  # fetched packages
    "components.evaluation.files",  # what a user names
    "components.world.scenario",
    "components.creatives.generator",  # Keras writes its own format to files only; these are temporary
    "components.interest.network",
    "components.pictures.network",
    "components.promotion.lookup",  # MLflow hands it a path
    "components.promotion.native",
    "components.promotion.record",  # what MLflow fetched
}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_only_a_few_rooms_touch_files(path):
    room = room_of(module_of(path))
    if room in MAY_READ_FILES | {"publication", "paths", None, "__main__"} or module_of(path) in FILE_READERS:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            builtin_open = isinstance(node.func, ast.Name) and node.func.id == "open"
            named = isinstance(node.func, ast.Attribute) and node.func.attr in FILE_CALLS
            assert not (builtin_open or named), f"{path}:{node.lineno} reads or writes a file"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_no_stage_reads_the_wall_clock(path):
    """A clock that jumps changes no byte: the log tells the time, and durations have a clock that only runs."""
    if module_of(path) in CLOCK_READERS:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = f"{ast.unparse(node.func.value)}.{node.func.attr}"
            assert called not in WALL_CLOCK, f"{path}:{node.lineno} reads the wall clock"


def test_six_names_are_one_set_everywhere():
    from components import freshness, stages
    from flows.tasks import TASKS

    names = set(STAGES)
    assert {field for field in Settings.model_fields if field not in SURROUNDING} == names
    assert {name for name in names if issubclass(Settings.model_fields[name].annotation, Section)} == names
    assert set(yaml.safe_load((ROOT / "params.yaml").read_text())) - {*SURROUNDING, "datasets"} == names
    assert set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]) == names
    assert set(freshness.READS) == names
    assert all(callable(getattr(stages, name)) for name in names)
    assert set(TASKS) == names
    assert all(TASKS[name].name == name for name in names)


def test_params_yaml_states_every_section_and_only_defaults():
    """The defaults in code and the settings on file cannot drift apart."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, kind in Settings.model_fields.items():
        assert set(document[section]) == set(kind.annotation.model_fields), section
    assert load_settings(ROOT / "params.yaml", "no overrides of its own") == Settings()


def test_the_repository_names_no_host_and_no_machine():
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    lock = [name for name in tracked if name.endswith((".lock", ".toml", ".yaml", ".yml", "Makefile"))]
    for name in lock:
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        assert not re.search(r"(pypi\.org|files\.pythonhosted|deb\.debian|npmjs|/root/|/work/)", text), name

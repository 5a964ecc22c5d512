"""The architecture, held: data flows one way, the truth stays out of the models, six names are one set everywhere."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from components import PACKAGES
from components.settings.params_file import load_settings
from components.settings.paths import ROOT, STAGES
from components.settings.sections import Section, Settings
from tests.imports import imports_of

ORDER = list(PACKAGES)
MAY_READ_FILES = {"settings", "contract", "datasets", "workflow", "registry", "serving", "cli"}
SURROUNDING = {"simulator", "ads", "source", "notify", "serving"}  # sections of settings that are no stage's
CLOCK_READERS = {
    "components.workflow.webhook",  # a notice's signature has a time, against replay
    "components.datasets.pull",  # a day that is not over is not pulled
    "components.serving.server_clock",  # the time of a request
    "components.registry.creative_reviews",  # when a person decided about a creative
}
WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
    "pd.Timestamp.now",
    "pd.Timestamp.utcnow",
}
TRUTH_READERS = {"simulator", "datasets", "cli"}  # packages; `workflow` has a few modules that may
TRUTH_STAGES = {"export", "stages", "run_stage", "advance", "publication", "remote_stage", "generate"}
TRUTH_MODULES = {"components.serving.served_log"}  # adds rows by the package `datasets`, which also simulates
MOST_MODULES = 18  # of one folder; a larger one is split by topic
SOURCES = sorted((ROOT / "components").rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "components" else None


def may_read_the_truth(module: str) -> bool:
    package = package_of(module)
    if package == "workflow":
        return module.split(".")[-1] in TRUTH_STAGES
    return package in TRUTH_READERS | {None, "__main__"} or module in TRUTH_MODULES


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_each_package_imports_only_from_packages_above_it(path):
    package = package_of(module_of(path))
    if package in (None, "__main__"):
        return
    assert package in ORDER, f"{package} is not in components/__init__.py: put {path} into a package that is, or add it"
    above = set(ORDER[: ORDER.index(package) + 1])
    for imported in imports_of(module_of(path)):
        if imported.startswith("flows"):
            assert package == "cli", f"{path} imports {imported}"
            continue
        target = package_of(imported)
        assert target is None or target in above, f"{path} imports {imported}, which is listed after {package}"


def test_every_package_is_listed_and_has_no_loose_modules_beside_it():
    folder = ROOT / "components"
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(ORDER)
    assert {path.name for path in folder.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_no_folder_is_too_large_to_read():
    sizes = {
        path.parent: len(list(path.parent.glob("*.py"))) - 1 for path in (ROOT / "components").rglob("__init__.py")
    }
    assert {folder.name: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


def test_each_module_has_a_name_of_its_own():
    """One word, one thing: `report`, `storage` or `protocol` in three packages are three things to tell apart."""
    names = Counter(path.stem for path in SOURCES if path.stem[0] != "_" and package_of(module_of(path)) != "cli")
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_the_truth_stays_out_of_every_model(path):
    if not may_read_the_truth(module_of(path)):
        assert not any(name.startswith("components.simulator") for name in imports_of(module_of(path)))


def path_to_truth(module: str) -> list[str]:
    """The imports by which `module` reaches the simulator, at whatever depth; none where it does not."""
    found: dict[str, str | None] = {module: None}
    waiting = [module]
    while waiting:
        importer = waiting.pop()
        for imported in imports_of(importer):
            if imported not in found:
                found[imported] = importer
                waiting.append(imported)
    path = [next((name for name in found if name.startswith("components.simulator")), None)]
    while path[-1] is not None:
        path.append(found[path[-1]])
    return path[-2::-1]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_no_model_reaches_the_truth_through_what_it_imports(path):
    if not may_read_the_truth(module_of(path)):
        assert path_to_truth(module_of(path)) == []


def test_a_detour_to_the_truth_is_seen(monkeypatch):
    detour = {
        "components.interest.x": {"components.workflow.webhook"},
        "components.workflow.webhook": {"components.contract", "components.simulator.click_law"},
        "components.contract": {"components.interest.x"},
        "components.simulator.click_law": set(),
    }
    monkeypatch.setattr("tests.test_architecture.imports_of", detour.__getitem__)
    assert path_to_truth("components.interest.x") == [
        "components.interest.x",
        "components.workflow.webhook",
        "components.simulator.click_law",
    ]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_prefect_stays_in_flows_and_mlflow_in_the_registry(path):
    source = path.read_text(encoding="utf-8")
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    assert "prefect" not in imported
    if package_of(module_of(path)) != "registry":
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
    "components.workflow.generate",  # fetched packages
    "components.evaluation.log_tables",  # what a user names
    "components.simulator.scenario",
    "components.features.products.copy_appeals",  # its list of words
    "components.ads.rendering.designs",  # the files of designs
    "components.ads.copy.claims",  # its list of expressions
    "components.ads.copy.lines",  # its list of lines
    "components.ads.copy.look_alikes",  # its list of characters
    "components.ads.markets.market_rules",  # the rules of each market
    "components.generators.keras_generator",  # Keras writes its own format to files only; these are temporary
    "components.interest.models.two_tower",
    "components.images.network_encoder",
    "components.registry.decision_lookup",  # MLflow hands it a path
    "components.registry.mlflow_flavours",
    "components.registry.decision_records",  # what MLflow fetched
}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_only_a_few_packages_touch_files(path):
    if package_of(module_of(path)) in MAY_READ_FILES | {None, "__main__"} or module_of(path) in FILE_READERS:
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
    from components.workflow import stages
    from components.workflow.caching.stage_graph import GRAPH
    from flows.tasks import TASKS

    names = set(STAGES)
    assert {field for field in Settings.model_fields if field not in SURROUNDING} == names
    assert {name for name in names if issubclass(Settings.model_fields[name].annotation, Section)} == names
    assert set(yaml.safe_load((ROOT / "params.yaml").read_text())) - {*SURROUNDING, "datasets"} == names
    assert set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]) == names
    assert set(GRAPH) == names
    assert all(callable(getattr(stages, name)) for name in names)
    assert set(TASKS) == names
    assert all(TASKS[name].name == name for name in names)


def test_params_yaml_states_every_section_and_only_defaults():
    """The defaults in code and the settings on file cannot drift apart."""
    from components.generators.generator_kinds import FAMILIES, generator_settings
    from components.workflow.run_stage import checked

    def typed(settings: Settings) -> Settings:
        families = {name: generator_settings(settings.creatives, name) for name in FAMILIES}
        return checked(settings.model_copy(update={"creatives": settings.creatives.model_copy(update=families)}))

    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    complete = typed(Settings())
    for section, kind in Settings.model_fields.items():
        sub_sections = getattr(complete, section).model_extra or {}  # of kinds; a kind without settings needs no line
        kinds = {name: settings for name, settings in sub_sections.items() if type(settings).model_fields}
        assert set(document[section]) == {*kind.annotation.model_fields, *kinds}, section
        for name, settings in kinds.items():
            assert set(document[section][name]) <= set(type(settings).model_fields), name
    assert typed(load_settings(ROOT / "params.yaml", "no overrides of its own")) == complete


def test_the_repository_names_no_host_and_no_machine():
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    lock = [name for name in tracked if name.endswith((".lock", ".toml", ".yaml", ".yml", "Makefile"))]
    for name in lock:
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        assert not re.search(r"(pypi\.org|files\.pythonhosted|deb\.debian|npmjs|/root/|/work/)", text), name


def test_git_holds_no_links_and_nothing_that_commands_make():
    """A committed link `data` once kept `make run` of a fresh clone from building the data."""
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    entries = [line.split("\t") for line in listed.splitlines()]
    assert entries and not [name for mode, name in entries if mode.startswith("120000")]
    made = ("data", "artifacts", "ads", ".adloom", ".venv")
    assert not [name for _, name in entries if name.split("/")[0] in made]


def test_tests_mirror_the_packages():
    folders = {path.parent.name for path in (ROOT / "tests" / "components").glob("*/__init__.py")}
    assert folders == set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_paths_that_the_code_names_exist(path):
    folders = r"(?<![\w/])(?:components|flows|benchmarks|expectations|infra)/"
    named = re.findall(folders + r"[\w./-]+\.(?:py|yaml|json)\b", path.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []

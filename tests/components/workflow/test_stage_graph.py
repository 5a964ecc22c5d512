"""A stage declares the code that it imports, and a changed line runs again exactly the stages that use it."""

import ast
import shutil

import pytest
import yaml

from components import PACKAGES
from components.settings.paths import ROOT, STAGES
from components.workflow.caching.manifests import digest_code
from components.workflow.caching.stage_graph import GRAPH
from tests.imports import imports_of, imports_within

BY_VALUE = {"components", "components.settings"}  # and all below it: settings and locations are compared by value
# decide whether a stage runs, and change nothing that it writes
WIRING = {"caching", "caching.freshness", "caching.manifests", "caching.stage_graph"}


def declared_by(stage: str) -> set[str]:
    """The modules that the declaration of `stage` covers."""
    modules = set()
    for source in GRAPH[stage].code:
        base = ROOT / "components" / source
        files = base.rglob("*.py") if base.is_dir() else [base.with_suffix(".py")]
        modules |= {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files}
    return modules


def used_by(stage: str) -> set[str]:
    """The modules that the function of `stage`, and the head of its file, import at any depth."""
    tree = ast.parse((ROOT / "components/workflow/stages.py").read_text())
    others = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in set(STAGES) - {stage}]
    tree.body = [node for node in tree.body if node not in others]
    waiting, modules = list(imports_within(tree)), {"components.workflow.stages"}
    while waiting:
        module = waiting.pop()
        if module not in modules and module not in BY_VALUE and not module.startswith("components.settings."):
            modules.add(module)
            if module.removeprefix("components.workflow.") not in WIRING:
                waiting.extend(imports_of(module))
    return {module for module in modules if module.removeprefix("components.workflow.") not in WIRING}


def package_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_all_the_code_that_it_uses(stage):
    needed = {module for module in used_by(stage) if module != "components.workflow"}
    assert needed - declared_by(stage) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_no_package_that_it_does_not_use(stage):
    packages = {source.split("/")[0] for source in GRAPH[stage].code}
    assert packages - {package_of(module) for module in used_by(stage)} == set()


# What a reader expects a changed line to run again; the declarations must agree.
RUN_AGAIN = {
    "settings": set(),
    "contract": set(STAGES),
    "simulator": {"evaluation"},
    "datasets": set(),
    "images": {"features", "interest", "creatives", "evaluation"},
    "features": {"features", "interest", "creatives", "evaluation"},
    "interest": {"interest", "creatives", "evaluation"},
    "generators": {"creatives"},
    "ads": {"creatives"},
    "policies": {"interest", "evaluation", "promotion"},
    "evaluation": {"evaluation", "promotion"},
    "registry": {"promotion"},
    "workflow": set(STAGES),
    "serving": set(),
    "cli": set(),
}
CHANGED = {"registry": "decision.py", "workflow": "stages.py"}  # where not every module of a package is a stage's


def test_each_package_has_an_expectation():
    assert set(RUN_AGAIN) == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_changed_line_runs_again_exactly_the_stages_that_use_it(package, tmp_path):
    shutil.copytree(ROOT / "components", tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__"))
    before = {stage: digest_code(GRAPH[stage].code, tmp_path / "components") for stage in STAGES}
    file = tmp_path / "components" / package / CHANGED.get(package, "__init__.py")
    file.write_text(file.read_text() + "# another line\n")
    after = {stage: digest_code(GRAPH[stage].code, tmp_path / "components") for stage in STAGES}
    assert {stage for stage in STAGES if before[stage] != after[stage]} == RUN_AGAIN[package]


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_runs_a_stage_again_for_the_same_code_and_inputs(stage):
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["do"]["deps"]
    code = {path.removesuffix(".py") for path in listed if path.startswith("components/")}
    assert code == {f"components/{source}" for source in GRAPH[stage].code}
    assert all((ROOT / path).exists() for path in listed if path.startswith("components/"))
    inputs = {path.removeprefix("artifacts/${item}/") for path in listed if path.startswith("artifacts/")}
    assert inputs == set(GRAPH[stage].reads)

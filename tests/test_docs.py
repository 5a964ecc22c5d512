"""README, CONTRIBUTING and docs/ say what is so: commands, settings, paths, links and tables are held to the code."""

import re
from pathlib import Path

import click
import pytest
import yaml

from components import PACKAGES
from components.cli import _collect, adloom
from components.contract.card import DatasetCard
from components.contract.schema import TABLES
from components.settings.paths import ROOT
from tests import documentation as docs

_collect()
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in docs.PAGES}
ALL = "\n\n".join(TEXTS.values())
TASKS = [name for name in TEXTS if name.startswith("docs/")]
CHECKS = {
    "commands": lambda text: docs.command_faults(text, adloom),
    "deployments": docs.prefect_faults,
    "settings": docs.setting_faults,
    "settings in YAML": docs.yaml_faults,
    "modules": docs.module_faults,
    "make targets": docs.make_faults,
    "paths": docs.path_faults,
    "registries": docs.registry_faults,
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", TEXTS)
def test_a_page_names_only_what_there_is(name, check):
    assert CHECKS[check](TEXTS[name]) == []


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings(name):
    assert docs.link_faults(TEXTS[name], ROOT / name) == []


@pytest.mark.parametrize("name", TASKS)
def test_each_page_begins_with_what_to_type(name):
    heading, empty, command = TEXTS[name].split("\n")[:3]
    assert (heading[:2], empty, command[:4]) == ("# ", "", " " * 4)


def test_readme_is_short_and_its_first_screen_has_a_picture_and_two_commands():
    lines = TEXTS["README.md"].split("\n")
    first = "\n".join(lines[:30])
    assert len(lines) <= 100
    assert "![" in first and "    make run " in first and "    make test " in first


def test_every_page_can_be_reached_from_the_readme():
    pages = {ROOT / name for name in TASKS}
    found, waiting = {README}, [README]
    while waiting:
        page = waiting.pop()
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
        new = {(page.parent / link).resolve() for link in links if ":" not in link} - found
        found |= new
        waiting += new
    assert pages <= found


def _commands(group: click.Group, prefix: str) -> list[str]:
    names = []
    for name, command in group.commands.items():
        inner = _commands(command, f"{prefix} {name}") if isinstance(command, click.Group) else []
        names += inner or [f"{prefix} {name}"]
    return names


@pytest.mark.parametrize("command", _commands(adloom, "adloom"))
def test_every_command_is_described(command):
    mentioned = [found.text for name in TASKS for found in docs.commands(TEXTS[name], "adloom")]
    assert any(text == command or text.startswith(f"{command} ") for text in mentioned)


def test_every_section_of_the_settings_is_mentioned():
    sections = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert sections - set(docs.spans(ALL)) == set()


def test_the_packages_of_the_architecture_page_are_those_of_the_code():
    rows = docs.table(TEXTS["docs/architecture.md"], "package")
    assert [(name.strip("`"), text) for name, text in rows] == list(PACKAGES.items())


def test_the_stages_of_the_run_page_are_those_of_the_code():
    from components.settings.paths import STAGES

    rows = docs.table(TEXTS["docs/run-and-read.md"], "stage")
    assert tuple(row[0].strip("`") for row in rows) == STAGES


def test_the_tables_of_the_data_page_are_those_of_the_contract():
    rows = docs.table(TEXTS["docs/your-data.md"], "table")
    stated = {row[0].strip("`"): [re.findall(r"`([^`]+)`", cell) for cell in row[2:]] for row in rows}
    declared = {
        table.name: [
            [column.name for column in table.columns if not column.nullable],
            [column.name for column in table.columns if column.nullable],
            [f"{prefix}*" for prefix in table.open_prefixes],
        ]
        for table in TABLES.values()
    }
    assert stated == declared
    assert {row[0].strip("`") for row in rows if row[1] == "yes"} == {t.name for t in TABLES.values() if t.needed}


def test_the_fields_of_the_data_page_are_those_of_dataset_yaml():
    rows = docs.table(TEXTS["docs/your-data.md"], "field")
    stated = {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    assert stated == {name for name, field in DatasetCard.model_fields.items() if field.is_required()}


def test_every_row_of_contributing_names_a_path():
    rows = docs.table(TEXTS["CONTRIBUTING.md"], "to change")
    for _, where in rows:
        paths = [span for span in docs.spans(where) if "/" in span or "." in span]
        assert paths, where
        for path in paths:
            pattern = re.sub(r"<\w+>", "*", path.rstrip("/"))
            assert any(ROOT.glob(pattern)) or any((ROOT / "components").rglob(pattern)), path


def test_every_variable_is_listed_for_the_services():
    listed = (ROOT / "infra" / "services.env.example").read_text()
    named = set(re.findall(r"\b(?:ADLOOM|PREFECT|MLFLOW)_[A-Z_]+\b", ALL))
    assert {name for name in named if f"{name}=" not in listed} == set()


def test_old_words_are_gone():
    helps = "\n".join(command.help or "" for command in adloom.commands.values())
    assert re.findall(r"\b(?:rooms?|worlds?|houses?)\b", ALL + helps, flags=re.IGNORECASE) == []


# The checkers themselves, on planted faults.

PLANTED = [
    ("commands", "    adloom runn marketplace\n", "no command runn"),
    ("commands", "Use `adloom data pul NAME`.", "no command pul"),
    ("commands", "    adloom run marketplace --as-off 2026-01-26\n", "--as-off"),
    ("commands", "Use `adloom promote --forced`.", "--forced"),
    ("commands", "    adloom --parameters x run\n", "--parameters"),
    ("commands", "    adloom promote marketplace openbandit\n", "too many arguments"),
    ("commands", "    adloom data add NAME\n", "missing"),
    ("commands", "    adloom evaluate --log log.parquet\n", "missing"),
    ("commands", "    adloom generate marketplace --hour 25 --out ads\n", "25"),
    ("commands", "    adloom run Market/Place\n", "lower-case letters"),
    ("commands", "    ADLOOM_STATE=x .venv/bin/adloom stat   # comment\n", "no command stat"),
    ("commands", "    adloom run --set evaluation.bootstraps=5\n", "evaluation.bootstraps"),
    ("commands", "    adloom run --set evaluation.bootstrap=many\n", "evaluation.bootstrap"),
    ("deployments", "    prefect deployment run pipeline/hourly\n", "no deployment"),
    ("deployments", "    prefect deployment run pipeline/nightly --param as_off=2026-01-26\n", "no parameter as_off"),
    ("deployments", "    prefect deployment run pipeline/nightly --param 'overrides=[\"a.b=1\"]'\n", "a"),
    ("settings", "See `evaluation.min_clickz`.", "no such setting"),
    ("settings", "See `creatives.flow.steps_per`.", "no such setting"),
    ("settings", "See `promotion.boundry: planned`.", "no such setting"),
    ("settings in YAML", "    datasets:\n      bakery:\n        features: {segmentz: 4}\n", "segmentz"),
    ("modules", "Run `python -m benchmarks.ope_gait`.", "no such module"),
    ("modules", "By `benchmarks.served_values`.", "no such module"),
    ("modules", "    python -m flows.watch --twice\n", "no option --twice"),
    ("make targets", "    make tests\n", "no such target"),
    ("paths", "See `components/policy/softmax.py`.", "no such file"),
    ("paths", "See `expectation.py`.", "no such file"),
    ("registries", "`KIND` (`components/interest/model_kinds.py`)", "not assigned"),
]
SOUND = """
Use `adloom run`, `adloom COMMAND --help`, `adloom promote --force --reason TEXT`, `creatives.*.width`,
`creatives.parquet`, `features.*_share`, `promotion.boundary: planned`,
`expectations/<table>.json`, `components/policies/`, `softmax.py`,
`MODEL_KINDS` (`components/interest/model_kinds.py`), `python -m benchmarks.corruptions --trials 2000`.

    make run && adloom run        # comment
    adloom --params FILE run marketplace --set evaluation.bootstrap=2000 --set section.key=value
    prefect deployment run pipeline/nightly \\
      --param 'overrides=["creatives.pool=gpu"]'
"""


@pytest.mark.parametrize(("check", "text", "fault"), PLANTED)
def test_a_planted_fault_is_found(check, text, fault):
    faults = CHECKS[check](text)
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_right_is_no_fault(check):
    assert CHECKS[check](SOUND) == []


def test_planted_faults_of_links_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# A title: with `code`\n")
    page = Path(tmp_path, "page.md")
    right = "# Own\n[a](other.md) [b](other.md#a-title-with-code) [c](#own) [d](https://example.org/x)\n"
    wrong = "[a](others.md) [b](other.md#a-title) [c](#owned)\n![e](picture.png)\n"
    page.write_text(right)
    assert docs.link_faults(right, page) == []
    page.write_text(wrong)
    assert docs.link_faults(wrong, page) == [
        "others.md: no such file",
        "other.md#a-title: no such heading",
        "#owned: no such heading",
        "picture.png: no such file",
    ]


def test_a_table_ends_where_its_rows_do():
    text = (
        "| other | x |\n|---|---|\n| 1 | 2 |\n\n| package | holds |\n|---|---|\n| `a` | b |\n| c | d |\ntext | more |\n"
    )
    assert docs.table(text, "package") == [["`a`", "b"], ["c", "d"]]

"""The commands of docs/import.md, typed as they stand there, lead from two CSV files to a decision."""

import shlex
import shutil
import subprocess
import sys

import pytest

from components.settings.paths import ROOT
from tests import documentation as docs

PAGE = ROOT / "docs" / "import.md"


def first_block() -> list[str]:
    return docs.blocks(PAGE.read_text(encoding="utf-8"))[0].strip().split("\n")


def typed(line: str, folder, **options) -> subprocess.CompletedProcess:
    words = shlex.split(line)
    assert words[0] == "adloom"
    return subprocess.run(
        [sys.executable, "-m", "components", *words[1:]], cwd=folder, capture_output=True, text=True, **options
    )


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with what the commands need of a clone."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "docs" / "sample", tmp_path / "docs" / "sample")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def test_the_sample_is_imported_and_without_a_zone_it_asks_as_the_page_says(clone):
    command = first_block()[0]
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    asked = typed(command.partition(" --zone")[0], clone)
    assert asked.returncode == 1
    assert asked.stderr.strip().removeprefix("adloom: ") in page
    done = typed(command, clone, check=True)
    assert done.stdout.strip().split("\n")[-2] in page


def test_the_sample_is_what_its_script_writes(clone):
    before = {path.name: path.read_bytes() for path in (clone / "docs" / "sample").glob("*.csv")}
    subprocess.run([sys.executable, "docs/sample/make.py"], cwd=clone, check=True)
    assert {path.name: path.read_bytes() for path in (clone / "docs" / "sample").glob("*.csv")} == before


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_commands_lead_to_the_verdict_that_the_page_states(clone):
    for line in first_block():
        done = typed(line, clone)
        assert done.returncode == 0, done.stderr[-2000:]
    shown = " ".join(done.stdout.split())
    assert "abstain" in shown and "the log has 69 rewarded impressions; at least 100 are needed" in shown

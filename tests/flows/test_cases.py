"""Data sets of kinds met in public reports (tests/cases/*/EXPECT.md), through the stages that they used to stop in."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from upath import UPath

from components.contract.card import read_card
from components.contract.files.tables import read_frame, read_json
from components.contract.schema import TABLES
from components.contract.validation.data_report import DataRefused
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT, Paths
from components.workflow import run_stage

CASES = ROOT / "tests" / "cases"
QUICK = (
    *("interest.bootstrap=20", "interest.models=[logistic]", "evaluation.bootstrap=50", "evaluation.clones=2"),
    *("creatives.generators=[vae]", "creatives.vae.steps=30", "creatives.quality_photos=300"),
    *("creatives.quality_samples=60", "creatives.parser_steps=0", "creatives.restarts=0"),
    *(
        "creatives.min_cas=0",
        "creatives.min_category_match=0",
        "creatives.min_diversity=0",
        "creatives.pool_per_campaign=2",
    ),
)


def ran(data: Path, folder: Path, last: str = "evaluation") -> Paths:
    """The stages up to `last` on the data set in `data`, their artifacts below `folder`."""
    name = read_card(UPath(data)).name
    paths = Paths.of(name, str(data), str(folder / "work"))
    for stage in ("validation", "features", "interest", "creatives", "evaluation"):
        run_stage.run(stage, load_settings(ROOT / "params.yaml", name, QUICK), paths)
        if stage == last:
            break
    return paths


def findings(paths: Paths) -> list[dict]:
    """What the log's integrity checks said of every form."""
    forms = read_json(paths.stage("evaluation") / "evaluation.json")["forms"]
    return [finding for form in forms for log in form["logs"] for finding in log["evaluation"]["findings"]]


def reasons(paths: Paths) -> str:
    forms = read_json(paths.stage("evaluation") / "evaluation.json")["forms"]
    return "\n".join(reason for form in forms for log in form["logs"] for reason in log["evaluation"]["reasons"])


def test_rows_that_share_an_id_stop_with_the_reason_and_a_page_that_shows_it(tmp_path):
    with pytest.raises(DataRefused) as caught:
        ran(CASES / "refusal_page_traceback" / "data", tmp_path, "validation")
    message = str(caught.value)
    rows = "impression_id=i000001 click=0, impression_id=i000001 click=1"
    assert f"impressions.impression_id: rows share an id and differ: for example {rows}" in message
    page = (tmp_path / "work" / "shop" / "docs" / "data_docs" / "index.html").read_text(encoding="utf-8")
    assert "Refused: impressions.impression_id: rows share an id and differ" in page


def test_a_local_hour_that_is_text_is_one_sentence(tmp_path):
    with pytest.raises(UserError) as caught:
        ran(CASES / "local_hour_as_text" / "data", tmp_path, "validation")
    assert "context_local_hour: holds string" in str(caught.value) and "\n" not in str(caught.value)


def test_whole_days_are_told_of_and_nothing_is_called_doubled(tmp_path):
    paths = ran(CASES / "dates_only_called_doubled" / "data", tmp_path)
    assert "all timestamps are whole days" in reasons(paths)
    assert "there twice" not in reasons(paths)


def test_an_honest_uniform_log_of_float32_raises_no_alarm(tmp_path):
    paths = ran(CASES / "uniform_float32_run" / "data", tmp_path)
    for words in ("propensity", "propensities", "expected", "quarantine"):
        assert words not in reasons(paths)
    assert read_json(paths.stage("validation") / "report.json")["tables"][0]["quarantined"] == 0


def test_a_policy_with_a_long_chinese_name_has_its_picture(tmp_path):
    paths = ran(CASES / "long_policy_name" / "data", tmp_path)
    pictures = [path.name for path in (paths.stage("evaluation") / "charts").iterdir()]
    assert len(pictures) == 2 and all(name.isascii() and len(name) < 100 for name in pictures)
    assert "新版汤普森采样策略" in (paths.docs / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_campaign_called_as_a_path_stays_in_its_folder(tmp_path):
    paths = ran(CASES / "campaign_as_path" / "data", tmp_path, "creatives")
    names = read_json(paths.stage("creatives") / "pool" / "ads.json")
    pool = read_frame(paths.stage("creatives") / "pool" / "creatives.parquet")
    written = {path.name for path in (paths.stage("creatives") / "pool" / "ads").iterdir()}
    creatives = [ad["creative_id"] for ad in names.values()]
    assert written == set(names) and sorted(creatives) == sorted(pool["creative_id"])
    assert any(creative.startswith("../brand") for creative in creatives)
    assert {path.name for path in tmp_path.iterdir()} == {"work"}
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"shop"}


def test_every_column_that_may_be_null_may_be_absent(tmp_path):
    """All of them at once, through every stage that reads them; one by one they are in test_validation."""
    data = tmp_path / "data"
    shutil.copytree(CASES / "long_policy_name" / "data", data)
    for path in data.glob("*.parquet"):
        columns = [name for name in pq.read_schema(path).names if not _may_be_null(TABLES[path.stem], name)]
        pq.write_table(pq.read_table(path, columns=columns), path)
    paths = ran(data, tmp_path)
    assert reasons(paths)
    report = read_json(paths.stage("validation") / "report.json")
    assert all(table["quarantined"] == 0 for table in report["tables"])


def _may_be_null(table, name: str) -> bool:
    column = table.column(name)
    return column is None or column.nullable


@pytest.mark.slow
def test_a_data_set_may_have_an_underscore_in_its_name(tmp_path, monkeypatch):
    import subprocess
    import sys

    data = CASES / "name_with_underscore" / "data"
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    settings = [word for text in QUICK for word in ("--set", text)]
    command = [sys.executable, "-m", "components", "run", "--data", str(data), "--json", *settings]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr[-3000:]
    assert '"dataset": "my_shop"' in done.stdout
    assert (tmp_path / "artifacts" / "my_shop" / "docs" / "promotion.md").exists()

"""The gate on money: one setting, through the pipeline to the decision, the experiment plan and the registry."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.card import read_card
from components.contract.files.tables import read_frame, read_table
from components.datasets.dataset_files import write_dataset
from components.settings.paths import ROOT, Paths
from tests.conftest import Shop

pytestmark = pytest.mark.slow
NAME, HIGH = "euros", 60.0
# so that half of so short a log judges, and so few rows of a made-up law can
SHORT = ("features.train_share=0.35", "features.calibration_share=0.05", "evaluation.min_ess=50")
SHORT += ("interest.max_calibration_error=1.0",)
TABLES = ("campaigns", "creatives", "impressions", "candidates", "products", "events", "shoppers")


def earning(impressions: pd.DataFrame, window_days: int) -> pd.DataFrame:
    """The log with clicks that depend on the creative alone, and purchases of 10 to 50 EUR at once after most of them;
    those of the last `window_days` are not final."""
    random = np.random.default_rng(0)
    strong = impressions["creative_id"].str[-1].isin(list("05")).to_numpy()
    click = random.random(len(impressions)) < np.where(strong, 0.5, 0.05)
    bought = click & (random.random(len(impressions)) < 0.8)
    ends = impressions["timestamp"].max().ceil("D")
    unknown = click & (impressions["timestamp"] + pd.Timedelta(days=window_days) > ends).to_numpy()
    return impressions.assign(
        click=click.astype(int),
        conversion=pd.Series(bought.astype(int), dtype="Int64").mask(unknown),
        conversion_timestamp=impressions["timestamp"].where(bought & ~unknown),
        revenue=pd.Series(np.where(bought, random.uniform(10, 50, len(impressions)).round(2), 0.0)).mask(unknown),
        cost=0.01,
        feedback=None,
    )


@pytest.fixture(scope="module")
def euro_shop(built_shop, tmp_path_factory) -> Shop:
    """A shop without photos whose conversions are final after a day, in euros."""
    folder = tmp_path_factory.mktemp("euros") / "shop"
    folder.mkdir()
    shutil.copy(built_shop.params, folder)
    tables = {name: read_table(UPath(built_shop.data), name) for name in TABLES}
    tables["impressions"] = earning(tables["impressions"], 1)
    card = read_card(UPath(built_shop.data))
    about = {"name": NAME, "currency": "EUR", "conversion_window_days": 1, "world": None}
    about |= {"real": (), "simulated": TABLES, "ends_at": tables["impressions"]["timestamp"].max().ceil("D")}
    write_dataset(tables, card.model_copy(update=about), UPath(folder / "data" / NAME))
    return Shop(folder)


def run(shop: Shop, workdir: str, *settings: str) -> subprocess.CompletedProcess:
    overrides = [part for setting in (*SHORT, *settings) for part in ("--set", setting)]
    command = [sys.executable, "-m", "components", "run", NAME, "--workdir", workdir, "--json", *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=shop.folder, env=environment, capture_output=True, text=True)


def test_the_gate_on_revenue_promotes_in_euros_and_plans_an_experiment_in_euros(euro_shop):
    done = run(euro_shop, "work", "evaluation.reward=revenue", f"evaluation.reward_high={HIGH}")
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads(done.stdout)[0]
    assert (outcome["action"], outcome["unit"]) == ("promote", "EUR")
    assert any(reason.endswith("] EUR") for reason in outcome["reasons"])
    paths = Paths.of(NAME, workdir=str(euro_shop.folder / "work"))
    record = json.loads((paths.stage("evaluation") / "evaluation.json").read_text())
    assert record["reward"] == {
        "name": "revenue",
        "column": "revenue",
        "unit": "EUR",
        "low": 0.0,
        "high": HIGH,
        "delayed": True,
    }
    log = record["forms"][0]["logs"][0]
    assert any("left out because their rewards are not final yet" in reason for reason in log["evaluation"]["reasons"])
    assert record["forms"][0]["gate"]["reward_scale"] == HIGH
    judged = read_frame(paths.stage("features") / "impressions.parquet").query("split == 'judge'")
    rows = read_table(paths.stage("validation"), "impressions").set_index("impression_id").loc[judged["impression_id"]]
    final = rows[rows["timestamp"] + pd.Timedelta(days=1) <= rows["timestamp"].max().ceil("D")]
    assert 0 < len(final) < len(rows)
    assert log["evaluation"]["n"] == len(final) == record["forms"][0]["gate"]["impressions"]
    assert log["traffic"]["mean_reward"] == pytest.approx(final["revenue"].mean())
    assert log["traffic"]["mean_square"] == pytest.approx((final["revenue"] ** 2).mean() / final["revenue"].mean())
    plan = json.loads((paths.stage("promotion") / "experiment.json").read_text())
    assert plan["unit"] == "EUR" and plan["mean_reward"] == log["evaluation"]["baseline"]["value"]
    assert "EUR per impression of any segment" in {rail["metric"] for rail in plan["guardrails"]}
    text = (paths.stage("promotion") / "experiment.md").read_text()
    assert "EUR per 1,000 impressions" in text and "click" not in text.replace("cost_per_click", "")
    assert "Values are in EUR per impression" in (paths.docs / "evaluation.md").read_text()


def test_a_range_that_the_log_breaks_stops_before_any_bound_is_made(euro_shop):
    done = run(euro_shop, "refused", "evaluation.reward=revenue", "evaluation.reward_high=30")
    assert done.returncode == 1
    assert "impressions: column revenue: " in done.stderr
    assert "is above 30 EUR: set evaluation.reward_high" in done.stderr
    assert not (euro_shop.folder / "refused" / NAME / "evaluation" / "evaluation.json").exists()

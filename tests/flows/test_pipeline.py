"""The whole chain on the small shop: runs, ends in a decision with its reason, and repeats only what changed."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from markupsafe import escape
from upath import UPath

from components.contract.card import read_card
from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_frame, write_json, write_table
from components.registry.mlflow_store import artifacts_in, open_store, versions_of
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT, STAGES, Paths
from components.workflow import run_stage
from components.workflow.caching.manifests import read_manifest
from tests.conftest import Shop

pytestmark = pytest.mark.slow
INTERVALS = {f"intervals-{form}-production-softmax.png" for form in ("table", "per_shopper")}


@pytest.fixture
def finished(finished_shop, tmp_path, monkeypatch):
    """A copy of the finished shop that a test may spoil; the working directory is its folder."""
    shop, outcome = finished_shop
    shutil.copytree(shop.folder, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return Shop(tmp_path / "shop"), outcome


def all_digests() -> dict[str, dict[str, str]]:
    paths = Paths.of("marketplace")
    return {name: digest_tree(paths.stage(name)) for name in STAGES}


def run_stages(overrides: tuple[str, ...] = ()) -> list[str]:
    """The stages that ran."""
    settings, paths = load_settings("params.yaml", "marketplace", overrides), Paths.of("marketplace")
    return [name for name in STAGES if run_stage.run(name, settings, paths)]


def list_again(folder: UPath) -> None:
    """Let the manifest of a stage list the files that a test has put there."""
    write_json({**read_manifest(folder).to_dict(), "outputs": digest_tree(folder)}, folder / "manifest.json")


def test_a_run_ends_in_a_decision_with_a_reason(finished):
    _, outcome = finished
    assert outcome["action"] in ("promote", "refuse", "abstain")
    assert outcome["reasons"]
    record = json.loads((UPath("artifacts/marketplace/promotion") / "decision.json").read_text())
    assert record["action"] == outcome["action"]


def test_a_run_names_its_report_which_its_mlflow_run_has_too(finished):
    _, outcome = finished
    docs = UPath("artifacts/marketplace/docs")
    assert outcome["report"] == str(Paths.of("marketplace").docs / "report.html")
    page = (docs / "report.html").read_text(encoding="utf-8")
    assert all(str(escape(reason)) in page for reason in outcome["reasons"]) and (docs / "report.zh.html").exists()
    version = versions_of(open_store(), "marketplace-policy")[outcome["candidate"] - 1]
    assert artifacts_in(version, "report") == ["report/report.html", "report/report.zh.html"]


def test_every_stage_leaves_a_manifest_of_what_it_wrote(finished):
    paths = Paths.of("marketplace")
    for name in STAGES:
        assert dict(read_manifest(paths.stage(name)).outputs) == digest_tree(paths.stage(name))


def test_what_is_finished_keeps_no_checkpoint(finished):
    """They are for a stage that was cut off, or failed behind a training; a rerun that is asked for trains anew."""
    assert not list((Paths.of("marketplace").artifacts / "checkpoints").glob("*"))


def test_people_see_pages_ads_and_boards(finished):
    docs = UPath("artifacts/marketplace/docs")
    assert {page.name for page in docs.glob("*.md")} == {f"{name}.md" for name in STAGES}
    assert (docs / "data_docs" / "index.html").exists()
    boards = {path.name for path in UPath("artifacts/marketplace/creatives/boards").glob("*.png")}
    assert boards == {"ads-300x250.png", "captions.png", "people-300x250.png", "vae-3.png", "wgan-3.png"}
    assert {path.name for path in UPath("artifacts/marketplace/evaluation/charts").iterdir()} == INTERVALS


def test_a_second_run_runs_no_stage_and_changes_no_byte(finished):
    before = all_digests()
    assert run_stages() == []
    assert all_digests() == before


def test_a_second_run_imports_neither_tensorflow_nor_great_expectations(finished):
    code = (
        "import sys; from components.workflow import run_stage; "
        "from components.settings.params_file import load_settings; "
        "from components.settings.paths import STAGES, Paths; s = load_settings('params.yaml', 'marketplace'); "
        "assert not any(run_stage.run(n, s, Paths.of('marketplace')) for n in STAGES); "
        "assert not {'tensorflow', 'keras', 'great_expectations'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_changed_setting_reruns_only_what_depends_on_it(finished):
    assert run_stages(("promotion.margin=0.5",)) == ["promotion"]
    assert run_stages(("evaluation.bootstrap=40",)) == ["evaluation", "promotion"]


def test_a_stage_killed_before_its_manifest_runs_again(finished):
    manifest = Paths.of("marketplace").stage("promotion") / "manifest.json"
    manifest.unlink()
    assert run_stages() == ["promotion"]


def test_an_output_that_was_touched_is_made_again(finished):
    file = Paths.of("marketplace").stage("promotion") / "decision.json"
    before = file.read_bytes()
    file.write_text("{}")
    assert run_stages() == ["promotion"]
    assert file.read_bytes() == before


def test_a_later_stage_refuses_outputs_that_were_cut_off_or_altered(finished):
    """A half-written interest output, then `adloom stage evaluation`: it was taken for fresh, with a wrong lift."""
    settings, paths = load_settings("params.yaml", "marketplace"), Paths.of("marketplace")
    file = paths.stage("interest") / "predictions.parquet"
    whole, before = file.read_bytes(), all_digests()
    for change in (lambda: file.write_bytes(whole[:-1] + b"2"), lambda: file.unlink()):
        change()
        for name in ("creatives", "evaluation"):
            with pytest.raises(
                UserError, match=r"interest of marketplace, whose files .*predictions\.parquet.*stage interest"
            ):
                run_stage.run(name, settings, paths)
    assert run_stages() == ["interest"]
    assert all_digests() == before


def test_a_stage_drops_its_manifest_before_its_first_file(finished, monkeypatch):
    settings, paths = load_settings("params.yaml", "marketplace"), Paths.of("marketplace")
    folder, before = paths.stage("features"), all_digests()

    def killed(path, name):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("components.workflow.stage_outputs.write_json", killed)
        patch.setattr("components.workflow.stage_outputs.write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):  # one table is new, the model is not
            run_stage.run("features", settings, paths, force=True)
    assert read_manifest(folder) is None
    with pytest.raises(UserError, match="features of marketplace, which has not run, or was interrupted"):
        run_stage.run("interest", settings, paths)
    assert run_stages() == ["features"]
    assert all_digests() == before


def test_quarantine_is_compared_with_the_rows_that_are_judged(finished):
    """One creative's rows are lost: early ones say nothing of the judged rows, those without a time do."""
    paths = Paths.of("marketplace")
    settings = load_settings("params.yaml", "marketplace")
    impressions = read_frame(paths.stage("validation") / "impressions.parquet")
    planted = impressions[impressions["creative_id"] == impressions["creative_id"].mode()[0]].assign(reason="planted")
    nowhen = planted.assign(timestamp=pd.Series(pd.NaT, planted.index, planted["timestamp"].dtype))
    for lost, skewed in ((planted.head(60), False), (nowhen.head(60), True)):
        write_table(lost, paths.stage("validation") / "quarantine" / "impressions.parquet")
        list_again(paths.stage("validation"))
        write_json([run_stage.question(settings, paths)], paths.ledger)
        run_stage.run("evaluation", settings, paths, force=True)
        assert ("| quarantine | critical |" in (paths.docs / "evaluation.md").read_text()) == skewed


def test_the_registry_holds_versions_with_reasons(finished_shop):
    from components.registry.mlflow_store import open_store
    from components.registry.model_status import model_status

    rows = {row["model"]: row for row in model_status(open_store(), "marketplace")}
    assert rows["marketplace-interest"]["latest"] == 1
    assert rows["marketplace-creatives"]["reasons"]
    assert rows["marketplace-policy"]["decision"] == finished_shop[1]["action"]


def test_the_generators_keep_an_audience_and_name_the_model_that_scored_their_pool(finished_shop):
    from components.contract.files.tables import read_frame
    from components.registry.mlflow_store import find_version, open_store

    stage = Paths.of("marketplace", workdir=str(finished_shop[0].folder / "artifacts")).stage("creatives")
    about = json.loads((stage / "model" / "about.json").read_text())
    assert find_version(open_store(), "marketplace-interest", about["interest"]).number == 1
    assert [campaign["campaign"] for campaign in about["campaigns"]] == ["c00", "c01"]
    assert {"model/audience.parquet", "model/bounds.npz"} <= set(read_manifest(stage).outputs)
    disjoint = {
        name.split("/")[2] for name in read_manifest(stage.parent / "interest").outputs if "/disjoint_models/" in name
    }
    assert disjoint == {"0", "1"}  # `adloom generate --personalise` reads them
    audience = read_frame(stage / "model" / "audience.parquet")
    assert audience["audience"].value_counts().max() == 60 and "shopper_id" not in audience


def test_the_policys_mlflow_run_shows_the_trust_card_and_all_intervals(finished_shop):
    from components.registry.mlflow_store import open_store

    client = open_store()
    run = client.search_model_versions("name = 'marketplace-policy'")[0].run_id
    assert {f"pictures/{name}" for name in INTERVALS} <= {file.path for file in client.list_artifacts(run, "pictures")}
    assert "evaluation.md" in {file.path for file in client.list_artifacts(run)}


def test_without_a_charge_the_judged_rows_are_not_looked_at(finished):
    """What `dvc repro` does on a machine whose ledger was never charged: a preview on the select slice, no decision."""
    paths, before = Paths.of("marketplace"), all_digests()
    assert json.loads((paths.stage("evaluation") / "evaluation.json").read_text())["judged"] is True
    ledger = paths.ledger.read_text()
    paths.ledger.write_text("[]")
    assert run_stages() == ["evaluation", "promotion"]
    evaluated = json.loads((paths.stage("evaluation") / "evaluation.json").read_text())
    selected = read_frame(paths.stage("features") / "impressions.parquet")["split"].value_counts()["select"]
    assert evaluated["judged"] is False
    assert evaluated["forms"][0]["logs"][0]["evaluation"]["n"] == selected
    decision = json.loads((paths.stage("promotion") / "decision.json").read_text())
    assert decision["action"] == "preview" and decision["acts"] is None
    assert "preview" in (paths.docs / "evaluation.md").read_text()
    paths.ledger.write_text(ledger)
    assert run_stages() == ["evaluation", "promotion"]
    assert all_digests() == before


def test_a_question_is_all_that_its_answer_depends_on(finished):
    """A re-rolled seed, guard, bound or boundary is another question; who approves is none."""
    paths = Paths.of("marketplace")

    def question(*overrides: str) -> str:
        return run_stage.question(load_settings("params.yaml", "marketplace", overrides), paths)

    questions = json.loads(paths.ledger.read_text())
    assert question() == questions[-1] == question("promotion.approval=manual")
    others = {
        question(change)
        for change in (
            "evaluation.seed=1", "evaluation.exclude_bots=true", "evaluation.guard_bound=0.2", "evaluation.min_ess=1.0",
            "evaluation.policy.temperatures=[0.05]", "promotion.margin=0.001", "promotion.alpha=0.1",
        )
    }  # fmt: skip
    assert len(others) == 7 and not others & set(questions)


def test_dvc_and_the_flow_write_the_same_bytes(finished):
    """From the same champion snapshot and ledger, on one machine."""
    digests, ledger = all_digests(), UPath("artifacts/marketplace/ledger.json").read_text()
    shutil.rmtree("artifacts/marketplace")
    UPath("artifacts/marketplace").mkdir()
    UPath("artifacts/marketplace/ledger.json").write_text(ledger)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, name)
    for name in ("expectations", "components"):
        shutil.copytree(ROOT / name, name)
    bin_folder = os.path.dirname(sys.executable)
    text = (UPath("dvc.yaml")).read_text().replace("$PWD/.venv/bin", bin_folder)
    UPath("dvc.yaml").write_text(text)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run([*dvc, "init", "-q"], check=True)
    subprocess.run([*dvc, "add", "-q", "data"], check=True)
    committed = UPath("data.dvc").read_text()
    subprocess.run([*dvc, "repro", "-q", "promotion@marketplace"], check=True)
    made = all_digests()
    for name in STAGES:
        assert made[name] == digests[name], name
    assert UPath("data.dvc").read_text() == committed
    again = subprocess.run([*dvc, "repro", "promotion@marketplace"], check=True, capture_output=True, text=True)
    assert "Running stage" not in again.stdout


def test_a_backfill_by_the_whole_chain_gives_the_bytes_of_that_days_own_run(finished, tmp_path):
    """Days and conversions that came since change nothing; the registry is as empty as it was that day."""
    digests, ended = all_digests(), read_card(UPath("data/marketplace")).ends_at
    adloom = [sys.executable, "-m", "components"]
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'registry.db'}"
    }  # fmt: skip
    for command in (
        ["data", "advance", "marketplace", "--days", "2"],
        ["run", "marketplace", "--as-of", ended.isoformat(), "--workdir", "again", "--publish"],
    ):
        done = subprocess.run([*adloom, *command], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    assert read_card(UPath("data/marketplace")).ends_at > ended
    again = Paths.of("marketplace", workdir="again")
    for name in STAGES:
        assert digest_tree(again.stage(name)) == digests[name], name

"""publish() to a promotion and an export: the stages' files as they were judged, or nothing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from upath import UPath

from components.contract.files.digests import digest_json, digest_package, digest_tree
from components.contract.files.tables import read_json, write_json, write_table
from components.evaluation.gate.ledger import share_of
from components.images.decoding import encode_png
from components.policies.kinds.learned_scores import LearnedScores
from components.policies.policy_package import PolicyPackage
from components.policies.table_reasons import REASON_COLUMNS
from components.registry.decision import Gate, decide
from components.registry.decision_records import log_record
from components.registry.mlflow_store import digest_of, git_commit, version_of
from components.registry.model_status import model_status
from components.registry.promotion import CHALLENGER, CHAMPION, charge, promote
from components.registry.refresh import RefitNight
from components.registry.refresh_records import refresh_state
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import PromotionConfig, Settings
from components.workflow.caching.freshness import question_of
from components.workflow.caching.manifests import Manifest
from components.workflow.publishing import nightly_refit
from components.workflow.publishing.deployed_policy import read_champion
from components.workflow.publishing.export import export, export_to, exported_policy, renew_export
from components.workflow.publishing.publication import preview, publish, snapshot
from tests.components.policies.packages import package, write
from tests.components.registry.test_decision import evidence, form
from tests.components.registry.unreadable import cannot_be_read
from tests.fixtures.packages.make import FOLDER

NAME = "shop-policy"
SETTINGS = Settings()


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths.of("shop", workdir=str(tmp_path / "artifacts"))


def run_stages(
    store,
    paths: Paths,
    first: float = 0.75,
    gain: float = 0.2,
    *,
    made: PolicyPackage | None = None,
    prepare=None,
    charged: bool = True,
) -> None:
    """What the six stages leave, in small: a real model of interest, no photos, a policy, and its decision."""
    snapshot("shop", SETTINGS, paths)
    interest = paths.stage("interest")
    shutil.copytree(FOLDER / "0.1.0" / "interest", Path(interest / "model"), dirs_exist_ok=True)
    write_json({"passed": True, "reasons": ["calibrated"]}, interest / "metrics.json")
    write_json({"gate": None}, paths.stage("creatives") / "metrics.json")
    policy = paths.stage("promotion") / "policy"
    write(Path(policy), made or package(first=first))
    if prepare is not None:
        prepare(paths)
    inputs = {}
    for name in ("validation", "features", "interest", "creatives", "evaluation"):
        inputs[name] = finish(name, paths, {"data": "0" * 64})
    champion = digest_package(paths.champion) if paths.champion.exists() else None
    candidate, question = digest_package(policy), f"{first} {gain} {champion}"
    alpha = share_of(PromotionConfig().alpha, charge(store, NAME, question).index(question)) if charged else None
    fields = {"candidate": candidate, "champion": champion, "question": question, "alpha": alpha}
    decision_evidence = evidence(**fields, gain=gain)
    decision_evidence = replace(
        decision_evidence, interest=Gate(True, ("calibrated",)), creatives=None, new_creatives=False
    )
    if made is not None:
        forms = tuple(form(name, gain=gain) for name in made.parameters.forms)
        decision_evidence = replace(decision_evidence, forms=forms)
    write_json(decide(decision_evidence, PromotionConfig()).to_dict(), paths.stage("promotion") / "decision.json")
    finish("promotion", paths, inputs)


def finish(name: str, paths: Paths, inputs: dict) -> str:
    """Write the manifest of a stage; the digest by which a later stage knows its outputs."""
    folder = paths.stage(name)
    Path(folder).mkdir(parents=True, exist_ok=True)
    outputs = digest_tree(folder)
    write_json(Manifest(name, "settings", "code", inputs, outputs).to_dict(), folder / "manifest.json")
    return digest_json(outputs)


def published(paths: Paths, settings: Settings = SETTINGS) -> dict:
    outcome = publish("shop", settings, paths, "a-flow-run")
    export(outcome, paths)
    return outcome


def test_publish_promotes_and_exports_what_was_judged(store, paths):
    run_stages(store, paths)
    outcome = published(paths)
    assert (outcome["action"], outcome["champion"], outcome["candidate"]) == ("promote", 1, 1)
    manifest = read_json(paths.export / "manifest.json")
    assert manifest["package"] == digest_package(paths.stage("promotion") / "policy") == outcome["package"]
    assert exported_policy(paths).name == manifest["logging_policy"]
    champion = version_of(store, NAME, CHAMPION)
    assert champion.tags["git_commit"] == git_commit() and champion.tags["recipe"]
    assert version_of(store, "shop-interest", CHAMPION).number == 1
    assert published(paths)["action"] == "keep"


def test_the_next_nights_refused_candidate_leaves_the_champions_export(store, paths):
    run_stages(store, paths)
    published(paths)
    exported = digest_tree(paths.export, skip=())
    run_stages(store, paths, first=0.5, gain=0.0)
    outcome = published(paths)
    assert (outcome["action"], outcome["champion"], outcome["candidate"]) == ("refuse", 1, 2)
    assert digest_tree(paths.export, skip=()) == exported


@pytest.fixture
def night(store, paths, monkeypatch):
    """A night: the champion's recipe is refitted on a log that ends at `until`, and the last refit is scored."""
    settings = Settings(promotion=PromotionConfig(refresh=True))
    monkeypatch.setattr(nightly_refit, "digest_code", lambda sources: "code")  # that of the manifests here

    def one_night(until: int, first: float, sums: tuple[int, float, float] | None = None) -> dict:
        ends_at = pd.DataFrame({"timestamp": pd.to_datetime([until], unit="us", utc=True)})
        run_stages(
            store,
            paths,
            first,
            charged=False,
            prepare=lambda paths: write_table(ends_at, paths.stage("validation") / "impressions.parquet"),
        )
        champion = version_of(store, NAME, CHAMPION)
        last = refresh_state(champion)
        scored = None if sums is None else RefitNight(last.refit, *sums)
        outcome = publish("shop", settings, paths, "a-flow-run", scored)
        export(outcome, paths)
        return outcome

    return one_night


def test_a_refit_that_acts_is_exported_in_the_champions_place(store, paths, night):
    run_stages(store, paths)
    published(paths)
    good = (1000, 40.0, 40.0)
    outcomes = [night(1, 0.7), night(2, 0.71, good), night(3, 0.72, good)]
    assert [outcome["action"] for outcome in outcomes] == ["hold", "hold", "refresh"]
    assert [outcome["deployed"] for outcome in outcomes] == [1, 1, 4] and outcomes[-1]["champion"] == 1
    manifest = read_json(paths.export / "manifest.json")
    assert (manifest["policy_version"], manifest["acts"], manifest["forms"]) == (4, "table", ["table"])
    assert manifest["package"] == digest_package(paths.stage("promotion") / "policy")
    assert exported_policy(paths).name == manifest["logging_policy"]
    assert night(3, 0.72, good) == outcomes[-1], "a repeated run adds nothing"
    run_stages(store, paths, first=0.4, gain=0.0)  # of other settings: refused, and the refit goes on
    outcome = published(paths)
    assert (outcome["action"], outcome["champion"], outcome["deployed"]) == ("refuse", 1, 4)
    assert read_json(paths.export / "manifest.json") == manifest
    outcome = night(4, 0.73, (1000, -300.0, 40.0))
    assert (outcome["action"], outcome["deployed"]) == ("withdraw", 1)
    assert read_json(paths.export / "manifest.json")["package"] == digest_package(paths.champion)


def test_questions_to_the_ledger_do_not_depend_on_refreshes():
    switches = [(on, margin) for on in (False, True) for margin in (0.0, 0.1)]
    asked = {question_of("e", PromotionConfig(refresh=on, refresh_margin=margin)) for on, margin in switches}
    assert asked == {question_of("e", PromotionConfig())}


@pytest.mark.parametrize(
    "file", ["interest/model/interest/calibration.json", "promotion/policy/policy.json", "promotion/decision.json"]
)
def test_files_that_were_not_judged_are_not_registered(store, paths, file):
    """As of another run that wrote among them, or of a hand."""
    run_stages(store, paths)
    place = paths.artifacts / file
    record = json.loads(place.read_text())
    place.write_text(json.dumps({**record, "margin": -1.0}))
    with pytest.raises(UserError, match=rf"the files of {file.split('/')[0]} are not the judged ones"):
        publish("shop", SETTINGS, paths, "a-flow-run")
    assert not store.search_registered_models("name = 'shop-interest'")
    assert version_of(store, NAME, CHAMPION) is None


def test_a_stage_of_another_run_is_not_registered(store, paths):
    """Whole in itself, and not what the decision read."""
    run_stages(store, paths)
    (paths.stage("interest") / "metrics.json").write_text('{"passed": true, "reasons": ["of another run"]}')
    finish("interest", paths, {})
    with pytest.raises(UserError, match="the files of interest are not the judged ones"):
        publish("shop", SETTINGS, paths, "a-flow-run")
    assert version_of(store, NAME, CHAMPION) is None


def test_an_export_of_other_files_than_the_registered_is_refused(store, paths):
    run_stages(store, paths)
    outcome = publish("shop", SETTINGS, paths, "a-flow-run")
    (paths.stage("promotion") / "policy" / "decisions.parquet").write_bytes(b"others")
    with pytest.raises(UserError, match="these are not the registered files of version 1"):
        export(outcome, paths)
    assert not paths.export.exists()


def test_an_altered_export_does_not_act(store, paths):
    run_stages(store, paths)
    published(paths)
    (paths.export / "decisions.parquet").write_bytes(b"others")
    with pytest.raises(UserError, match=r"decisions\.parquet differ from the package"):
        exported_policy(paths)


def test_a_policy_with_scores_of_its_own_is_exported_with_them_and_without_a_model(store, paths):
    scores = LearnedScores(pd.DataFrame({"segment": ["any"], "creative_id": ["a"], "score": [0.02]}))
    parameters = replace(package().parameters, policy="popularity", policy_settings={"prior_impressions": 5})
    run_stages(store, paths, made=replace(package(), parameters=parameters, scores=scores))
    published(paths)
    manifest = read_json(paths.export / "manifest.json")
    assert set(manifest["forms"]) == {"table", "per_shopper"}
    assert {"scores.parquet", "segments.parquet", "decisions.parquet", "policy.json"} <= set(manifest["files"])
    assert not any(name.startswith("model/") for name in manifest["files"])


def test_the_reasons_of_a_table_are_exported_with_it(store, paths):
    row = ("0", "top", "c", "a", 1, 0.2, "the look is clicked more than in the other ads", "外观比其他广告更受点击")
    reasons = pd.DataFrame([row], columns=list(REASON_COLUMNS))
    run_stages(store, paths, made=replace(package(), reasons=reasons))
    published(paths)
    assert read_json(paths.export / "manifest.json")["files"]["reasons.parquet"]
    exported = pd.read_parquet(Path(paths.export / "reasons.parquet"))
    pd.testing.assert_frame_equal(exported, reasons, check_dtype=False)
    assert exported_policy(paths) is not None


def with_an_ad(paths: Paths) -> None:
    """Put one drawn ad into the candidate's pool, before its package is published."""
    pool = Path(paths.stage("promotion") / "policy" / "pool")
    (pool / "ads").mkdir(parents=True)
    (pool / "ads" / "new-300x250.png").write_bytes(encode_png(np.arange(300 * 250 * 3).reshape(250, 300, 3) % 251))
    (pool / "ads.json").write_text(json.dumps({"new-300x250.png": {"creative_id": "new", "size": "300x250"}}))


@pytest.mark.parametrize(("image_format", "name"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
def test_the_champion_is_exported_to_a_folder_of_ones_own_with_equal_bytes(store, paths, tmp_path, image_format, name):
    run_stages(store, paths, prepare=with_an_ad)
    published(paths)
    out = UPath(tmp_path / "for the ad server")
    manifest = export_to(out, "shop", paths, image_format)
    assert manifest["ads"] == {f"new-300x250.{name}": {"creative_id": "new", "size": "300x250"}}
    with Image.open(str(out / "ads" / f"new-300x250.{name}")) as ad:
        assert (ad.format.lower(), ad.size) == (image_format, (300, 250))
    here = digest_tree(paths.export, skip=("manifest.json",))
    there = digest_tree(out, skip=("manifest.json",))
    assert manifest["files"] == there
    assert {file: there[file] for file in there if "ads/" not in file} == {
        file: here[file] for file in here if "ads/" not in file
    }
    first = digest_tree(out, skip=())
    export_to(out, "shop", paths, image_format)
    assert digest_tree(out, skip=()) == first


def test_an_export_replaces_no_folder_of_other_content(store, paths, tmp_path):
    with pytest.raises(UserError, match="shop-policy has no champion; `adloom run shop`"):
        export_to(UPath(tmp_path / "out"), "shop", paths)
    run_stages(store, paths)
    published(paths)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match="photos: is not empty and holds no export of shop"):
        export_to(UPath(tmp_path / "photos"), "shop", paths)
    with pytest.raises(UserError, match=r"cat\.jpg: is a file, not a folder"):
        export_to(UPath(tmp_path / "photos" / "cat.jpg"), "shop", paths)
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"mine"


def test_a_promotion_by_hand_exports_at_once(store, paths):
    waits = Settings(promotion=PromotionConfig(approval="manual"))
    run_stages(store, paths)
    assert published(paths, waits)["action"] == "wait" and not paths.export.exists()
    assert version_of(store, NAME, CHALLENGER).number == 1
    promote(store, NAME, False, "read it", "ann")
    assert renew_export("shop", paths)
    assert read_json(paths.export / "manifest.json")["policy_version"] == 1
    run_stages(store, paths, first=0.6)
    assert published(paths, waits)["action"] == "wait"
    assert read_json(paths.export / "manifest.json")["policy_version"] == 1
    promote(store, NAME, False, "read it", "ann")
    assert renew_export("shop", paths)
    assert read_json(paths.export / "manifest.json")["policy_version"] == 2


def test_a_snapshot_is_fetched_anew_unless_it_is_the_signed_champion(store, paths):
    run_stages(store, paths)
    published(paths)
    snapshot("shop", SETTINGS, paths)
    before = digest_tree(paths.champion)
    assert read_json(paths.champion_record)["package"] == digest_package(paths.champion)
    for spoil in (
        lambda: (paths.champion / "policy.json").write_text("{}"),
        lambda: (paths.champion / ".hidden").write_text(""),
        lambda: (paths.artifacts / "champion.sig").write_text("{}"),
        lambda: (paths.artifacts / "champion.sig").unlink(),
        lambda: shutil.rmtree(paths.champion),
    ):
        spoil()
        snapshot("shop", SETTINGS, paths)
        assert digest_tree(paths.champion, skip=()) == before
        assert (paths.artifacts / "champion.sig").stat().st_size > 100


def test_a_tampered_form_is_not_taken_from_a_tag(store, paths):
    """Which form acts is what the signed decision says."""
    run_stages(store, paths)
    published(paths)
    store.set_model_version_tag(NAME, "1", "acts", "per_shopper")
    with pytest.raises(UserError, match="its tag acts is 'per_shopper', but its signed decision has 'table'"):
        snapshot("shop", SETTINGS, paths)


def test_a_run_as_of_an_earlier_time_tells_what_it_did_not_publish(store, paths):
    run_stages(store, paths)
    outcome = preview("shop", paths)
    assert (outcome["action"], outcome["champion"], outcome["candidate"]) == ("preview", None, None)
    assert "publishes nothing; with `--publish`" in outcome["reasons"][-1]
    assert set(outcome) == set(publish("shop", SETTINGS, paths, "a-flow-run"))


def test_a_working_tree_with_changes_is_recorded(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.chdir(tmp_path)
    assert git_commit() == "unknown"
    (tmp_path / "file").write_text("one")
    for words in (["init", "-q"], ["add", "file"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], check=True)
    clean = git_commit()
    assert len(clean) == 40
    (tmp_path / "unknown to git").write_text("")
    assert git_commit() == clean
    (tmp_path / "file").write_text("two")
    assert git_commit() == f"{clean}+dirty"


def with_layout(monkeypatch, change) -> None:
    """Let `run_stages` write a package whose policy.json is `change` of the present one."""

    present = write

    def earlier(folder, policy):
        present(folder, policy)
        file = folder / "policy.json"
        file.write_text(json.dumps(change(json.loads(file.read_text()))))

    monkeypatch.setattr(f"{__name__}.write", earlier)


def test_a_champion_of_an_earlier_layout_is_read(store, paths, monkeypatch):
    """Before policies had names, packages called theirs `weighing`; decisions were about clicks and did not say so."""
    with monkeypatch.context() as patch:
        with_layout(patch, lambda now: {**without(now, "policy", "policy_settings"), "weighing": "chi-square"})
        run_stages(store, paths)
        published(paths)
    champion, record = version_of(store, NAME, CHAMPION), read_json(paths.stage("promotion") / "decision.json")
    log_record(store, champion, {**record, "evidence": without(record["evidence"], "reward")})
    snapshot("shop", SETTINGS, paths)
    assert read_champion(paths).package.files() == package().files()
    assert read_champion(paths).acts == "table"


def test_a_champion_that_this_release_cannot_read_stops_the_run_at_its_start_and_says_what_to_do(
    store, paths, monkeypatch
):
    with_layout(monkeypatch, lambda now: {"weights": "of release 0.0"})
    run_stages(store, paths)
    published(paths)
    message = (
        r"shop-policy version 1, the champion, was registered by an earlier release, .* \(`adloom rollback shop`\), or "
        r".* delete the alias champion of shop-policy in MLflow"
    )
    for _ in range(2):
        with pytest.raises(UserError, match=message):
            snapshot("shop", SETTINGS, paths)
    assert version_of(store, NAME, CHAMPION).number == 1, "nothing was moved"
    store.delete_registered_model_alias(NAME, CHAMPION)
    snapshot("shop", SETTINGS, paths)
    assert read_champion(paths) is None and not paths.champion_record.exists()


def test_so_does_one_whose_decision_it_cannot_read(store, paths):
    run_stages(store, paths)
    published(paths)
    log_record(store, version_of(store, NAME, CHAMPION), {"action": "promote", "lower_bound": 0.1})
    with pytest.raises(UserError, match=r"the champion, was registered by an earlier release, .*KeyError: 'evidence'"):
        snapshot("shop", SETTINGS, paths)


@pytest.mark.parametrize("record", [[], {"action": "promote"}, {"evidence": []}])
def test_a_decision_of_another_layout_stops_run_and_export_with_one_message(store, paths, record):
    run_stages(store, paths)
    published(paths)
    log_record(store, version_of(store, NAME, CHAMPION), record)
    for command in (lambda: snapshot("shop", SETTINGS, paths), lambda: renew_export("shop", paths)):
        with pytest.raises(UserError, match=cannot_be_read("shop-policy version 1, the champion")):
            command()


@pytest.mark.parametrize("content", ["[]", '{"weights": "of release 0.0"}'])
def test_run_export_and_the_simulated_shop_say_the_same_of_an_unreadable_champion(store, paths, monkeypatch, content):
    with_layout(monkeypatch, lambda now: json.loads(content))
    run_stages(store, paths)
    published(paths)
    message = cannot_be_read("shop-policy version 1, the champion")
    version = version_of(store, NAME, CHAMPION)
    outcome = {"dataset": "shop", "champion": 1, "deployed": 1, "candidate": 1, "package": digest_of(version)}
    for command in (
        lambda: snapshot("shop", SETTINGS, paths),
        lambda: read_champion(paths),  # a single stage
        lambda: exported_policy(paths),
        lambda: export({**outcome, "acting": {"acts": None, "forms": []}}, paths),  # promoted by force
    ):
        with pytest.raises(UserError, match=message):
            command()
    assert model_status(store, "shop")[-1]["champion"] == 1, "status reads no file of the champion"


def without(record: dict, *names: str) -> dict:
    return {name: value for name, value in record.items() if name not in names}

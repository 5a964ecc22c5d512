"""apply(), promote(), rollback(): aliases move only under the lock, only against the champion that was judged."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.cli.registry import rollback as rollback_command
from components.config import PromotionConfig
from components.contract.tables import read_frame, read_json
from components.errors import UserError
from components.evaluation.ledger import share_of
from components.manifest import digest_tree
from components.paths import Paths
from components.promotion.decision import decide
from components.promotion.history import standing
from components.promotion.registry import CHALLENGER, CHAMPION, apply, charge, promote, questions, rollback
from components.publication import export
from components.tracking import ModelRecord, fetch_package, find_version, open_store, register, version_of
from tests.components.policy.packages import package, write
from tests.components.promotion.test_decision import evidence

NAME = "shop-policy"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.setenv("ADLOOM_ARTIFACT_ROOT", str(folder / "artifacts"))
    patch.setenv("ADLOOM_STATE", str(folder))
    patch.chdir(folder)
    yield open_store()
    patch.undo()


@pytest.fixture
def version(store, tmp_path, request):
    """Registers a policy of one file and returns it; each call another."""

    def make(content: str):
        package = tmp_path / content
        package.mkdir(exist_ok=True)
        (package / "policy.json").write_text(f'"{content} {request.node.name}"')
        return register(store, ModelRecord(NAME, package, lambda: f"file://{package}", "shop", "0" * 64))

    for alias in (CHAMPION, CHALLENGER):
        if version_of(store, NAME, alias):
            store.delete_registered_model_alias(NAME, alias)
    return make


def judged(client, candidate, champion=None, **kwargs):
    digest = champion.tags["package_digest"] if champion else None
    question = f"{candidate.tags['package_digest'][:16]} against {(digest or 'none')[:16]}"
    alpha = share_of(PromotionConfig().alpha, charge(client, NAME, question).index(question))
    asked = {"candidate": candidate.tags["package_digest"], "champion": digest, "question": question, "alpha": alpha}
    return decide(evidence(**asked, **kwargs), PromotionConfig())


def test_the_registry_page_of_a_version_tells_the_reasons(store, version):
    candidate = version("described")
    decision = judged(store, candidate)
    apply(store, NAME, candidate, decision)
    shown = store.get_model_version(NAME, str(candidate.number)).description
    assert decision.reasons
    assert all(reason in shown for reason in decision.reasons)


def test_a_passed_candidate_becomes_champion_and_its_reason_is_kept(store, version):
    first = version("first")
    outcome = apply(store, NAME, first, judged(store, first))
    assert (outcome.action, outcome.champion) == ("promote", first.number)
    champion = version_of(store, NAME, CHAMPION)
    assert champion.number == first.number
    assert champion.tags["decision"] == "promote"
    assert "lower bound" in champion.tags["reasons"]


def test_applying_twice_changes_nothing(store, version):
    first = version("first")
    decision = judged(store, first)
    apply(store, NAME, first, decision)
    assert apply(store, NAME, first, decision).action == "keep"
    assert version_of(store, NAME, CHAMPION).number == first.number


def test_a_refused_candidate_is_challenger_only(store, version):
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first))
    outcome = apply(store, NAME, second, judged(store, second, first, gain=0.0))
    assert (outcome.action, outcome.champion) == ("refuse", first.number)
    assert version_of(store, NAME, CHALLENGER).number == second.number
    with pytest.raises(UserError, match="did not pass the gate"):
        promote(store, NAME, force=False, reason=None, by="ann")


def test_a_candidate_judged_against_a_former_champion_is_not_promoted(store, version):
    first, second, third = version("first"), version("second"), version("third")
    apply(store, NAME, first, judged(store, first))
    stale = judged(store, third, first)
    apply(store, NAME, second, judged(store, second, first))
    with pytest.raises(UserError, match="the champion changed"):
        apply(store, NAME, third, stale)
    assert version_of(store, NAME, CHAMPION).number == second.number


def test_manual_approval_waits_and_then_moves(store, version):
    first = version("first")
    assert apply(store, NAME, first, judged(store, first), approval="manual").action == "wait"
    assert version_of(store, NAME, CHAMPION) is None
    with pytest.raises(UserError, match="--by needs a name"):
        promote(store, NAME, force=False, reason="looks right", by=" ")
    assert version_of(store, NAME, CHAMPION) is None
    assert promote(store, NAME, force=False, reason="looks right", by="ann").champion == first.number
    tags = version_of(store, NAME, CHAMPION).tags
    assert (tags["approved"], tags["approved_by"]) == ("looks right", "ann")
    assert version_of(store, NAME, CHALLENGER) is None


def test_force_needs_a_reason_and_is_recorded(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first, verdict="abstain", reasons=["too few clicks"]))
    with pytest.raises(UserError, match="--force needs --reason"):
        promote(store, NAME, force=True, reason=None, by="ann")
    promote(store, NAME, force=True, reason="the season starts", by="bo")
    tags = version_of(store, NAME, CHAMPION).tags
    assert (tags["forced"], tags["forced_by"]) == ("the season starts", "bo")


def test_rollback_returns_to_the_champion_before(store, version):
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first))
    with pytest.raises(UserError, match="none to go back to"):
        rollback(store, NAME, None, "ann")
    apply(store, NAME, second, judged(store, second, first))
    assert rollback(store, NAME, "complaints", "ann").champion == first.number
    assert version_of(store, NAME, CHAMPION).number == first.number
    (left,) = [it for it in store.search_model_versions(f"name = '{NAME}'") if int(it.version) == second.number]
    assert (left.tags["rolled_back"], left.tags["rolled_back_by"]) == ("complaints", "ann")


def test_a_run_leaves_a_rolled_back_version_to_a_person(store, version):
    """On unchanged data a run finds the same candidate and, against the restored champion, the same decision."""
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first))
    decision = judged(store, second, first)
    apply(store, NAME, second, decision)
    rollback(store, NAME, "complaints", "ann")
    outcome = apply(store, NAME, second, decision)  # `second` was fetched before the rollback: its tags do not tell
    assert (outcome.action, outcome.champion) == ("wait", first.number)
    assert f"version {second.number} was rolled back by ann: complaints" in outcome.reasons
    assert apply(store, NAME, version("second"), decision).action == "wait"
    assert version_of(store, NAME, CHAMPION).number == first.number
    assert promote(store, NAME, force=False, reason="mended", by="bo").champion == second.number
    tags = version_of(store, NAME, CHAMPION).tags
    assert tags["approved_by"] == "bo" and "rolled_back" not in tags and "rolled_back_by" not in tags


@pytest.mark.parametrize("exported", [True, False])
def test_the_export_follows_a_rollback(store, tmp_path, exported):
    """From the registry's files, and without touching the snapshot that a run may be judging against."""
    name, paths = f"export-{exported:d}", Paths.of(f"export-{exported:d}", workdir=str(tmp_path))
    versions = []
    for number in (1, 2):
        folder = tmp_path / f"package{number}"
        write(folder, package(first=0.6 + 0.1 * number))
        record = ModelRecord(f"{name}-policy", folder, lambda folder=folder: f"file://{folder}", name, "0" * 64)
        versions.append(register(store, record))
        store.set_registered_model_alias(f"{name}-policy", CHAMPION, str(number))
    store.set_model_version_tag(f"{name}-policy", "2", "previous_champion", "1")
    shutil.copytree(tmp_path / "package2", paths.champion)
    if exported:
        acting = {"acts": "table", "forms": ["table"]}
        export({"dataset": name, "champion": 2, "candidate": 3, "acting": acting}, paths)
    before = digest_tree(paths.champion)
    said = CliRunner().invoke(
        rollback_command, [name, "--by", "ann", "--workdir", str(tmp_path)], catch_exceptions=False
    )
    assert "version 1 is champion again (ann)" in said.output
    assert digest_tree(paths.champion) == before and not list(paths.artifacts.glob(".*"))
    if exported:
        assert f"{paths.export}: holds version 1 now" in said.output
        assert read_frame(paths.export / "decisions.parquet")["probability"].max() == pytest.approx(0.7)
        manifest = read_json(paths.export / "manifest.json")
        assert (manifest["policy_version"], manifest["dataset"]) == (1, name)
    else:
        assert "nothing is exported here" in said.output and f"adloom run {name}" in said.output
        assert not paths.export.exists()


def test_the_same_package_is_registered_once(store, version):
    assert version("same").number == version("same").number


def test_files_that_differ_from_the_registered_ones_are_not_loaded(store, version, tmp_path):
    first = version("first")
    fetch_package(first, tmp_path / "good")
    assert (tmp_path / "good" / "policy.json").exists()
    stored = Path(store.get_run(first.run_id).info.artifact_uri.removeprefix("file://")) / "package" / "policy.json"
    stored.write_text('"swapped"')
    with pytest.raises(UserError, match="differ from those that were registered"):
        fetch_package(first, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_standing_shows_what_is_and_what_is_not_there(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first))
    rows = {row["model"]: row for row in standing(store, "shop")}
    assert rows["shop-policy"]["champion"] == first.number
    assert rows["shop-policy"]["lift"]["ci_low"] == pytest.approx(0.19)
    assert rows["shop-interest"]["champion"] is None


def test_promoting_without_a_challenger_says_so(store, version):
    version("first")
    with pytest.raises(UserError, match="no challenger"):
        promote(store, NAME, force=False, reason=None, by="ann")
    assert find_version(store, NAME, "nothing") is None


def test_every_question_is_entered_once_and_costs_the_next_one(store, version):
    first, second = version("first"), version("second")
    before = len(questions(store, NAME))
    decision = judged(store, first, gain=0.0)
    assert len(questions(store, NAME)) == before + 1, "the look is charged before it is taken"
    apply(store, NAME, first, decision)
    apply(store, NAME, first, judged(store, first, gain=0.0))
    assert len(questions(store, NAME)) == before + 1
    later = judged(store, second, gain=0.0)
    assert later.evidence.alpha < decision.evidence.alpha


def test_two_challengers_judged_at_once_do_not_share_one_part_of_alpha(store, version):
    first, second = version("first"), version("second")
    both = judged(store, first, gain=0.0), judged(store, second, gain=0.0)
    assert both[1].evidence.alpha < both[0].evidence.alpha
    for candidate, decision in zip((first, second), both, strict=True):
        assert apply(store, NAME, candidate, decision).action == "refuse"


def test_a_decision_whose_question_was_not_charged_moves_nothing(store, version):
    first = version("first")
    decision = judged(store, first)
    for wrong in ({"question": "another one"}, {"alpha": decision.evidence.alpha * 2}, {"alpha": None}):
        forged = replace(decision, evidence=replace(decision.evidence, **wrong))
        with pytest.raises(UserError, match="ledger does not hold"):
            apply(store, NAME, first, forged)
    assert version_of(store, NAME, CHAMPION) is None


def test_the_registry_tells_which_form_acts(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first))
    tags = version_of(store, NAME, CHAMPION).tags
    assert (tags["acts"], tags["forms"]) == ("table", "table")


def test_a_warm_start_finds_the_champion_generators_as_they_were_registered(store, tmp_path):
    from components.config import CreativesConfig, Settings
    from components.promotion.decision import Gate
    from components.promotion.registry import apply_gate
    from components.publication import snapshot

    cold, warm = Settings(), Settings(creatives=CreativesConfig(warm_start=True))
    paths = Paths.of("store", workdir=str(tmp_path))
    paths.champion_generators.mkdir(parents=True)
    (paths.champion_generators / "about.json").write_text("of a registry that is gone")
    snapshot("store", warm, paths)
    assert not paths.champion_generators.exists()
    for content in ("first", "second"):
        package = tmp_path / content
        package.mkdir()
        (package / "about.json").write_text(content)
        record = ModelRecord("store-creatives", package, lambda folder=package: f"file://{folder}", "store", "0" * 64)
        apply_gate(store, "store-creatives", register(store, record), Gate(content == "first", ("a reason",)))
    snapshot("store", cold, paths)
    assert not paths.champion_generators.exists()
    snapshot("store", warm, paths)
    assert (paths.champion_generators / "about.json").read_text() == "first"
    (paths.champion_generators / "about.json").write_text("damaged")
    snapshot("store", warm, paths)
    assert (paths.champion_generators / "about.json").read_text() == "first"

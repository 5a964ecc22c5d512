"""apply(), promote(), rollback(): aliases move only under the lock, only against the champion that was judged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.cli.registry import promote as promote_command
from components.cli.registry import reject as reject_command
from components.cli.registry import rollback as rollback_command
from components.cli.registry import sign as sign_command
from components.contract.files.digests import digest_tree
from components.contract.files.tables import read_frame, read_json
from components.evaluation.gate.ledger import share_of
from components.registry.decision import Gate, decide
from components.registry.decision_records import log_decision, passed_decision, read_decision, tags_of
from components.registry.mlflow_store import (
    ModelRecord,
    checked_package,
    fetch_package,
    find_version,
    register,
    version_of,
)
from components.registry.model_status import model_status
from components.registry.promotion import (
    CHALLENGER,
    CHAMPION,
    apply,
    apply_gate,
    charge,
    promote,
    questions,
    reject,
    rollback,
    sign_champion,
)
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import PromotionConfig
from components.workflow.publishing.export import export
from tests.components.policies.packages import package, write
from tests.components.registry.test_decision import evidence

NAME = "shop-policy"


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


def judged(client, candidate, champion=None, question=None, **kwargs):
    digest = champion.tags["package_digest"] if champion else None
    question = f"{question or ''}{candidate.tags['package_digest'][:16]} against {(digest or 'none')[:16]}"
    alpha = share_of(PromotionConfig().alpha, charge(client, candidate.name, question).index(question))
    fields = {"candidate": candidate.tags["package_digest"], "champion": digest, "question": question, "alpha": alpha}
    return decide(evidence(**fields, **kwargs), PromotionConfig())


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
    (left,) = [
        entity for entity in store.search_model_versions(f"name = '{NAME}'") if int(entity.version) == second.number
    ]
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
def test_the_export_follows_a_rollback(store, tmp_path, monkeypatch, exported):
    """From the registry's files, and without touching the snapshot that a run may be judging against."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("{}")
    name = f"export-{exported:d}"
    paths = Paths.of(name, workdir=str(tmp_path))
    first, second = (registered(store, name, tmp_path / f"package{number}", number) for number in (1, 2))
    apply(store, first.name, first, judged(store, first))
    apply(store, second.name, second, judged(store, second, first))
    fetch_package(second, Path(paths.champion))
    if exported:
        export(outcome_of(second, candidate=3), paths)
    before = digest_tree(paths.champion)
    result = CliRunner().invoke(
        rollback_command, [name, "--by", "ann", "--workdir", str(tmp_path)], catch_exceptions=False
    )
    assert "version 1 is champion again (ann)" in result.output
    assert digest_tree(paths.champion) == before and not list(paths.artifacts.glob(".*"))
    if exported:
        assert f"{paths.export}: is now version 1" in result.output
        assert read_frame(paths.export / "decisions.parquet")["probability"].max() == pytest.approx(0.7)
        manifest = read_json(paths.export / "manifest.json")
        assert (manifest["policy_version"], manifest["dataset"]) == (1, name)
    else:
        assert "there is no export here" in result.output and f"adloom run {name}" in result.output
        assert not paths.export.exists()


def registered(store, dataset: str, folder: Path, number: int, **tags: str):
    """Version `number` of the policy of `dataset`: a whole package, made and registered."""
    write(folder, package(first=0.6 + 0.01 * number if number > 9 else 0.6 + 0.1 * number))
    log_native = lambda: f"file://{folder}"  # noqa: E731
    return register(store, ModelRecord(f"{dataset}-policy", folder, log_native, dataset, "0" * 64, tags=tags))


def outcome_of(champion, candidate: int) -> dict:
    """A run's outcome as far as an export reads it."""
    acting, digest = {"acts": "table", "forms": ["table"]}, champion.tags["package_digest"]
    dataset = champion.name.removesuffix("-policy")
    outcome = {"dataset": dataset, "champion": champion.number, "deployed": champion.number, "candidate": candidate}
    return {**outcome, "acting": acting, "package": digest}


def test_the_same_package_is_registered_once(store, version):
    assert version("same").number == version("same").number


def test_files_that_differ_from_the_registered_ones_are_not_loaded(store, version, tmp_path):
    first = version("first")
    fetch_package(first, tmp_path / "good")
    assert (tmp_path / "good" / "policy.json").exists()
    stored = Path(store.get_run(first.run_id).info.artifact_uri.removeprefix("file://")) / "package" / "policy.json"
    stored.write_text('"swapped"')
    with pytest.raises(UserError, match="differ from the registered ones"):
        fetch_package(first, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_standing_shows_what_is_and_what_is_not_there(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first))
    rows = {row["model"]: row for row in model_status(store, "shop")}
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
        with pytest.raises(UserError, match="ledger lacks"):
            apply(store, NAME, first, forged)
    assert version_of(store, NAME, CHAMPION) is None


def test_the_registry_tells_which_form_acts(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first))
    tags = version_of(store, NAME, CHAMPION).tags
    assert (tags["acts"], tags["forms"]) == ("table", "table")


def test_a_warm_start_finds_the_champion_generators_as_they_were_registered(store, tmp_path):
    from components.registry.decision import Gate
    from components.registry.promotion import apply_gate
    from components.settings.sections import CreativesConfig, Settings
    from components.workflow.publishing.publication import snapshot

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


def test_a_decision_about_other_files_moves_nothing(store, version):
    first, other = version("first"), version("other")
    decision = judged(store, other)
    with pytest.raises(UserError, match=r"its files are not the judged ones \(.* is registered, .* was judged\)"):
        apply(store, NAME, first, decision)
    assert version_of(store, NAME, CHAMPION) is None and version_of(store, NAME, CHALLENGER) is None


def test_a_candidate_whose_registered_files_were_swapped_is_not_promoted(store, version):
    first = version("first")
    decision = judged(store, first)
    swap(store, first)
    with pytest.raises(UserError, match="its files differ from the registered ones"):
        apply(store, NAME, first, decision)
    assert version_of(store, NAME, CHAMPION) is None


def test_a_challenger_that_passed_keeps_its_place_from_a_refused_one(store, version):
    first, refused = version("first"), version("refused")
    assert apply(store, NAME, first, judged(store, first), approval="manual").action == "wait"
    outcome = apply(store, NAME, refused, judged(store, refused, gain=0.0), approval="manual")
    assert outcome.action == "refuse"
    assert f"version {first.number}, which passed, stays the challenger" in outcome.reasons[-1]
    assert version_of(store, NAME, CHALLENGER).number == first.number
    assert promote(store, NAME, force=False, reason=None, by="ann").champion == first.number


def test_a_later_one_that_passed_takes_the_place_and_the_earlier_is_told(store, version):
    first, later = version("first"), version("later")
    apply(store, NAME, first, judged(store, first), approval="manual")
    outcome = apply(store, NAME, later, judged(store, later), approval="manual")
    assert outcome.action == "wait" and f"it replaces version {first.number}" in outcome.reasons[-2]
    assert version_of(store, NAME, CHALLENGER).number == later.number
    assert store.get_model_version(NAME, str(first.number)).tags["superseded_by"] == str(later.number)


def test_one_that_waits_for_a_champion_that_is_gone_gives_up_its_place(store, version):
    first, waits, refused = version("first"), version("waits"), version("refused")
    apply(store, NAME, waits, judged(store, waits), approval="manual")
    apply(store, NAME, first, judged(store, first))
    apply(store, NAME, refused, judged(store, refused, first, gain=0.0))
    assert version_of(store, NAME, CHALLENGER).number == refused.number


def test_a_rejected_challenger_is_not_proposed_again(store, version):
    first = version("first")
    decision = judged(store, first)
    with pytest.raises(UserError, match="no challenger to reject"):
        reject(store, NAME, None, "ann")
    apply(store, NAME, first, decision, approval="manual")
    assert reject(store, NAME, "ugly", "ann").candidate == first.number
    assert version_of(store, NAME, CHALLENGER) is None
    outcome = apply(store, NAME, first, decision)
    assert outcome.action == "refuse" and f"version {first.number} was rejected by ann: ugly" in outcome.reasons
    assert version_of(store, NAME, CHAMPION) is None and version_of(store, NAME, CHALLENGER) is None


def test_repeated_rollbacks_step_back_through_history_once_each(store, version):
    versions = [version(name) for name in ("one", "two", "three")]
    champion = None
    for candidate in versions:
        apply(store, NAME, candidate, judged(store, candidate, champion))
        champion = candidate
    assert rollback(store, NAME, None, "ann").champion == versions[1].number
    assert rollback(store, NAME, None, "ann").champion == versions[0].number
    with pytest.raises(UserError, match="is the first champion; there is none to go back to"):
        rollback(store, NAME, None, "ann")
    assert version_of(store, NAME, CHAMPION).number == versions[0].number


def test_a_rollback_checks_the_files_before_it_moves(store, version):
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first))
    apply(store, NAME, second, judged(store, second, first))
    swap(store, first)
    with pytest.raises(UserError, match="its files differ from the registered ones"):
        rollback(store, NAME, None, "ann")
    shutil.rmtree(run_folder(store, first) / "package")
    with pytest.raises(UserError, match="package cannot be read from its MLflow run"):
        rollback(store, NAME, None, "ann")
    assert version_of(store, NAME, CHAMPION).number == second.number
    assert "rolled_back" not in version_of(store, NAME, CHAMPION).tags


def test_a_near_copy_of_what_was_rolled_back_waits_for_a_person(store, tmp_path):
    """Retrained by the same settings and code on other data, it has other bytes and the same recipe."""
    recipes = {1: "old", 2: "new", 3: "new", 4: "newer", 5: "new"}
    made = {
        number: registered(store, "copies", tmp_path / str(number), 9 + number, recipe=recipe)
        for number, recipe in recipes.items()
    }
    name = "copies-policy"
    apply(store, name, made[1], judged(store, made[1]))
    apply(store, name, made[2], judged(store, made[2], made[1]))
    rollback(store, name, "complaints", "ann")
    outcome = apply(store, name, made[3], judged(store, made[3], made[1]))
    assert (outcome.action, outcome.champion) == ("wait", 1)
    assert "version 2 was rolled back by ann: complaints" in outcome.reasons
    assert "version 3 is made by the same settings and code as version 2" in outcome.reasons
    assert promote(store, name, force=False, reason="mended", by="bo").champion == 3
    assert store.get_model_version(name, "2").tags["rolled_back"] == "complaints", "who and why stay on record"
    outcome = apply(store, name, made[5], judged(store, made[5], made[3]))
    assert outcome.action == "promote", "a person took the recipe back into service"
    rollback(store, name, "again", "ann")
    assert apply(store, name, made[4], judged(store, made[4], made[3])).action == "promote", "another recipe"


def test_a_champion_that_was_moved_by_hand_is_named_and_rollback_mends_it(store, version, tmp_path):
    first = version("first")
    apply(store, NAME, first, judged(store, first))
    run = store.create_run(store.get_run(first.run_id).info.experiment_id)
    foreign = store.create_model_version(NAME, f"file://{tmp_path}", run.info.run_id)
    store.set_registered_model_alias(NAME, CHAMPION, foreign.version)
    candidate = version("candidate")
    with pytest.raises(UserError, match=rf"version {foreign.version} has no tag package_digest: it was not registered"):
        apply(store, NAME, candidate, judged(store, candidate, first))
    assert rollback(store, NAME, None, "ann").champion == first.number


def test_every_decision_is_kept_whole_and_signed(store, version):
    """Of candidates that were refused or not judged too; the last one counts, and a second time is not another one."""
    first = version("first")
    refused, passed = judged(store, first, gain=0.0), judged(store, first, question="longer")
    for decision in (refused, refused, passed):
        apply(store, NAME, first, decision, approval="manual")
    records = sorted(path.name for path in (run_folder(store, first) / "decisions").iterdir() if path.is_dir())
    assert [name[:5] for name in records] == ["0001-", "0002-"]
    now = version_of(store, NAME, CHALLENGER)
    read = read_decision(now)
    assert json.dumps(read.to_dict(), sort_keys=True) == json.dumps(passed.to_dict(), sort_keys=True)
    assert read.replays()


@pytest.mark.parametrize(
    ("tag", "value"), [("decision", "promote"), ("against", "none"), ("acts", "per_shopper"), ("forms", "per_shopper")]
)
def test_tags_are_not_believed(store, version, tag, value):
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first))
    apply(store, NAME, second, judged(store, second, first, gain=0.0))
    store.set_model_version_tag(NAME, str(second.number), tag, value)
    with pytest.raises(
        UserError, match=rf"version {second.number}: its tag {tag} is '{value}', but its signed decision has "
    ):
        promote(store, NAME, force=True, reason="now", by="ann")
    assert version_of(store, NAME, CHAMPION).number == first.number


def test_a_forged_decision_is_refused_even_with_a_signature_of_this_machine(store, version, monkeypatch):
    """Whoever can sign still has to have evidence that leads to the decision."""
    first = version("first")
    refused = judged(store, first, gain=0.0)
    apply(store, NAME, first, refused)
    forged = replace(
        refused, action="promote", forms=tuple(replace(verdict, verdict="passed") for verdict in refused.forms)
    )
    log_decision(store, first, forged)
    for key, value in tags_of(forged).items():
        store.set_model_version_tag(NAME, str(first.number), key, value)
    with pytest.raises(UserError, match="its evidence does not lead to its decision, promote"):
        promote(store, NAME, force=False, reason=None, by="ann")
    assert version_of(store, NAME, CHAMPION) is None


def test_a_decision_that_was_altered_renamed_or_removed_is_refused(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first, gain=0.0))
    apply(store, NAME, first, judged(store, first, question="longer"), approval="manual")
    folder = run_folder(store, first) / "decisions"
    refused, passed = sorted(path.name for path in folder.iterdir() if path.is_dir())
    file = folder / passed / "decision.json"
    before = file.read_text()

    def is_refused(message: str) -> None:
        with pytest.raises(UserError, match=message):
            promote(store, NAME, force=False, reason=None, by="ann")
        assert version_of(store, NAME, CHAMPION) is None

    file.write_text(before.replace('"promote"', '"refuse"'))
    is_refused(r"decision\.json was altered")
    file.write_text(before)
    for name in (refused, f"{refused}.sig"):
        copy = shutil.copytree if (folder / name).is_dir() else shutil.copy
        copy(folder / name, folder / name.replace("0001", "0003"))
    is_refused(f"it is the signature of {NAME} {refused}, not of {NAME} {refused.replace('0001', '0003')}")
    shutil.rmtree(folder / refused.replace("0001", "0003"))
    (folder / f"{passed}.sig").unlink()
    is_refused("it has no signature")
    shutil.rmtree(folder)
    is_refused("its tag decision names a decision, but none is recorded")


def test_versions_from_before_signing_are_named_and_can_be_vouched_for(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first))
    folder = run_folder(store, first)
    (folder / "package.sig").unlink()
    shutil.rmtree(folder / "decisions")
    with pytest.raises(UserError, match=r"registered before packages were signed.*`adloom sign DATASET`"):
        checked_package(first, folder / "scratch")
    champion = version_of(store, NAME, CHAMPION)
    with pytest.raises(UserError, match="`adloom sign` vouches for it"):
        read_decision(champion)
    assert sign_champion(store, NAME, "our own backup", "ann").number == first.number
    assert read_decision(champion) is None
    assert checked_package(first, folder / "scratch").exists()
    assert version_of(store, NAME, CHAMPION).tags["signed_by"] == "ann"
    assert sign_champion(store, "nobody-policy", "none", "ann") is None
    swap(store, first)
    with pytest.raises(UserError, match="nothing was signed"):
        sign_champion(store, NAME, "our own backup", "ann")


def test_registering_the_same_package_again_signs_what_was_not_signed(store, version):
    first = version("first")
    (run_folder(store, first) / "package.sig").unlink()
    assert version("first").number == first.number
    assert (run_folder(store, first) / "package.sig").exists()


def test_a_reason_that_the_registry_cannot_keep_is_refused(store, version):
    first = version("first")
    apply(store, NAME, first, judged(store, first), approval="manual")
    with pytest.raises(UserError, match="up to 1,000 characters"):
        promote(store, NAME, force=False, reason="x" * 1001, by="ann")
    assert promote(store, NAME, force=False, reason="长" * 1000, by="ann").champion == first.number


def test_a_refused_gate_does_not_give_a_champion_both_aliases(store, tmp_path):
    name, folder = "gates-interest", tmp_path / "gates"
    folder.mkdir()
    (folder / "model").write_text("model")
    made = register(store, ModelRecord(name, folder, lambda: f"file://{folder}", "gates", "0" * 64))
    apply_gate(store, name, made, Gate(False, ("no",)))
    assert version_of(store, name, CHALLENGER).number == 1
    apply_gate(store, name, made, Gate(True, ("yes",)))
    assert version_of(store, name, CHAMPION).number == 1 and version_of(store, name, CHALLENGER) is None
    apply_gate(store, name, made, Gate(False, ("no",)))
    assert version_of(store, name, CHAMPION).number == 1 and version_of(store, name, CHALLENGER) is None


def run_folder(store, version) -> Path:
    """Where the artifacts of the version's run lie."""
    return Path(store.get_run(version.run_id).info.artifact_uri.removeprefix("file://"))


def swap(store, version) -> None:
    """Other bytes in the place of a registered file."""
    next((run_folder(store, version) / "package").glob("*.json")).write_text('"swapped"')


def test_a_former_champion_acts_as_it_passed_whatever_was_said_of_it_since(store, version):
    """Found again by a run, and refused against the later champion; then the later one is rolled back."""
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first))
    apply(store, NAME, second, judged(store, second, first))
    apply(store, NAME, first, judged(store, first, second, gain=0.0))
    assert rollback(store, NAME, None, "ann").champion == first.number
    champion = version_of(store, NAME, CHAMPION)
    assert read_decision(champion).action == "refuse"
    assert passed_decision(champion).acts == "table"


def test_tags_that_a_kill_left_behind_their_decision_are_written_from_it(store, version, monkeypatch):
    """Also when no run proposes that version again."""
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first), approval="manual")
    refused = judged(store, first, question="longer", gain=0.0)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("components.registry.promotion._describe", lambda *_: 1 / 0)
        apply(store, NAME, first, refused)
    assert apply(store, NAME, second, judged(store, second)).action == "promote"
    assert store.get_model_version(NAME, str(first.number)).tags["decision"] == "refuse"


def test_a_tampered_challenger_stops_a_run_until_it_is_rejected(store, version):
    first, second = version("first"), version("second")
    apply(store, NAME, first, judged(store, first), approval="manual")
    store.set_model_version_tag(NAME, str(first.number), "acts", "per_shopper")
    decision = judged(store, second)
    with pytest.raises(UserError, match=r"its tag acts is 'per_shopper'.*`adloom reject` removes it as the challenger"):
        apply(store, NAME, second, decision)
    reject(store, NAME, "tampered with", "ann")
    assert apply(store, NAME, second, decision).action == "promote"


def test_the_commands_decide_by_hand(store, version, tmp_path, monkeypatch):
    """promote exports at once, where runs are made; reject and sign say what they did."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("{}")
    paths = Paths.of("hand", workdir=str(tmp_path / "artifacts"))
    first, second = (registered(store, "hand", tmp_path / str(number), number) for number in (1, 2))
    (paths.stage("promotion") / "policy").mkdir(parents=True)

    def say(command, *words: str) -> str:
        result = CliRunner().invoke(command, ["hand", "--by", "ann", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    apply(store, first.name, first, judged(store, first), approval="manual")
    output = say(promote_command, "--reason", "read it", "--workdir", str(tmp_path / "artifacts"))
    assert "version 1 is champion (read it; ann)" in output and "is now version 1" in output
    assert read_json(paths.export / "manifest.json")["policy_version"] == 1
    apply(store, first.name, second, judged(store, second, first), approval="manual")
    assert "version 2 is rejected (ugly; ann)" in say(reject_command, "--reason", "ugly")
    assert "hand-policy: version 1 is signed (ann)" in say(sign_command, "--reason", "made here")

"""The champion that answers: verified, in a form that passed, swapped while requests run, kept if the next is bad."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from components.ads.pools.reviews import design_keys
from components.evaluation.gate.refresh_evidence import RefreshEvidence
from components.policies.logging_preference import logging_policy_name
from components.policies.online_policy import AdRequest, NothingEligible, UnknownCampaign
from components.registry.creative_reviews import record_reviews
from components.registry.mlflow_store import digest_of
from components.registry.refresh_records import ACTS, RefreshState, record_refresh, stop_refreshes
from components.serving.champion_watch import ChampionWatch
from components.serving.shop_tables import read_shop
from components.settings.errors import UserError
from components.settings.sections import ServingConfig
from tests.components.policies.packages import package
from tests.components.serving.scene import NAME, crowned, registered, write_shop

NOW = 1_780_000_000_000_000


def request(shopper: str | None = "s1", **fields) -> AdRequest:
    return AdRequest(**{"decision_id": "i1", "moment": NOW, "campaigns": ("c",), "placement": "top", **fields,
                        "shopper_id": shopper})  # fmt: skip


def shares(watch: ChampionWatch, asked: AdRequest | None = None) -> dict[str, float]:
    decision = watch.current.decide(asked or request(), 1, [])
    return dict(zip(decision.creative_ids, decision.probabilities.tolist(), strict=True))


@pytest.fixture
def watch(registry, little_shop) -> ChampionWatch:
    return ChampionWatch(little_shop, ServingConfig())


def test_without_a_champion_the_choice_is_uniform_among_the_eligible(watch):
    watch.refresh()
    assert shares(watch) == {"a": 0.5, "b": 0.5}
    assert watch.status.reason == "shop has no champion" and watch.current.logging_policy == "uniform"
    with pytest.raises(NothingEligible):
        watch.current.decide(request(campaigns=("d",)), 1, [])
    with pytest.raises(UnknownCampaign):
        watch.current.decide(request(campaigns=("spring",)), 1, [])


def test_a_creative_without_texts_has_none_in_the_answer(watch):
    assert (watch.current.ads["over"].headline, watch.current.ads["a"].headline) == (None, "New in")


def test_the_champion_answers_with_the_judged_probabilities(watch, registry, tmp_path):
    champion = crowned(registry, tmp_path / "one", package(0.75))
    watch.refresh()
    assert shares(watch) == pytest.approx({"a": 0.9 * 0.75 + 0.05, "b": 0.9 * 0.25 + 0.05})
    assert shares(watch, request(None)) == pytest.approx({"a": 0.5, "b": 0.5}), "without consent, or unknown"
    assert watch.status.reason == "" and watch.status.version == champion.number
    assert watch.current.logging_policy == f"{logging_policy_name(digest_of(champion))}-table"


def test_a_creative_that_the_shop_no_longer_has_is_not_shown(watch, registry, tmp_path):
    crowned(registry, tmp_path / "one", package(0.75, new=("gone",)))
    watch.refresh()
    assert set(shares(watch)) == {"a", "b"}


def test_a_refit_that_acts_answers_in_the_champions_place_until_it_is_withdrawn(watch, registry, tmp_path):
    champion = crowned(registry, tmp_path / "one", package(0.75))
    refit = registered(registry, tmp_path / "refit", package(0.25))
    watch.refresh()
    digests = digest_of(champion), digest_of(refit)
    state = RefreshState(*digests, "table", 1, ACTS, 0.02, RefreshEvidence(0.05, 0.95), ())
    record_refresh(registry, champion, state, refit)
    watch.refresh()
    assert shares(watch) == pytest.approx({"a": 0.9 * 0.25 + 0.05, "b": 0.9 * 0.75 + 0.05})
    assert watch.current.logging_policy == f"{logging_policy_name(digest_of(refit))}-table"
    assert (watch.status.version, watch.status.reason) == (refit.number, "")
    stop_refreshes(registry, champion, "ann")
    watch.refresh()
    assert watch.status.version == champion.number


def test_only_a_form_that_passed_acts(watch, registry, tmp_path):
    crowned(registry, tmp_path / "one", package(0.6), passed=("table",))
    watch.refresh()
    assert watch.status.form == "table"
    crowned(registry, tmp_path / "two", package(0.7), passed=("per_shopper",))
    watch.refresh()  # its interest model is a stand-in that cannot be read
    assert watch.status.form == "table" and "cannot read it" in watch.status.reason


def test_a_swap_loses_no_request(watch, registry, tmp_path):
    crowned(registry, tmp_path / "first", package(0.2))
    watch.refresh()
    seen, faults, stop = set(), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.add(round(shares(watch)["a"], 6))
            except Exception as error:
                faults.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in (1, 2):
        crowned(registry, tmp_path / f"next{number}", package(0.2 + number / 5))
        watch.refresh()
    stop.set()
    asking.join()
    assert not faults and watch.status.swaps == 3 and shares(watch)["a"] == pytest.approx(0.05 + 0.9 * 0.6)
    assert {0.23, 0.41} <= seen <= {0.23, 0.41, 0.59}


def run_folder(store, version) -> Path:
    return Path(store.get_run(version.run_id).info.artifact_uri.removeprefix("file://"))


def test_a_model_that_was_swapped_on_disk_is_not_used_and_the_last_good_one_stays(watch, registry, tmp_path):
    good = crowned(registry, tmp_path / "good", package(0.3))
    watch.refresh()
    bad = crowned(registry, tmp_path / "bad", package(0.9))
    file = run_folder(registry, bad) / "package" / "policy.json"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"0.1", b"0.9"))
    for _ in range(2):
        watch.refresh()
        assert watch.status.version == good.number and shares(watch)["a"] == pytest.approx(0.9 * 0.3 + 0.05)
    assert "its files differ from the registered ones" in watch.status.reason
    assert f"version {good.number} stays" in watch.status.reason and watch.status.failures == 2
    file.write_bytes(before)
    watch.refresh()
    assert (watch.status.version, watch.status.reason) == (bad.number, "")


def test_a_first_champion_that_fails_leaves_the_uniform_choice(watch, registry, tmp_path):
    bad = crowned(registry, tmp_path / "bad", package(0.9))
    (run_folder(registry, bad) / "package.sig").unlink()
    watch.refresh()
    assert watch.current.version is None and shares(watch) == {"a": 0.5, "b": 0.5}
    assert "it has no signature" in watch.status.reason and "the choice is uniform" in watch.status.reason


def test_a_registry_that_does_not_answer_changes_nothing(watch, registry, tmp_path, monkeypatch):
    crowned(registry, tmp_path / "one", package(0.75))
    watch.refresh()

    def gone():
        raise UserError("the MLflow server gives no answer")

    monkeypatch.setattr("components.serving.champion_watch.open_store", gone)
    watch.refresh()
    assert watch.status.version is not None and "gives no answer" in watch.status.reason
    monkeypatch.undo()
    watch.refresh()
    assert watch.status.reason == ""


def test_after_a_rollback_to_none_the_choice_is_uniform(watch, registry, tmp_path):
    crowned(registry, tmp_path / "one", package(0.75))
    watch.refresh()
    registry.delete_registered_model_alias(NAME, "champion")
    watch.refresh()
    assert watch.status.version is None and shares(watch) == {"a": 0.5, "b": 0.5}


def test_without_a_table_of_shoppers_everyone_is_known(registry, tmp_path):
    shop = read_shop(write_shop(tmp_path / "data", with_shoppers=False))
    assert shop.may_know("anyone") and not shop.may_know(None)
    assert not read_shop(write_shop(tmp_path / "other")).may_know("anyone")


def test_a_creative_that_people_reject_is_not_shown_from_the_next_look_on(registry, little_shop, tmp_path):
    """The shop has logged it already, and the champion's version is the same."""
    creatives = little_shop.tables["creatives"]
    made = creatives["creative_id"].eq("b")
    marked = creatives.assign(origin=creatives["origin"].mask(made, "product-ads"))
    watch = ChampionWatch(replace(little_shop, tables={**little_shop.tables, "creatives": marked}), ServingConfig())
    crowned(registry, tmp_path / "one", package(0.75))
    watch.refresh()
    assert set(shares(watch)) == {"a", "b"}
    (key,) = design_keys(creatives[made])
    record_reviews(registry, NAME, {key: "b"}, approved=False, who="Ann", why="dull")
    watch.refresh()
    assert shares(watch) == {"a": 1.0} and watch.status.reason == ""
    record_reviews(registry, NAME, {key: "b"}, approved=True, who="Ann", why="")
    watch.refresh()
    assert set(shares(watch)) == {"a", "b"}

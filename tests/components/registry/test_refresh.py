"""Refits of the champion: they act by all nights together, end with the champion, and can be stopped by a person."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.evaluation.gate.refresh_evidence import RefreshEvidence
from components.registry.decision import Gate, decide
from components.registry.mlflow_store import ModelRecord, digest_of, register, version_of
from components.registry.model_status import model_status
from components.registry.promotion import CHAMPION, apply, promote, rollback
from components.registry.refresh import Refit, RefitNight, apply_refresh
from components.registry.refresh_records import REFRESH, deployed, refresh_state
from components.settings.errors import UserError
from components.settings.sections import PromotionConfig
from tests.components.registry.test_decision import evidence
from tests.components.registry.test_registry import judged

CONFIG = PromotionConfig(refresh=True)
GOOD, BAD = (1000, 40.0, 40.0), (1000, -40.0, 40.0)  # rows, sum and sum of squares of a night's values


@pytest.fixture
def shop(store, tmp_path, request):
    """A policy with a champion, whose refits are registered night by night."""
    return Nights(store, f"{request.node.name.replace('[', '').replace(']', '')}-policy", tmp_path)


class Nights:
    def __init__(self, store, name: str, folder: Path) -> None:
        self.store, self.name, self.folder, self.night = store, name, folder, 0
        self.champion = self.registered("champion")
        apply(store, name, self.champion, judged(store, self.champion))

    def registered(self, content: str):
        package = self.folder / content
        package.mkdir(exist_ok=True)
        (package / "policy.json").write_text(f'"{content} of {self.name}"')
        return register(self.store, ModelRecord(self.name, package, lambda: f"file://{package}", "shop", "0" * 64))

    def decision(self, refit, interest: Gate | None = None):
        champion = version_of(self.store, self.name, CHAMPION)
        fields = {"candidate": digest_of(refit), "champion": digest_of(champion), "alpha": None}
        about = evidence(**fields)
        return decide(about if interest is None else replace(about, interest=interest), CONFIG)

    def run(self, sums=None, *, faults=(), interest=None, config=CONFIG):
        """One night: the last refit is scored by `sums`, and another one is made."""
        last = refresh_state(version_of(self.store, self.name, CHAMPION))
        scored = None if sums is None else RefitNight(last.refit, *sums, faults=faults)
        self.night += 1
        refit = self.registered(f"refit{self.night}")
        self.last = Refit(refit, self.decision(refit, interest), self.night, "table", scored)
        return apply_refresh(self.store, self.name, self.last, config)

    @property
    def acts(self) -> int:
        return deployed(self.store, self.name).version.number


def test_a_refit_acts_once_its_recipe_has_shown_for_nights_that_it_loses_no_more_than_the_margin(shop):
    assert [shop.run(sums).action for sums in (None, GOOD, GOOD)] == ["hold", "hold", "refresh"]
    assert shop.acts == shop.last.version.number
    assert deployed(shop.store, shop.name).forms == {"acts": "table", "forms": ["table"]}
    assert version_of(shop.store, shop.name, CHAMPION).number == shop.champion.number, "the champion stays"
    assert version_of(shop.store, shop.name, REFRESH).number == shop.acts
    expected = RefreshEvidence(0.05, 0.95).after(*GOOD).after(*GOOD)
    assert refresh_state(shop.champion).evidence == expected and expected.lower() > 0
    (row,) = (row for row in model_status(shop.store, shop.name.removesuffix("-policy")) if row["model"] == shop.name)
    assert (row["champion"], row["refit"], row["decision"]) == (shop.champion.number, shop.acts, "refresh")


def test_applying_it_twice_adds_no_night(shop):
    for sums in (None, GOOD, GOOD):
        first = shop.run(sums)
    assert apply_refresh(shop.store, shop.name, shop.last, CONFIG) == first
    assert refresh_state(shop.champion).evidence.nights == 2


def test_a_recipe_that_gets_worse_is_withdrawn_and_the_champion_acts_again(shop):
    for sums in (None, GOOD, GOOD):
        shop.run(sums)
    outcome = shop.run((1000, -200.0, 40.0))
    assert outcome.action == "withdraw" and shop.acts == shop.champion.number
    assert version_of(shop.store, shop.name, REFRESH) is None
    assert "over 3 nights its refits earn at least -0.0" in outcome.reasons[-1]
    assert shop.run(BAD).action == "hold"


@pytest.mark.parametrize("fault", ["night", "interest"])
def test_a_fault_of_the_night_withdraws_it_for_that_night(shop, fault):
    for sums in (None, GOOD, GOOD):
        shop.run(sums)
    refused = Gate(False, ("not calibrated",))
    told = {"night": {"faults": ("cvr changes by -30%",)}, "interest": {"interest": refused}}[fault]
    outcome = shop.run(GOOD, **told)
    assert outcome.action == "withdraw" and shop.acts == shop.champion.number
    assert any("cvr changes" in reason or "not calibrated" in reason for reason in outcome.reasons)
    assert shop.run(GOOD).action == "refresh"


def test_a_person_rolls_the_refit_back_and_no_later_one_acts(shop):
    for sums in (None, GOOD, GOOD):
        shop.run(sums)
    refit = shop.acts
    outcome = rollback(shop.store, shop.name, "sales fell", "ann")
    assert (outcome.action, outcome.champion, outcome.candidate) == ("withdraw", shop.champion.number, refit)
    assert shop.acts == shop.champion.number
    after = shop.run(GOOD)
    assert after.action == "hold" and "refits of this champion were rolled back by ann: sales fell" in after.reasons


def test_a_promotion_ends_the_refreshes_of_the_former_champion(shop):
    for sums in (None, GOOD, GOOD):
        shop.run(sums)
    better = shop.registered("better")
    apply(shop.store, shop.name, better, judged(shop.store, better, shop.champion))
    assert shop.acts == better.number
    assert shop.run().action == "hold" and refresh_state(better).evidence.nights == 0
    rollback(shop.store, shop.name, "by hand", "ann")
    assert deployed(shop.store, shop.name).is_refit, "what acted before acts again"


def test_after_a_change_of_the_margin_the_nights_are_counted_anew(shop):
    for sums in (None, GOOD, GOOD):
        shop.run(sums)
    assert shop.run(GOOD, config=PromotionConfig(refresh=True, refresh_margin=0.05)).action == "withdraw"
    assert refresh_state(shop.champion).evidence.nights == 0


def test_a_night_of_another_refit_is_not_added(shop):
    shop.run()
    refit = shop.registered("other")
    stray = RefitNight("0" * 64, *GOOD)
    apply_refresh(shop.store, shop.name, Refit(refit, shop.decision(refit), 9, "table", stray), CONFIG)
    assert refresh_state(shop.champion).evidence.nights == 0


def test_nothing_acts_by_an_altered_record(shop):
    for sums in (None, GOOD, GOOD):
        shop.run(sums)
    run = shop.store.get_run(shop.champion.run_id)
    records = sorted(Path(run.info.artifact_uri.removeprefix("file://"), "refreshes").glob("*/refresh.json"))
    record = json.loads(records[-1].read_text())
    records[-1].write_text(json.dumps({**record, "refit": digest_of(shop.champion)}))
    with pytest.raises(UserError, match="refresh 0003-"):
        deployed(shop.store, shop.name)


def test_a_refit_judged_against_a_former_champion_is_not_recorded(shop):
    shop.run()
    refit = shop.registered("late")
    stale = Refit(refit, shop.decision(refit), 9, "table", None)
    better = shop.registered("better")
    apply(shop.store, shop.name, better, judged(shop.store, better, shop.champion))
    with pytest.raises(UserError, match="the champion changed"):
        apply_refresh(shop.store, shop.name, stale, CONFIG)
    assert refresh_state(better) is None


def test_a_champion_promoted_by_force_can_be_refreshed(store, tmp_path):
    shop = Nights(store, "forced-policy", tmp_path)
    other = shop.registered("forced")
    apply(store, shop.name, other, judged(store, other, shop.champion, gain=0.0))
    promote(store, shop.name, force=True, reason="a trial", by="ann")
    for sums in (None, GOOD, GOOD):
        outcome = shop.run(sums)
    assert outcome.action == "refresh" and deployed(store, shop.name).forms["acts"] == "table"

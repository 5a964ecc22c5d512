"""The plan of an A/B test: shoppers split evenly and for good, sizes that keep their promise, the gate's guardrails."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.contract.files.digests import digest_package, digest_tree
from components.contract.files.tables import read_json, write_bytes
from components.evaluation.log_checks.traffic import traffic_of
from components.evaluation.rewards import REWARDS
from components.registry.experiment_plan import (
    POWER,
    arm,
    experiment_page,
    impressions_per_arm,
    plan_experiment,
)
from components.registry.signing import sign, signature_path
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.workflow.publishing.export import export, exported_policy
from tests.components.policies.packages import package, write


def outcome(package, champion: int, candidate: int, acts: str = "table") -> dict:
    """A run's outcome as far as an export reads it, after `package` was registered as the champion."""
    acting = {"acts": acts, "forms": [acts]}
    registered = digest_package(package)
    versions = {"champion": champion, "deployed": champion, "candidate": candidate}
    return {"dataset": "shop", "acting": acting, **versions, "package": registered}


def signed(package) -> None:
    """Sign the snapshot of the champion, as the registry does."""
    sign(Path(package), "shop-policy", signature_path(Path(package)))


CLICK = REWARDS["click"]
LIFT = {"value": 0.003, "ci_low": 0.001, "ci_high": 0.005}


def assessed(lift=LIFT, metrics=("cvr", "cost_per_click"), segments=("0", "1")) -> dict:
    """The record of one form of a policy: its guards, and the assessment on its largest log."""
    log = {
        "evaluation": {"lift": lift, "baseline": {"value": 0.03, "ci_low": 0.028, "ci_high": 0.032}},
        "traffic": {
            "days": 14.0,
            "impressions_per_day": 9000.0,
            "shoppers": 800,
            "mean_reward": 0.04,
            "mean_square": 1.0,
            "design_effect": 1.2,
        },
        "metrics": [{"name": name, "change": {"value": 0.0}} for name in metrics]
        + [{"name": "negative_feedback", "change": None}],
        "segments": list(segments),
    }
    return {"form": "table", "guards": {"guard_bound": 0.1, "segment_bound": 0.002}, "logs": [log]}


def test_shoppers_are_split_evenly_for_good_and_anew_for_each_plan():
    shoppers = [f"s{number}" for number in range(20_000)]
    first, second = (np.array([arm(salt, shopper) == "treatment" for shopper in shoppers]) for salt in ("a", "b"))
    assert abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000)
    assert abs((first == second).mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000), "a new plan draws anew"
    assert [arm("a", shopper) for shopper in shoppers[:50]] == [
        ("control", "treatment")[it] for it in first[:50].astype(int)
    ]
    assert arm("adloom-1", "顾客") == arm("adloom-1", "顾客")


def test_the_size_sees_the_lift_as_often_as_promised():
    generator = np.random.default_rng(0)
    n = impressions_per_arm(0.03, 0.1)
    control, treated = generator.binomial(n, 0.03, 20_000) / n, generator.binomial(n, 0.033, 20_000) / n
    pooled = (control + treated) / 2
    z = (treated - control) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert (z > 1.96).mean() == pytest.approx(POWER, abs=0.015)
    assert n == pytest.approx(53_210, rel=0.01)  # Fleiss, Levin & Paik's formula, by hand
    assert impressions_per_arm(0.03, 0.1, 1.5) == pytest.approx(1.5 * n, abs=2)


def test_the_plan_is_for_the_controls_click_rate_and_lasts_whole_weeks():
    plan = plan_experiment("c" * 64, "b" * 64, assessed(), CLICK, 7)
    assert plan.planned.impressions_per_arm == impressions_per_arm(0.03, 0.1, 1.2)
    assert plan.planned.days == 7 * int(np.ceil(2 * plan.planned.impressions_per_arm / 9000 / 7))
    assert plan.at_most.relative_lift == pytest.approx(0.001 / 0.03) and plan.at_most.days > plan.planned.days
    assert plan_experiment("c" * 64, None, assessed({**LIFT, "ci_low": -0.001}), CLICK, 7).at_most is None


def test_guardrails_are_the_gates_own_where_the_log_tells_them():
    rails = {
        rail.metric: (rail.harmful, rail.bound) for rail in plan_experiment("c", None, assessed(), CLICK, 7).guardrails
    }
    assert rails["cvr"] == ("down", 0.1) and rails["cost_per_click"] == ("up", 0.1)
    assert "negative_feedback" not in rails and rails["clicks per impression of any segment"] == ("down", 0.002)
    assert not plan_experiment("c", None, assessed(metrics=(), segments=()), CLICK, 7).guardrails


def test_json_and_page_say_all_of_it():
    plan = plan_experiment("c" * 64, None, assessed(), CLICK, 7)
    record = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert record["assignment"]["examples"] == {
        shopper: arm(plan.salt, shopper) for shopper in record["assignment"]["examples"]
    }
    text = experiment_page(plan)
    assert (
        f"{plan.planned.impressions_per_arm:,} impressions in each arm" in text
        and "against: the logging policy" in text.lower()
    )
    assert "then 7 days until the last conversions are final" in text and "| cvr | down | 10% |" in text


def test_the_export_carries_the_plan_of_the_champion_on_until_another_one_comes(tmp_path):
    """Written by the run that promotes; a later run that keeps the champion has none of its own."""
    paths = Paths.of("shop", workdir=str(tmp_path))
    for folder in (paths.stage("promotion") / "policy", paths.champion):
        write(folder, package())
    signed(paths.champion)
    written = paths.stage("promotion") / "experiment.json"
    written.write_text("{}")
    export(outcome(paths.champion, 3, 3), paths)
    assert (paths.export / "experiment.json").read_text() == "{}"
    assert "experiment.json" in read_json(paths.export / "manifest.json")["files"]
    written.unlink()
    export(outcome(paths.champion, 3, 4), paths)
    assert (paths.export / "experiment.json").exists()
    export(outcome(paths.champion, 2, 4), paths)  # rolled back: its plan is not known here
    assert not (paths.export / "experiment.json").exists()


def test_an_export_that_dies_half_way_leaves_the_one_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = Paths.of("shop")
    write(paths.champion, package())
    write_bytes(b"an ad", paths.champion / "pool" / "ads" / "one.png")
    signed(paths.champion)
    export(outcome(paths.champion, 2, 4), paths)
    before = digest_tree(paths.export, skip=())
    table = {"policy.json", "catalogue.parquet", "decisions.parquet", "segments.parquet", "manifest.json"}
    assert set(before) == table | {"ads/one.png"}
    write(paths.champion, package(first=0.5))
    (paths.champion / "pool" / "ads" / "one.png").unlink()
    signed(paths.champion)
    with monkeypatch.context() as patch:
        patch.setattr(
            "components.workflow.publishing.export.write_json", lambda *_: 1 / 0
        )  # the manifest, its last file
        with pytest.raises(ZeroDivisionError):
            export(outcome(paths.champion, 3, 4), paths)
    assert digest_tree(paths.export, skip=()) == before
    export(outcome(paths.champion, 3, 4), paths)
    assert set(digest_tree(paths.export, skip=())) == table
    assert read_json(paths.export / "manifest.json")["policy_version"] == 3
    assert {path.name for path in paths.artifacts.iterdir()} == {"champion", "champion.sig", "export"}


def test_only_the_forms_that_passed_are_exported_byte_for_byte_as_they_were_judged(tmp_path):
    """And with them what a server needs to refuse withdrawn creatives, and the name that its log must bear."""
    paths = Paths.of("shop", workdir=str(tmp_path))
    candidate = paths.stage("promotion") / "policy"
    write(candidate, package())
    for forms, files in ((["table"], {"decisions.parquet", "segments.parquet"}), (["per_shopper"], {"model"})):
        export(outcome(candidate, 1, 1, acts=forms[0]), paths)
        names = {path.name for path in paths.export.iterdir()}
        assert names == {"policy.json", "catalogue.parquet", "manifest.json"} | files
        for name in files | {"catalogue.parquet", "policy.json"}:
            if (candidate / name).is_file():
                assert (paths.export / name).read_bytes() == (candidate / name).read_bytes()
        manifest = read_json(paths.export / "manifest.json")
        assert (manifest["acts"], manifest["forms"]) == (forms[0], forms)
        assert manifest["logging_policy"] == f"adloom-{digest_package(candidate)[:16]}-{forms[0]}"


def test_the_simulated_shop_acts_on_a_table_alone(tmp_path):
    paths = Paths.of("shop", workdir=str(tmp_path))
    candidate = paths.stage("promotion") / "policy"
    write(candidate, package())
    assert exported_policy(paths) is None, "nothing is exported yet"
    export(outcome(candidate, 1, 1, acts="per_shopper"), paths)
    with pytest.raises(UserError, match=r"acts as per_shopper, because its table did not pass"):
        exported_policy(paths)


def test_traffic_counts_shoppers_who_come_again():
    generator = np.random.default_rng(0)
    shopper = np.repeat(np.arange(500), 40)
    own_rate = generator.beta(1, 19, 500)  # shoppers differ in how keen they are
    click = (generator.random(20_000) < own_rate[shopper]).astype(int)
    at = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(20_000), unit="min")
    keen = traffic_of(pd.DataFrame({"shopper_id": shopper.astype(str), "timestamp": at}), click.astype(float))
    assert keen.shoppers == 500 and keen.impressions_per_day == pytest.approx(1440, rel=0.01)
    between = own_rate.var() / (click.mean() * (1 - click.mean()))
    assert keen.design_effect == pytest.approx(1 + 39 * between, rel=0.25) and keen.design_effect > 1.5
    mixed = pd.DataFrame({"shopper_id": generator.permutation(shopper).astype(str), "timestamp": at})
    assert traffic_of(mixed, click.astype(float)).design_effect == pytest.approx(1.0, abs=0.15)

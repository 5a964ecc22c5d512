"""The journal's days as rows of the contract: what counts, when a day is complete, and what a run makes of it."""

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from components.contract.card import read_card, write_card
from components.contract.files.tables import read_frame, read_json, read_table, write_json, write_table
from components.contract.validation.validate import load_dataset, validate
from components.policies.online_policy import AdRequest
from components.serving.journal import FILE, DecisionRow, Journal, TrackedRow, connect
from components.serving.served_log import collect
from components.serving.served_policy import uniform_choice
from components.serving.shop_tables import read_shop
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import Paths
from components.settings.sections import Settings, SimulatorConfig, ValidationConfig
from tests.components.serving.scene import LONG_AGO, write_shop

HOUR, DAY = 3_600_000_000, 86_400_000_000
MONDAY = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000


def decision(name: str, moment: int, shopper: str = "s1", **fields) -> DecisionRow:
    values = {
        "decision_id": name, "moment": moment, "shopper_id": shopper, "campaign": "c", "position": 1,
        "creative_id": "a", "propensity": 0.25, "logging_policy": "uniform", "request_id": None, "placement": "top",
        "context": {"context_device": "phone"}, "candidates": {"a": 0.25, "b": 0.75},
    }  # fmt: skip
    return DecisionRow(**{**values, **fields})


def reported(what: str, name: str, when: int, ingested: int | None = None, **body) -> TrackedRow:
    return TrackedRow(what, name, when, when if ingested is None else ingested, body)


@pytest.fixture
def place(tmp_path) -> UPath:
    """A shop whose log ends before June, with candidates and conversions."""
    folder = write_shop(tmp_path / "data" / "shop")
    row = {
        "impression_id": ["i0", "i1"],
        "timestamp": pd.to_datetime(["2026-05-01", "2026-05-01"], utc=True).as_unit("us"),
        "shopper_id": "s1", "campaign": "c", "position": 1, "creative_id": ["a", "b"], "propensity": 0.5,
        "logging_policy": "shop", "click": 0, "conversion": 0, "context_device": "phone",
    }  # fmt: skip
    pairs = {"impression_id": ["i0", "i0", "i1", "i1"], "creative_id": ["a", "b"] * 2, "propensity": 0.5}
    for day in (folder / "impressions").iterdir():
        for file in day.iterdir():
            file.unlink()
        day.rmdir()
    write_table(pd.DataFrame(row), folder / "impressions" / "day=2026-05-01" / "part-0.parquet")
    write_table(pd.DataFrame(pairs), folder / "candidates" / "day=2026-05-01" / "part-0.parquet")
    card = read_card(folder)
    ends_at = datetime(2026, 5, 20, tzinfo=UTC)
    write_card(card.model_copy(update={"real": (*card.real, "impressions", "candidates"), "ends_at": ends_at}), folder)
    return folder


def stored(folder: Path, *rows) -> None:
    journal = Journal(folder)
    journal.submit(rows).result(10)
    journal.close()


def collected(place: UPath, folder: Path, now: int, settings: Settings | None = None):
    return collect("shop", place, folder, settings or Settings(), now)


def impressions(place: UPath) -> pd.DataFrame:
    return read_table(place, "impressions").set_index("impression_id")


def test_what_was_shown_or_clicked_is_an_impression_with_its_whole_distribution(place, tmp_path):
    at = MONDAY + 10 * HOUR
    stored(
        tmp_path,
        *(decision(f"d{number}", at + number, context={}) for number in range(4)),
        decision("d4", at, propensity=0.75, creative_id="b", shopper="s9", context={"context_device": "desk"}),
        reported("impression", "d0", at + 5),
        reported("click", "d1", at + 6),
        reported("impression", "d2", at + 5), reported("click", "d2", at + 9),
        reported("feedback", "d2", at + 9, feedback="hide"),
        reported("impression", "d4", at + 5),
    )  # fmt: skip
    done = collected(place, tmp_path, MONDAY + 2 * DAY)
    assert (done.days, done.impressions, done.ends_at) == (1, 4, datetime(2026, 6, 2, tzinfo=UTC))
    served = impressions(place).loc[["d0", "d1", "d2", "d4"]]
    assert served["click"].tolist() == [0, 1, 1, 0] and served["propensity"].tolist() == [0.25, 0.25, 0.25, 0.75]
    assert served.loc["d2", "feedback"] == "hide" and served.loc["d4", "context_device"] == "desk"
    assert served.loc["d0", "timestamp"] == pd.Timestamp(at, unit="us", tz="UTC")
    pairs = read_table(place, "candidates")
    assert pairs.loc[pairs["impression_id"] == "d4", "propensity"].tolist() == [0.25, 0.75]
    shoppers = read_table(place, "shoppers").set_index("shopper_id")["consent"]
    assert shoppers["s1"] and not shoppers["s9"], "a shopper nobody knows has not consented"
    checked = validate(*load_dataset(place), ValidationConfig())
    assert {name: len(rows) for name, rows in checked.quarantine.items() if len(rows)} == {}


def test_a_day_is_written_once_and_what_comes_too_late_does_not_count(place, tmp_path):
    at = MONDAY + 23 * HOUR
    stored(tmp_path, decision("d0", at), decision("d1", at), reported("impression", "d0", at))
    assert collected(place, tmp_path, MONDAY + DAY + 5 * HOUR).days == 0, "its clicks still count"
    stored(tmp_path, reported("click", "d0", MONDAY + DAY + 5 * HOUR))
    stored(tmp_path, reported("click", "d1", MONDAY + DAY + 7 * HOUR))
    assert collected(place, tmp_path, MONDAY + DAY + 8 * HOUR).impressions == 1
    before = {file: file.read_bytes() for file in Path(place).rglob("*.parquet")}
    assert collected(place, tmp_path, MONDAY + DAY + 9 * HOUR).days == 0
    assert {file: file.read_bytes() for file in Path(place).rglob("*.parquet")} == before
    assert impressions(place).loc["d0", "click"] == 1 and "d1" not in impressions(place).index
    other = tmp_path / "other"
    assert not other.exists()


def test_a_collection_days_later_gives_the_same_rows_as_nightly_ones(place, tmp_path):
    twin = UPath(shutil.copytree(Path(place), tmp_path / "twin" / "shop"))
    rows = []
    for day in range(3):
        at = MONDAY + day * DAY + 20 * HOUR
        rows += [decision(f"d{day}", at), reported("impression", f"d{day}", at)]
        rows += [reported("click", f"d{day}", at + 2 * HOUR, ingested=at + (2 + 9 * day) * HOUR)]
    stored(tmp_path / "nightly", *rows)
    stored(tmp_path / "once", *rows)
    for day in range(1, 4):
        collected(place, tmp_path / "nightly", MONDAY + day * DAY + 7 * HOUR)
    assert collected(twin, tmp_path / "once", MONDAY + 3 * DAY + 7 * HOUR).days == 3
    files = sorted(file.relative_to(place) for file in Path(place).rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(twin) for file in Path(twin).rglob("*") if file.is_file())
    assert all((Path(place) / file).read_bytes() == (Path(twin) / file).read_bytes() for file in files)
    assert impressions(place).loc[["d0", "d1", "d2"], "click"].tolist() == [1, 0, 0]


def test_conversions_are_final_when_their_window_has_passed(place, tmp_path):
    at = MONDAY + 10 * HOUR
    stored(
        tmp_path,
        *(decision(f"d{number}", at) for number in range(3)),
        *(reported("click", f"d{number}", at + HOUR) for number in range(2)),
        reported("impression", "d2", at),
        reported("conversion", "d0", at + 3 * DAY, revenue=12.5),
        reported("conversion", "d2", at + 3 * DAY, revenue=99.0),  # of an ad that nobody clicked
    )
    collected(place, tmp_path, MONDAY + 2 * DAY)
    first = impressions(place)
    assert first.loc[["d0", "d1"], "conversion"].isna().all() and first.loc["d2", "conversion"] == 0
    for day in range(2, 9):  # nothing more is served, so the days are empty, but the log goes on
        stored(tmp_path, decision(f"x{day}", MONDAY + day * DAY), reported("impression", f"x{day}", MONDAY + day * DAY))
    assert collected(place, tmp_path, MONDAY + 10 * DAY).settled == 2
    final = impressions(place)
    assert final.loc[["d0", "d1"], "conversion"].tolist() == [1, 0] and final.loc["d0", "revenue"] == 12.5
    checked = validate(*load_dataset(place), ValidationConfig())
    assert len(checked.quarantine["impressions"]) == 0


def test_behaviour_that_comes_late_joins_as_late_rows(place, tmp_path):
    body = {"shopper_id": "s1", "kind": "search", "text": "红色"}
    stored(
        tmp_path,
        decision("d0", MONDAY), reported("impression", "d0", MONDAY), decision("d1", MONDAY + DAY),
        reported("impression", "d1", MONDAY + DAY), reported("event", "e1", MONDAY + HOUR, **body),
    )  # fmt: skip
    collected(place, tmp_path, MONDAY + DAY + 7 * HOUR)
    stored(tmp_path, reported("event", "e2", MONDAY + 2 * HOUR, ingested=MONDAY + 2 * DAY, **body))
    assert collected(place, tmp_path, MONDAY + 3 * DAY).late == 1
    events = read_table(place, "events").set_index("event_id")
    assert events.index.tolist() == ["e1", "e2"] and events.loc["e2", "text"] == "红色"
    assert events.loc["e2", "ingested_at"] == pd.Timestamp(MONDAY + 2 * DAY, unit="us", tz="UTC")


def test_what_is_in_the_data_set_is_deleted_from_the_journal_in_time(place, tmp_path):
    for day in (0, 5, 30):
        at = MONDAY + day * DAY
        stored(tmp_path, decision(f"d{day}", at), reported("impression", f"d{day}", at))
    collected(place, tmp_path, MONDAY + 32 * DAY)
    with closing(connect(tmp_path / FILE)) as connection:
        kept = [row[0] for row in connection.execute("SELECT decision_id FROM decisions")]
    assert kept == ["d30"] and {"d0", "d5", "d30"} <= set(impressions(place).index)


def test_rows_of_days_that_the_log_already_had_stay_in_the_journal_and_are_told(place, tmp_path, caplog):
    for day in (0, 30, 31):
        at = MONDAY + day * DAY
        stored(tmp_path, decision(f"d{day}", at), reported("impression", f"d{day}", at))
    card = read_card(place)
    write_card(card.model_copy(update={"ends_at": datetime(2026, 6, 20, tzinfo=UTC)}), place)
    assert collected(place, tmp_path, MONDAY + 33 * DAY).impressions == 2
    assert "shop: 1 decisions are of days before the end of the data set's log" in caplog.text
    with closing(connect(tmp_path / FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM decisions WHERE decision_id = 'd0'").fetchone() == (1,)


def test_data_sets_that_cannot_take_served_rows_are_told(place, tmp_path):
    with pytest.raises(UserError, match=r"there is no journal in .*; `adloom serve shop` writes one"):
        collected(place, tmp_path, MONDAY)
    stored(tmp_path, decision("d0", MONDAY), reported("impression", "d0", MONDAY))
    (place / "candidates" / "day=2026-05-01" / "part-0.parquet").unlink()
    (place / "candidates" / "day=2026-05-01").rmdir()
    (place / "candidates").rmdir()
    with pytest.raises(UserError, match="its log has no table candidates"):
        collected(place, tmp_path, MONDAY + 3 * DAY)
    card = read_card(place)
    write_card(card.model_copy(update={"simulator": SimulatorConfig()}), place)
    with pytest.raises(UserError, match="shop is simulated"):
        collected(place, tmp_path, MONDAY + 3 * DAY)


def test_without_a_log_the_service_writes_the_first_one(tmp_path):
    place = write_shop(tmp_path / "data" / "shop")
    (place / "impressions" / "day=2026-01-01" / "part-0.parquet").unlink()
    (place / "impressions" / "day=2026-01-01").rmdir()
    (place / "impressions").rmdir()
    at = MONDAY + HOUR
    stored(tmp_path / "serving", decision("d0", at, context={}), reported("click", "d0", at))
    assert collected(place, tmp_path / "serving", MONDAY + 2 * DAY).impressions == 1
    assert read_card(place).tables == ("campaigns", "creatives", "impressions", "candidates", "shoppers")
    assert len(validate(*load_dataset(place), ValidationConfig()).quarantine["impressions"]) == 0


@pytest.mark.slow
def test_a_run_on_a_served_log_finds_nothing_wrong_with_it(shop_without_truth):
    """A simulated shop whose later days were served by a uniform choice: every stage that reads the log accepts it."""
    from components.workflow import run_stage
    from components.workflow.stage_outputs import Outputs

    settings, paths = shop_without_truth
    known = read_shop(paths.data)
    policy, card = uniform_choice(known, 0), read_card(paths.data)
    random, start = np.random.default_rng(3), int(card.ends_at.timestamp()) * 1_000_000
    shoppers = sorted(known.consenting)[:200]
    rows = []
    for number in range(3000):
        at = start + int(random.integers(0, 5 * DAY))
        request = AdRequest(f"served{number}", at, (), str(random.choice(shoppers)), "home")
        made = policy.decide(request, 1, [])
        candidates = dict(zip(made.creative_ids, made.probabilities.tolist(), strict=True))
        fields = {"creative_id": made.creative_id, "propensity": made.propensity, "campaign": made.campaign}
        rows += [decision(request.decision_id, at, request.shopper_id, candidates=candidates, context={}, **fields)]
        rows += [reported("impression", request.decision_id, at)]
        rows += [reported("click", request.decision_id, at)] * (random.random() < 0.05)
        rows += [
            reported("event", f"e{number}", at + 60, shopper_id=request.shopper_id, kind="view", product_id="p00001")
        ]
    stored(Path(paths.serving), *rows)
    done = collect("marketplace", paths.data, Path(paths.serving), settings, start + 6 * DAY)
    assert done.days == 5 and done.impressions == 3000
    for name in ("validation", "features", "interest"):
        run_stage.run(name, settings, paths)
    for table in ("impressions", "candidates", "events", "creatives"):
        assert len(read_frame(paths.stage("validation") / "quarantine" / f"{table}.parquet")) == 0
    out = Outputs(paths.stage("creatives"))
    out.json("metrics.json", {"generators": {}, "gate": None, "remarks": []})
    out.finish(run_stage.stage_manifest("creatives", settings, paths))
    write_json([run_stage.question(settings, paths)], paths.ledger)
    run_stage.run("evaluation", settings, paths)
    evaluation = read_json(paths.stage("evaluation") / "evaluation.json")
    logs = {log["logging_policy"]: log for form in evaluation["forms"] for log in form["logs"]}
    assert "uniform" in logs
    assert all(form["critical_findings"] == [] for form in evaluation["forms"])


@pytest.fixture
def shop_without_truth(shop):
    """The small simulated shop as if it were somebody's own: without the simulator's settings, and no conversions."""
    paths = Paths.of("marketplace")
    settings = load_settings(shop.params, "marketplace", ("evaluation.min_clicks=1", "evaluation.min_ess=1"))
    for file in sorted((Path(paths.data) / "impressions").rglob("*.parquet")):
        log = pd.read_parquet(file)
        gone = [name for name in ("conversion", "conversion_timestamp", "revenue") if name in log]
        write_table(log.drop(columns=gone), UPath(file))
    card = read_card(paths.data)
    own = {"simulator": None, "real": card.tables, "simulated": ()}
    write_card(card.model_copy(update=own), paths.data)
    assert card.ends_at < datetime.now(UTC) - timedelta(days=7) and pd.Timestamp(card.ends_at) > LONG_AGO
    return settings, paths

import sys
from subprocess import run

import numpy as np
import pandas as pd
import pytest

from components.features import FeatureModel, build_features, creative_features, fit_features
from components.features.time_splits import TRAIN
from components.images import NetworkEncoder, decode
from components.settings.errors import UserError
from components.settings.sections import FeaturesConfig
from tests.components.features import oracle
from tests.components.features.shop import shop
from tests.components.images.sketches import dense_encoder

CONFIG = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
SECOND = pd.Timedelta(seconds=1)


@pytest.fixture(scope="module")
def tables():
    return shop()


@pytest.fixture(scope="module")
def model(tables):
    return fit_features(tables, CONFIG)


@pytest.fixture(scope="module")
def features(model, tables):
    return build_features(model, tables, CONFIG)


def shopper_columns(features):
    named = [c for c in features.impressions if c.startswith("shopper_") or c in ("impression_id", "segment", "split")]
    return features.impressions[named]


def test_the_fast_engine_agrees_with_a_loop_over_impressions(tables, model, features):
    consenting = tables["shoppers"].loc[tables["shoppers"]["consent"], "shopper_id"]
    events = tables["events"][tables["events"]["shopper_id"].isin(consenting)]
    shown = tables["impressions"][tables["impressions"]["shopper_id"].isin(consenting)]
    taste = model.behaviour.tastes[0]
    assert model.traits.writing == ("CJK",)
    languages = pd.Series(0, tables["products"]["product_id"])
    for _, row in features.impressions[features.impressions["consent"]].iloc[::17].iterrows():
        who, when = row["shopper_id"], row["timestamp"]
        expected = oracle.exposure(shown, who, row["campaign"], when)
        for kind in ("view", "search", "purchase"):
            for days in (1, 7):
                expected |= oracle.activity(events, who, when, kind, days)
        expected |= oracle.category_tastes(events, tables["products"], who, when, taste, languages)
        found = row[list(expected)].astype(float)
        np.testing.assert_allclose(found, list(expected.values()), rtol=1e-5, atol=1e-5)


def with_events(tables, planted):
    return {**tables, "events": pd.concat([tables["events"], planted], ignore_index=True)}


def planted_events(impression, offsets):
    """Dear purchases and searches by the shopper of one impression, at the given offsets from its time."""
    times = pd.Series([impression["timestamp"] + offset for offset in offsets]).astype("datetime64[us, UTC]")
    count = len(times)
    return pd.DataFrame(
        {
            "event_id": [f"planted{number}" for number in range(count)],
            "timestamp": times,
            "shopper_id": impression["shopper_id"],
            "kind": ["purchase", "search"] * (count // 2),
            "product_id": ["product001", None] * (count // 2),
            "text": [None, "red shoes 红色"] * (count // 2),
            "dwell_seconds": np.nan,
            "value": [1e6, np.nan] * (count // 2),
        }
    )


def chosen_impression(features):
    late = features.impressions[
        features.impressions["consent"] & features.impressions["split"].isin(["select", "judge"])
    ]
    return late.iloc[len(late) // 2]


def test_events_at_or_after_an_impression_change_nothing_in_its_row(tables, model, features):
    impression = chosen_impression(features)
    planted = planted_events(impression, [0 * SECOND, 0 * SECOND, SECOND, SECOND, 90 * SECOND, 90 * SECOND])
    again = build_features(model, with_events(tables, planted), CONFIG)
    until = features.impressions["timestamp"] <= impression["timestamp"]
    pd.testing.assert_frame_equal(features.impressions[until], again.impressions[until])
    later = (features.impressions["shopper_id"] == impression["shopper_id"]) & ~until
    assert later.any()
    bought = "shopper_value:purchase_28d"
    assert (again.impressions.loc[later, bought] > features.impressions.loc[later, bought] + 1e5).all()


def test_an_event_counts_from_when_the_log_had_it(tables, model, features):
    """Events that came an hour late are as if they had happened then; a later ingestion of the past changes nothing."""
    events = tables["events"]
    late = events["timestamp"] + pd.Timedelta(hours=1)
    some = (np.arange(len(events)) % 3 == 0) & (events["kind"] != "search").to_numpy()
    ingested = events["timestamp"].where(~some, late)
    given = build_features(model, {**tables, "events": events.assign(ingested_at=ingested)}, CONFIG)
    moved = build_features(model, {**tables, "events": events.assign(timestamp=ingested)}, CONFIG)
    pd.testing.assert_frame_equal(given.impressions, moved.impressions)
    assert not given.impressions.equals(features.impressions)
    early = events.assign(ingested_at=(events["timestamp"] - pd.Timedelta(minutes=5)).where(some))
    pd.testing.assert_frame_equal(
        build_features(model, {**tables, "events": early}, CONFIG).impressions, features.impressions
    )


def test_an_event_one_microsecond_before_an_impression_counts(tables, model, features):
    impression = chosen_impression(features)
    planted = planted_events(impression, [-pd.Timedelta(microseconds=1)] * 2)
    again = build_features(model, with_events(tables, planted), CONFIG)
    row = again.impressions.loc[impression.name]
    assert row["shopper_count:purchase_1d"] == impression["shopper_count:purchase_1d"] + 1
    assert row["shopper_count:search_1d"] == impression["shopper_count:search_1d"] + 1


def test_clicks_at_or_after_an_impression_change_nothing_in_its_row(tables, model, features):
    impression = chosen_impression(features)
    later = tables["impressions"]["timestamp"] >= impression["timestamp"]
    flipped = tables["impressions"].assign(click=tables["impressions"]["click"].where(~later, 1))
    again = build_features(model, {**tables, "impressions": flipped}, CONFIG)
    row = features.impressions["impression_id"] == impression["impression_id"]
    pd.testing.assert_frame_equal(shopper_columns(features)[row], shopper_columns(again)[row])


def test_what_is_fitted_does_not_see_past_the_end_of_training(tables, model):
    until = pd.Timestamp(model.splits.train_until, unit="us", tz="UTC")
    rewritten = tables["events"].copy()
    late = rewritten["timestamp"] >= until
    rewritten.loc[late & (rewritten["kind"] == "search"), "text"] = "completely different words"
    rewritten.loc[late & (rewritten["kind"] == "purchase"), "value"] = 1e6
    rewritten.loc[late, "shopper_id"] = "shopper000"
    unclicked = tables["impressions"].assign(click=1 - tables["impressions"]["click"])
    again = fit_features({**tables, "events": rewritten, "impressions": unclicked}, CONFIG)
    assert again.files() == model.files()


def test_splits_follow_time_and_keep_a_page_together(tables):
    impressions = tables["impressions"].sort_values("timestamp", ignore_index=True)
    model = fit_features({**tables, "impressions": impressions}, CONFIG)
    split = model.splits.of(impressions)
    assert list(dict.fromkeys(split)) == ["train", "calibrate", "select", "judge"]
    last = int(np.flatnonzero(split == TRAIN)[-1])
    page = impressions["request_id"].copy()
    page.iloc[[last, last + 1]] = "one page"
    together = model.splits.of(impressions.assign(request_id=page))
    assert together[last] == together[last + 1] == "calibrate"
    assert (np.delete(together, last) == np.delete(split, last)).all()


def test_a_shopper_without_consent_has_no_past_and_teaches_nothing(tables, model, features):
    refusing = set(tables["shoppers"].loc[~tables["shoppers"]["consent"], "shopper_id"])
    rows = features.impressions[features.impressions["shopper_id"].isin(refusing)]
    assert len(rows) and not rows["consent"].any()
    assert (rows.filter(regex="shopper_(count|value|shown|clicked|touches|campaign_shown)") == 0).all().all()
    assert rows.filter(regex="shopper_category").drop_duplicates().shape[0] == 1
    assert not refusing & set(features.shopper_profiles["shopper_id"])
    kept = ~tables["events"]["shopper_id"].isin(refusing)
    without = {**tables, "events": tables["events"][kept]}
    assert fit_features(without, CONFIG).files() == model.files()
    theirs = tables["impressions"]["shopper_id"].isin(refusing)
    elsewhere = tables["impressions"].assign(placement=tables["impressions"]["placement"].mask(theirs, "elsewhere"))
    assert fit_features({**tables, "impressions": elsewhere}, CONFIG).files() == model.files()


def test_impressions_of_shoppers_without_consent_teach_nothing(tables):
    """No level that they alone have seen, no mean that they moved; the times of the log are its own."""
    consents = tables["shoppers"].set_index("shopper_id")["consent"]
    shown = tables["impressions"]
    at_ends = shown["timestamp"].isin([shown["timestamp"].min(), shown["timestamp"].max()])
    shown = shown.assign(shopper_id=shown["shopper_id"].mask(at_ends, consents.idxmax()))
    theirs = ~shown["shopper_id"].map(consents)
    shown = shown.assign(
        position=shown["position"].mask(theirs, 9),
        placement=shown["placement"].mask(theirs, "lounge"),
        context_device=pd.Series("phone", shown.index, dtype="str").mask(theirs, "tablet"),
        context_width=np.where(theirs, 1e6, 400.0),
    )
    every, without = (fit_features({**tables, "impressions": rows}, CONFIG) for rows in (shown, shown[~theirs]))
    assert theirs.any() and every.files() == without.files()
    assert every.context.placement.levels and "lounge" not in every.context.placement.levels
    assert every.context.free.means.tolist() == [400.0]


def test_profiles_name_what_a_shopper_touched_most(tables, features):
    profiles = features.shopper_profiles.set_index("shopper_id")
    events = tables["events"].merge(tables["products"][["product_id", "category"]], on="product_id")
    for shopper_id in list(profiles.index[:20]):
        counts = events.loc[events["shopper_id"] == shopper_id, "category"].value_counts()
        first = profiles.loc[shopper_id, "categories"].split(", ")[0]
        assert counts[first] == counts.max()
    searches = tables["events"][tables["events"]["text"].notna() & tables["events"]["shopper_id"].isin(profiles.index)]
    searched = searches.iloc[0]
    terms = profiles.loc[searched["shopper_id"], "top_terms"]
    assert terms and "#" not in terms


def test_the_same_tables_give_the_same_bytes(tables, model, features):
    again = fit_features(tables, CONFIG)
    assert again.files() == model.files()
    rebuilt = build_features(again, tables, CONFIG)
    pd.testing.assert_frame_equal(rebuilt.impressions, features.impressions, check_exact=True)
    pd.testing.assert_frame_equal(rebuilt.creatives, features.creatives, check_exact=True)
    pd.testing.assert_frame_equal(rebuilt.shopper_profiles, features.shopper_profiles, check_exact=True)


def test_a_stored_model_builds_the_same_features_and_rejects_rubbish(tables, model, features):
    stored = FeatureModel.from_files(model.files())
    pd.testing.assert_frame_equal(build_features(stored, tables, CONFIG).impressions, features.impressions)
    with pytest.raises(UserError, match="not a stored FeatureModel"):
        FeatureModel.from_files({"features.npz": b"rubbish"})
    with pytest.raises(UserError, match=r"needs the file features\.npz"):
        FeatureModel.from_files({})


def test_numbers_are_float32_and_finite(features):
    for table, named in ((features.impressions, ("shopper_", "context_")), (features.creatives, ("creative_",))):
        numbers = [c for c in table if c.startswith(named) and c not in ("shopper_id", "creative_id")]
        assert (table[numbers].dtypes == np.float32).all() and np.isfinite(table[numbers].to_numpy()).all()


def test_a_generated_creative_gets_the_same_columns(tables, model, features):
    new = tables["creatives"].iloc[:2].assign(creative_id=["new1", "new2"], origin="vae 1", headline="never seen")
    found = creative_features(model, new, tables["products"], features.looks)
    assert list(found.columns) == list(features.creatives.columns)
    assert (found["creative_generated"] == 1).all()
    assert (found.filter(like="creative_headline:") == 0).all().all()
    same = [column for column in found if column.startswith(("creative_look", "creative_category", "creative_title"))]
    pd.testing.assert_frame_equal(found[same], features.creatives[same].iloc[:2])


@pytest.mark.parametrize(
    ("absent", "searches", "gone"),
    [
        ("events", "no table events", "shopper_category"),
        ("images", "no table images", "shopper_look"),
        ("products", "no table products", "shopper_price"),
        ("shoppers", "no table shoppers", "nothing"),
    ],
)
def test_an_absent_table_switches_off_what_needs_it_and_says_so(tables, absent, searches, gone):
    fewer = {name: table for name, table in tables.items() if name != absent}
    model = fit_features(fewer, CONFIG)
    features = build_features(model, fewer, CONFIG)
    assert any(searches in message for message in features.messages)
    assert not [column for column in features.impressions if column.startswith(gone)]
    assert len(features.impressions) == len(tables["impressions"])
    assert FeatureModel.from_files(model.files()).files() == model.files()


def test_a_network_can_see_the_looks_and_is_part_of_the_model(tables):
    encoder = NetworkEncoder.from_bytes(dense_encoder((14, 14, 1), 5, scale=0.1))
    model = fit_features(tables, CONFIG, encoder=encoder)
    features = build_features(model, tables, CONFIG)
    looks = [column for column in features.creatives if column.startswith("creative_look:")]
    photo = tables["images"].set_index("image_id")["image"]
    shown = np.stack([decode(photo[name]) for name in tables["creatives"]["image_id"]])
    np.testing.assert_allclose(features.creatives[looks], encoder.embed(shown), atol=1e-5)
    assert len([column for column in features.impressions if column.startswith("shopper_look:")]) == 5
    again = FeatureModel.from_files(model.files())
    assert again.files() == model.files() and again.network == encoder
    pd.testing.assert_frame_equal(build_features(again, tables, CONFIG).creatives, features.creatives)
    without = {name: table for name, table in tables.items() if name != "images"}
    assert fit_features(without, CONFIG, encoder=encoder).network is None


def test_without_a_shopper_there_is_no_history(tables):
    profile = CONFIG.model_copy(update={"shopper_history": False})
    model = fit_features(tables, profile)
    features = build_features(model, tables, profile)
    assert any("shopper_history is false" in message for message in features.messages)
    assert not features.impressions.filter(regex="shopper_(count|shown|category|recency)").shape[1]
    assert (features.impressions["segment"] == 0).all() and features.shopper_profiles.empty


def test_own_columns_become_features(tables):
    rng = np.random.default_rng(0)
    own = {
        **tables,
        "shoppers": tables["shoppers"].assign(feature_age=["young", "old"] * 60),
        "creatives": tables["creatives"].assign(feature_score=rng.random(24)),
        "impressions": tables["impressions"].assign(context_device=rng.choice(["phone", "desktop"], 1500)),
    }
    features = build_features(fit_features(own, CONFIG), own, CONFIG)
    known = features.impressions["consent"]
    assert (features.impressions.loc[known, ["shopper_age:young", "shopper_age:old"]].sum(axis=1) == 1).all()
    assert (features.impressions.loc[~known, ["shopper_age:young", "shopper_age:old"]] == 0).all().all()
    assert {"context_device:phone", "context_device:desktop"} <= set(features.impressions.columns)
    np.testing.assert_allclose(features.creatives["creative_score"], own["creatives"]["feature_score"], rtol=1e-6)


def test_shares_that_leave_no_time_to_judge_are_refused(tables):
    with pytest.raises(
        UserError, match=r"train_share 0\.8, features\.calibration_share 0\.1 and features\.select_share 0\.1"
    ):
        fit_features(tables, CONFIG.model_copy(update={"train_share": 0.8}))
    at_once = tables["impressions"].assign(timestamp=tables["impressions"]["timestamp"].iloc[0])
    with pytest.raises(UserError, match="column timestamp"):
        fit_features({**tables, "impressions": at_once}, CONFIG)


def test_importing_features_loads_nothing_heavy():
    code = (
        "import sys, components.features; print([m for m in ('tensorflow', 'sklearn', 'duckdb') if m in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("asked", [("search", 21), ("home", None), (None, 0), (None, None)])
def test_moved_impressions_have_the_columns_of_those_logged_there(tables, model, asked):
    placement, hour = asked
    shown = tables["impressions"].head(50).assign(context_local_hour=7)
    elsewhere = shown if placement is None else shown.assign(placement=placement)
    elsewhere = elsewhere if hour is None else elsewhere.assign(context_local_hour=hour)
    columns = list(model.context.columns)
    logged, expected = (pd.DataFrame(model.context.encode(rows), columns=columns) for rows in (shown, elsewhere))
    moved = model.context.in_context(logged.assign(shopper_age=1.0), placement, hour)
    pd.testing.assert_frame_equal(moved, expected.assign(shopper_age=1.0))

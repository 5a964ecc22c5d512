import numpy as np
import pytest

from components.datasets.openbandit import KNOWN_CLICK_RATE, bts_prior, build_tables, load_wheel
from components.datasets.packages.package_download import DEFAULT_CACHE
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig


@pytest.fixture(scope="module")
def wheel():
    return load_wheel(DEFAULT_CACHE)


@pytest.fixture(scope="module")
def tables(wheel):
    return build_tables(wheel)[0]


def test_six_logs_with_the_clicks_that_the_sample_has(tables):
    logs = tables["impressions"].groupby(["campaign", "logging_policy"])["click"].agg(["size", "sum"])
    assert logs["size"].eq(10_000).all()
    assert logs["sum"].sum() == 287
    assert len(logs) == 6


def test_the_sample_agrees_with_the_published_click_rates(tables):
    """Each log's rate lies within 4 binomial errors of that in the full data (error probability 6 x 6e-5)."""
    rates = tables["impressions"].groupby(["campaign", "logging_policy"])["click"].mean()
    for log, known in KNOWN_CLICK_RATE.items():
        assert abs(rates[log] - known) < 4 * np.sqrt(known / 10_000)


def test_random_is_uniform_over_the_items_and_bts_is_not(tables):
    counts = tables["creatives"]["campaign"].value_counts()
    assert counts.to_dict() == {"all": 80, "women": 46, "men": 34}
    log = tables["impressions"]
    uniform = log["logging_policy"] == "random"
    np.testing.assert_allclose(log["propensity"][uniform], 1 / log["campaign"][uniform].map(counts))
    assert log["propensity"][~uniform].min() == 1e-6
    assert log["propensity"][~uniform].max() > 0.9


def test_keys_hold_and_features_are_labels(tables):
    log = tables["impressions"]
    assert set(log["creative_id"]) <= set(tables["creatives"]["creative_id"])
    assert set(log["shopper_id"]) == set(tables["shoppers"]["shopper_id"])
    assert (log["creative_id"].str.rsplit("-", n=1).str[0] == log["campaign"]).all()
    assert log["position"].isin([1, 2, 3]).all()
    for feature in ("feature_1", "feature_2", "feature_3"):
        assert tables["creatives"][feature].str.fullmatch(r"g\d\d").all()
    assert "candidates" not in tables


@pytest.mark.slow
def test_validation_has_nothing_to_quarantine(wheel):
    from components.contract.validation.validate import validate

    tables, card = build_tables(wheel)
    validated = validate(tables, card, ValidationConfig())
    assert {name: len(rows) for name, rows in validated.quarantine.items()} == dict.fromkeys(tables, 0)


@pytest.mark.parametrize(("campaign", "items"), [("all", 80), ("men", 34), ("women", 46)])
def test_priors_of_bts_fit_the_items(campaign, items, wheel):
    alpha, beta = bts_prior(wheel, campaign)
    assert alpha.shape == beta.shape == (items,)
    assert (alpha > 0).all()
    assert (beta > alpha).all()  # click rates well below one half


def test_a_campaign_that_is_not_there_is_named(wheel):
    with pytest.raises(UserError, match="no campaign 'kids'"):
        bts_prior(wheel, "kids")

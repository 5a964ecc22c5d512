"""The replay on a small log: no mismatch between requests and the batch path; and it sees what it should see."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.replay import Agreement, compared, drawn, reported, summary
from components.features import build_features
from components.serving.served_policy import read_champion
from components.settings.sections import ServingConfig
from components.workflow.publishing.deployed_policy import read_package
from tests.components.serving import test_request_features as features

tables, learned, folder = features.tables, features.learned, features.folder  # fixtures


@pytest.fixture
def replay(tables, learned, folder, tmp_path):
    """Agreement of every 8th request of the log; change: of the policy that is served."""
    log = tables["impressions"].iloc[::8].reset_index(drop=True)
    shop = features.known_shop(tables)
    acting = {"acts": "per_shopper", "forms": ["per_shopper"]}
    built = build_features(learned[0], features.with_pool(tables, folder, tables["impressions"]), features.CONFIG)
    built = replace(built, impressions=built.impressions.iloc[::8].reset_index(drop=True))

    def run(lost=0, **config):
        reports = {**tables, "events": tables["events"].iloc[lost:]}
        served = read_champion(folder, acting, (3, "f" * 64)).served(shop, ServingConfig(**config))
        with closing(reported(reports, tmp_path / "service", shop.may_know)) as histories:
            return compared(served, histories, read_package(folder), learned, built, log)

    return run


def test_requests_have_the_features_and_creatives_of_the_batch_path(replay):
    agreement = replay()
    assert summary(agreement)["mismatches"] == 0, agreement
    assert agreement["creatives"].values == agreement["segments"].values == 375
    assert min(agreement[name].values for name in ("counters", "floats", "p_click", "probabilities")) > 375


def test_lost_events_and_another_seed_are_seen(replay):
    agreement = replay(lost=2000, seed=1)
    assert agreement["counters"].mismatches > 0 and agreement["p_click"].mismatches > 0
    assert agreement["creatives"].mismatches > 0 and agreement["eligible"].mismatches == 0


def test_agreement_counts_what_differs_by_more_than_the_tolerance():
    agreement = Agreement()
    agreement.add(np.array([1.0, 0.0, 2.0, np.nan]), np.array([1.0 + 5e-7, 0.0, 2.1, 1.0]), 1e-6)
    assert (agreement.values, agreement.mismatches) == (4, 2)
    agreement.add(np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object))
    assert (agreement.values, agreement.mismatches) == (6, 3)


def test_a_creative_is_drawn_as_often_as_its_probability_says():
    shares = np.array([0.2, 0.0, 0.5, 0.3])
    counts = np.bincount([drawn(f"d{number}", 7, shares) for number in range(20_000)], minlength=4) / 20_000
    np.testing.assert_allclose(counts, shares, atol=0.015)
    assert counts[1] == 0

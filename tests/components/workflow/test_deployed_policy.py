"""The champion as the baseline: what it logged where it logged, its deployed function elsewhere, never tilted twice."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.contract.files.digests import digest_package
from components.contract.files.tables import write_bytes, write_json
from components.features import build_features, fit_features
from components.interest import score_pairs
from components.interest.training import train_calibrated
from components.policies import POLICIES, eligible_pairs, pair_offsets
from components.policies.logging_preference import logging_policy_name
from components.registry.signing import sign, signature_path
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import FeaturesConfig, InterestConfig
from components.workflow.publishing.deployed_policy import read_champion
from tests.components.features.shop import shop
from tests.components.policies.packages import catalogue, package, write
from tests.components.registry.unreadable import cannot_be_read


@pytest.fixture
def paths(tmp_path):
    paths = Paths.of("shop", workdir=str(tmp_path))
    write(paths.champion, package())
    registered(paths)
    return paths


def registered(paths: Paths, acts: str | None = None) -> None:
    """Sign and record the snapshot as `snapshot` does, for a champion that acts as `acts`."""
    sign(Path(paths.champion), "shop-policy", signature_path(Path(paths.champion)))
    package = {"model": "shop-policy", "package": digest_package(paths.champion)}
    write_json({"version": 3, **package, "acts": acts, "forms": [acts] if acts else []}, paths.champion_record)


def log(*policies: str, known: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Impressions of shopper s1 and their pairs a, b; a was shown at 0.9, whatever the logging policy is called."""
    ids = [f"i{number}" for number in range(len(policies))]
    rows = {"impression_id": ids, "shopper_id": "s1", "placement": "top", "campaign": "c"}
    impressions = pd.DataFrame({**rows, "logging_policy": policies, "creative_id": "a", "propensity": 0.9})
    pairs = pd.DataFrame({"impression_id": np.repeat(ids, 2), "creative_id": ["a", "b"] * len(ids)})
    return impressions, pairs.assign(propensity=[0.9, 0.1] * len(ids)) if known else pairs


def own_name(paths) -> str:
    return f"{logging_policy_name(digest_package(paths.champion))}-table"


@pytest.mark.parametrize("known", [True, False])
def test_on_its_own_log_it_is_what_it_logged_and_elsewhere_what_its_package_does(paths, known):
    champion = read_champion(paths)
    probabilities = champion.probabilities({}, *log(own_name(paths), "the shop", known=known))
    deployed = [0.9 * 0.75 + 0.05, 0.9 * 0.25 + 0.05]
    assert probabilities == pytest.approx([0.9, 0.1, *deployed])


def test_another_policy_of_adloom_is_not_its_own(paths):
    probabilities = read_champion(paths).probabilities({}, *log(f"{logging_policy_name('f' * 64)}-table"))
    assert probabilities == pytest.approx([0.725, 0.275])


def test_its_function_does_not_depend_on_who_wrote_the_log(paths):
    """A policy that is tilted around logged propensities would be tilted twice on its own log."""
    impressions, pairs = log("the shop")
    champion = read_champion(paths)
    first = champion.probabilities({}, impressions, pairs)
    other = champion.probabilities({}, impressions.assign(propensity=0.2), pairs.assign(propensity=[0.2, 0.8]))
    np.testing.assert_array_equal(first, other)


def test_a_distribution_known_in_part_is_filled_where_it_is_not(paths):
    impressions, pairs = log(own_name(paths), own_name(paths))
    pairs["propensity"] = [0.9, 0.1, np.nan, np.nan]
    assert read_champion(paths).probabilities({}, impressions, pairs) == pytest.approx([0.9, 0.1, 0.9, 0.1])


def test_the_form_that_acts_is_the_registrys_and_else_the_first(paths):
    assert read_champion(paths).acts == "table"
    registered(paths, "per_shopper")
    assert read_champion(paths).acts == "per_shopper"
    registered(paths)
    assert read_champion(paths).acts == "table"


def test_without_a_snapshot_there_is_none_and_a_damaged_one_is_named(paths, tmp_path):
    assert read_champion(Paths.of("another", workdir=str(tmp_path))) is None
    (paths.champion / "policy.json").write_text('{"temperature": 0.1, "exploration": 0.05}')
    registered(paths)
    with pytest.raises(UserError, match="holds a damaged one, or has the layout of an earlier release"):
        read_champion(paths)


@pytest.mark.parametrize("content", ["[]", '"text"', "null", '{"weights": "of release 0.0"}'])
def test_a_champion_that_cannot_be_read_is_named_with_the_way_out(paths, content):
    (paths.champion / "policy.json").write_text(content)
    registered(paths)
    with pytest.raises(UserError, match=cannot_be_read("shop-policy version 3, the champion")):
        read_champion(paths)


@pytest.mark.parametrize("changed", [{"policy": "oracle"}, {"policy_settings": {"x": 1}}, {"policy_settings": []}])
def test_so_is_one_with_a_policy_or_setting_that_is_unknown_here(paths, changed):
    stored = json.loads((paths.champion / "policy.json").read_text())
    (paths.champion / "policy.json").write_text(json.dumps(stored | changed))
    registered(paths)
    with pytest.raises(UserError, match=cannot_be_read("shop-policy version 3, the champion")):
        read_champion(paths)


@pytest.mark.parametrize("content", ["[]", "{}", "null", '{"version": 3}'])
def test_a_record_of_a_snapshot_that_lacks_something_is_refused(paths, content):
    paths.champion_record.write_text(content)
    with pytest.raises(UserError, match="is incomplete or was altered; `adloom run shop` fetches it anew"):
        read_champion(paths)


@pytest.mark.parametrize("name", ["features/features.npz", "interest/calibration.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}"])
def test_a_champion_whose_models_cannot_be_read_is_named_likewise(paths, name, content):
    write_bytes(content, paths.champion / "model" / name)
    registered(paths, "per_shopper")
    with pytest.raises(UserError, match=cannot_be_read("shop-policy version 3, the champion")):
        read_champion(paths).probabilities({}, *log("the shop"))


def test_a_snapshot_that_is_not_the_signed_package_is_refused_before_it_is_read(paths, monkeypatch):
    """Swapped, added and missing files, a signature of another model, and a snapshot that was cut off."""

    def unread(*_):
        raise AssertionError("the package was read")

    monkeypatch.setattr("components.workflow.publishing.deployed_policy.PolicyPackage.from_files", unread)
    policy, before = paths.champion / "policy.json", (paths.champion / "policy.json").read_bytes()
    policy.write_text("{}")
    with pytest.raises(UserError, match="is incomplete or was altered; `adloom run shop` fetches it anew"):
        read_champion(paths)
    policy.write_bytes(before)
    (paths.champion / ".hidden").write_text("")  # digests leave hidden files out
    with pytest.raises(UserError, match=r"signature does not hold: added: \.hidden; nothing was loaded"):
        read_champion(paths)
    (paths.champion / ".hidden").unlink()
    sign(Path(paths.champion), "other-policy", signature_path(Path(paths.champion)))
    with pytest.raises(UserError, match="the signature of other-policy, not of shop-policy"):
        read_champion(paths)
    signature_path(Path(paths.champion)).unlink()
    with pytest.raises(UserError, match="it has no signature"):
        read_champion(paths)
    paths.champion_record.unlink()
    with pytest.raises(UserError, match="is incomplete or was altered"):
        read_champion(paths)


@pytest.mark.parametrize("name", ["chi_square", "thompson"])
def test_a_champion_per_shopper_scores_other_logs_by_its_own_models(tmp_path, name):
    config = FeaturesConfig(segments=3, text_dimensions=4, image_dimensions=3)
    tables = shop(seed=5, impressions=2000, liking=1.5)
    model = fit_features(tables, config)
    built = build_features(model, tables, config)
    interest = train_calibrated(built, "logistic", InterestConfig(bootstrap=20))
    creatives = dict(tables["creatives"][["creative_id", "campaign"]].itertuples(index=False))
    parameters = replace(package().parameters, policy=name, errors=POLICIES[name].needs_errors)
    policy = replace(package(), parameters=parameters, catalogue=catalogue(creatives))
    paths = Paths.of("shop", workdir=str(tmp_path))
    write(paths.champion, policy)
    for kind, files in (("features", model.files()), ("interest", interest.files())):
        for file, content in files.items():
            write_bytes(content, paths.champion / "model" / kind / file)
    registered(paths, acts="per_shopper")
    rows = tables["impressions"].head(40).assign(logging_policy="the shop", propensity=0.1)
    pairs = eligible_pairs({"creatives": tables["creatives"]}, rows)
    scored = score_pairs(interest, built, pairs, errors=True)
    due = policy.per_shopper(rows, scored, pair_offsets(pairs, rows))
    np.testing.assert_allclose(read_champion(paths).probabilities(tables, rows, pairs), due, atol=1e-12)

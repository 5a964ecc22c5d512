"""Packages of every release that there was still verify, load and answer as they did."""

import json
import shutil
from pathlib import Path

import pytest

from components.contract.files.tables import files_in
from components.features import FeatureModel, build_features
from components.interest import CalibratedModel, predict_pairs
from components.policies.policy_package import PolicyPackage
from components.registry.signing import PUBLIC_KEY, verify
from components.settings.errors import UserError
from tests.components.features.shop import shop
from tests.fixtures.packages.make import ASKED, FEATURES, FOLDER, SHOP

RELEASES = sorted(path.name for path in FOLDER.iterdir() if (path / "expected.json").exists())


@pytest.fixture(params=RELEASES)
def release(request, monkeypatch) -> Path:
    """The folder of a release's packages, whose key is trusted."""
    monkeypatch.setenv("ADLOOM_VERIFY_KEY", str(FOLDER / request.param / PUBLIC_KEY))
    return FOLDER / request.param


def test_there_is_a_release():
    assert "0.1.0" in RELEASES


def test_a_policy_of_an_earlier_release_still_acts(release):
    verify(release / "policy", "shop-policy", release / "policy.sig", "policy")
    decisions = PolicyPackage.from_files(files_in(release / "policy")).decisions
    expected = json.loads((release / "expected.json").read_text())["table"]
    cells = decisions[["segment", "placement", "campaign", "creative_id"]].agg("/".join, axis=1)
    assert dict(zip(cells, decisions["probability"], strict=True)) == expected


def test_a_model_of_interest_of_an_earlier_release_still_scores(release):
    verify(release / "interest", "shop-interest", release / "interest.sig", "interest")
    features = FeatureModel.from_files(files_in(release / "interest" / "features"))
    model = CalibratedModel.from_files(files_in(release / "interest" / "interest"))
    built = build_features(features, shop(**SHOP), FEATURES)
    pairs = built.impressions[["impression_id", "creative_id"]].head(ASKED)
    expected = json.loads((release / "expected.json").read_text())["p_click"]
    assert predict_pairs(model, built, pairs) == pytest.approx(expected, rel=1e-9)


def test_a_package_of_an_earlier_release_that_was_altered_is_refused(release, tmp_path):
    shutil.copytree(release / "policy", tmp_path / "policy")
    (tmp_path / "policy" / "policy.json").write_text("{}")
    with pytest.raises(UserError, match=r"policy\.json was altered"):
        verify(tmp_path / "policy", "shop-policy", release / "policy.sig", "policy")

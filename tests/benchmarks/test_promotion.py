"""The promotion benchmark at a small size: a few rounds, some kinds of tampering, and the detection of loads."""

import pytest

from benchmarks.promotion import contest, tamper
from benchmarks.promotion_shop import environment

pytestmark = pytest.mark.slow


def test_exactly_one_of_three_promoters_from_two_clones_wins_each_round(tmp_path):
    found = contest(promoters=3, rounds=4, folder=tmp_path)
    assert found.sound, found
    assert found.winners == (1, 1, 1, 1) and found.history == 4


def test_tampering_is_refused_before_anything_is_read(tmp_path):
    for tried in tamper(10, tmp_path):
        assert tried.refused, tried


def test_what_was_not_tampered_with_is_loaded_and_the_load_is_recorded(tmp_path):
    from benchmarks.promotion_tampering import KINDS, Kind, try_kind

    assert len(KINDS) == 50 and len({kind.name for kind in KINDS}) == 50
    variables = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "ADLOOM_ARTIFACT_ROOT": str(tmp_path / "runs"),
    }
    with environment(ADLOOM_STATE=str(tmp_path), **variables):
        tried = try_kind(Kind("nothing", lambda scene: None), 0, tmp_path)
    assert tried.message is None and tried.same_champion
    assert "components.policies.policy_package.PolicyPackage.from_files" in tried.loaded

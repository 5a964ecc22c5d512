"""The champion as the baseline: what it logged where it logged, its deployed function elsewhere, never tilted twice."""

import numpy as np
import pandas as pd
import pytest

from components.champion import read_champion
from components.contract.tables import write_json
from components.errors import UserError
from components.manifest import digest_package
from components.paths import Paths
from components.policy.preference import policy_name
from tests.components.policy.packages import package, write


@pytest.fixture
def paths(tmp_path):
    paths = Paths.of("shop", workdir=str(tmp_path))
    write(paths.champion, package())
    return paths


def log(*policies: str, known: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Impressions of shopper s1 and their pairs a, b; a was shown at 0.9, whatever the logging policy is called."""
    ids = [f"i{number}" for number in range(len(policies))]
    rows = {"impression_id": ids, "shopper_id": "s1", "placement": "top", "campaign": "c"}
    impressions = pd.DataFrame({**rows, "logging_policy": policies, "creative_id": "a", "propensity": 0.9})
    pairs = pd.DataFrame({"impression_id": np.repeat(ids, 2), "creative_id": ["a", "b"] * len(ids)})
    return impressions, pairs.assign(propensity=[0.9, 0.1] * len(ids)) if known else pairs


def own_name(paths) -> str:
    return f"{policy_name(digest_package(paths.champion))}-table"


@pytest.mark.parametrize("known", [True, False])
def test_on_its_own_log_it_is_what_it_logged_and_elsewhere_what_its_package_does(paths, known):
    champion = read_champion(paths)
    found = champion.probabilities({}, *log(own_name(paths), "the shop", known=known))
    deployed = [0.9 * 0.75 + 0.05, 0.9 * 0.25 + 0.05]
    assert found == pytest.approx([0.9, 0.1, *deployed])


def test_another_policy_of_adloom_is_not_its_own(paths):
    found = read_champion(paths).probabilities({}, *log(f"{policy_name('f' * 64)}-table"))
    assert found == pytest.approx([0.725, 0.275])


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
    write_json({"version": 3, "acts": "per_shopper", "forms": ["per_shopper"]}, paths.champion_record)
    assert read_champion(paths).acts == "per_shopper"
    write_json({"version": 3, "acts": None, "forms": []}, paths.champion_record)
    assert read_champion(paths).acts == "table"


def test_without_a_snapshot_there_is_none_and_a_damaged_one_is_named(paths, tmp_path):
    assert read_champion(Paths.of("another", workdir=str(tmp_path))) is None
    (paths.champion / "policy.json").write_text('{"temperature": 0.1, "exploration": 0.05}')
    with pytest.raises(UserError, match=r"packages of release 0\.1 and before must be made anew"):
        read_champion(paths)


def test_a_package_and_the_record_of_another_version_are_refused(paths):
    """A snapshot that was killed between the two would judge against a champion that acts in another's form."""
    write_json({"version": 1, "package": "0" * 64, "acts": "table", "forms": ["table"]}, paths.champion_record)
    with pytest.raises(UserError, match="a snapshot of the registry was cut off"):
        read_champion(paths)
    write_json({"version": 1, "package": digest_package(paths.champion), "acts": "table"}, paths.champion_record)
    assert read_champion(paths).acts == "table"

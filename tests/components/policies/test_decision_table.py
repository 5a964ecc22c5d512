"""The table that leaves the building: by hand, as an ad server would apply it, and for shortlists it never met."""

import json
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.policies.decision_table import ANY, CELL, DecisionTable, decision_rows
from components.policies.kinds.softmax import BoundedSoftmax
from components.policies.policy_package import PolicyPackage
from components.policies.ragged_rows import row_sums
from components.settings.errors import EarlierFormat, UserError
from tests.components.policies.packages import package, rows


def request(*impressions: tuple[str, str | None, str, list[str]]):
    """(shopper, placement, campaign, eligible) each -> impressions, pairs, offsets."""
    table = pd.DataFrame(
        [impression[:3] for impression in impressions], columns=["shopper_id", "placement", "campaign"]
    )
    pairs = pd.DataFrame({"creative_id": [name for impression in impressions for name in impression[3]]})
    return table, pairs, np.cumsum([0, *(len(impression[3]) for impression in impressions)])


def plain(table: DecisionTable) -> DecisionTable:
    return DecisionTable(table.rows, table.segments, table.new, 0.0, 0.0)


def test_a_cell_is_looked_up_and_kept_to_the_eligible():
    table = plain(package().table)
    probabilities = table.probabilities(*request(("s1", "top", "c", ["b", "a"]), ("s1", "top", "c", ["b"])))
    assert probabilities == pytest.approx([0.25, 0.75, 1.0])


@pytest.mark.parametrize(("shopper", "placement", "campaign", "due"), [
    ("s1", "top", "c", [0.75, 0.25]),
    ("a newcomer", "top", "c", [0.5, 0.5]),        # or one who refused consent: not in the map
    ("s1", "bottom", "c", [0.4, 0.6]),             # a placement that the table does not know
    ("a newcomer", None, "c", [0.4, 0.6]),
    ("s1", "top", "another campaign", [0.5, 0.5]),
])  # fmt: skip
def test_what_the_table_does_not_know_falls_back_step_by_step(shopper, placement, campaign, due):
    assert plain(package().table).probabilities(*request((shopper, placement, campaign, ["a", "b"]))) == pytest.approx(
        due
    )


def test_a_creative_that_the_table_does_not_know_gets_the_floor_alone():
    probabilities = package().table.probabilities(*request(("s1", "top", "c", ["a", "b", "stranger"])))
    assert probabilities == pytest.approx([0.9 * 0.75 + 0.1 / 3, 0.9 * 0.25 + 0.1 / 3, 0.1 / 3])


def test_two_campaigns_share_a_creative_by_name_and_not_their_cells():
    decisions = rows({(ANY, ANY, "c"): {"a": 0.9, "b": 0.1}, (ANY, ANY, "d"): {"a": 0.2, "b": 0.8}})
    table = DecisionTable(
        decisions, pd.DataFrame({"shopper_id": [], "segment": []}, dtype="str"), frozenset(), 0.0, 0.0
    )
    probabilities = table.probabilities(*request(("x", None, "d", ["a", "b"]), ("x", None, "c", ["a", "b"])))
    assert probabilities == pytest.approx([0.2, 0.8, 0.9, 0.1])


def naive(
    policy: PolicyPackage, shopper: str, placement: str | None, campaign: str, eligible: list[str]
) -> list[float]:
    """The rule in the export's manifest, followed word by word."""
    table, parameters = policy.decisions.set_index(CELL), policy.parameters
    segment = dict(zip(policy.segments["shopper_id"], policy.segments["segment"], strict=True)).get(shopper, ANY)
    cell = {}
    for key in ((segment, placement or ANY, campaign), (ANY, placement or ANY, campaign), (ANY, ANY, campaign)):
        if key in table.index:
            part = table.loc[[key]]
            cell = dict(zip(part["creative_id"], part["probability"], strict=True))
            break
    known = [name for name in eligible if name not in policy.new]
    new = [name for name in eligible if name in policy.new]
    share = 0.0 if not new else 1.0 if not known else parameters.new_share
    total = sum(cell.get(name, 0.0) for name in known)
    probabilities = []
    for name in eligible:
        if name in policy.new:
            probabilities.append(share / len(new))
            continue
        chosen = cell.get(name, 0.0) / total if total > 0 else 1 / len(known)
        probabilities.append(
            (1 - share) * ((1 - parameters.exploration) * chosen + parameters.exploration / len(known))
        )
    return probabilities


@settings(deadline=None)  # pandas is slow on a busy machine
@given(
    st.sampled_from(["s1", "s2"]), st.sampled_from(["top", "bottom", None]), st.sampled_from(["c", "d"]),
    st.lists(st.sampled_from(["a", "b", "n1", "n2", "stranger"]), min_size=1, max_size=5, unique=True),
)  # fmt: skip
def test_it_is_what_the_exports_rule_says(shopper, placement, campaign, eligible):
    policy = package(new=("n1", "n2"))
    probabilities = policy.table.probabilities(*request((shopper, placement, campaign, eligible)))
    assert probabilities == pytest.approx(naive(policy, shopper, placement, campaign, eligible))


def test_equation_1_by_hand():
    """Scores of odds 1 and 2 at temperature 1/2, preference for the first of log 3: weights 3 and 4."""
    scored = pd.DataFrame(
        {
            "segment": "0", "placement": "top", "campaign": "c", "creative_id": ["a", "b"],
            "score": [1 / 2, 2 / 3], "impressions": 5,
        }
    )  # fmt: skip
    table = decision_rows(scored, pd.Series({"a": np.log(3.0)}), BoundedSoftmax(0.5))
    assert table["creative_id"].tolist() == ["b", "a"], "the best stands first"
    assert table["probability"].to_numpy() == pytest.approx([4 / 7, 3 / 7])


def test_a_bold_table_still_ranks_a_shortlist_without_its_best():
    """A weight of exactly 0 would make a server show the worse of two at random."""
    scored = pd.DataFrame(
        {
            "segment": ANY, "placement": ANY, "campaign": "c", "creative_id": ["a", "b", "d"],
            "score": [0.03, 0.02, 0.019], "impressions": 5,
        }
    )  # fmt: skip
    decisions = decision_rows(scored, pd.Series(dtype=float), BoundedSoftmax(0.02))
    table = DecisionTable(
        decisions, pd.DataFrame({"shopper_id": [], "segment": []}, dtype="str"), frozenset(), 0.0, 0.0
    )
    probabilities = table.probabilities(*request(("x", None, "c", ["d", "b"])))
    assert probabilities[1] > 0.9 and probabilities.sum() == pytest.approx(1.0)


def test_packages_survive_their_files_and_say_what_is_wrong_with_others():
    policy = package(new=("n1",))
    again = PolicyPackage.from_files(policy.files())
    assert again.files() == policy.files() and again.parameters == policy.parameters and again.new == {"n1"}
    question = request(("s1", "top", "c", ["a", "b", "n1"]))
    np.testing.assert_array_equal(
        again.table.probabilities(*question), policy.table.probabilities(*question), "to the last bit"
    )
    for files in ({}, {**policy.files(), "policy.json": b"{}"}, {**policy.files(), "decisions.parquet": b"rubbish"}):
        with pytest.raises(UserError, match="lacks a file, holds a damaged one, or has the layout"):
            PolicyPackage.from_files(files)


@pytest.mark.parametrize("content", ["[]", '["policy"]', '"policy"', "null", "7", "{]", '{"policy": []}'])
def test_a_policy_file_that_holds_no_mapping_is_refused_by_name(content):
    with pytest.raises(EarlierFormat, match="a policy's package lacks a file, holds a damaged one, or has the layout"):
        PolicyPackage.from_files({**package().files(), "policy.json": content.encode()})


@pytest.mark.parametrize(
    "changed",
    [{"forms": []}, {"forms": None}, {"temperatures": []}, {"temperatures": {}}, {"policy": ["softmax"]}],
    ids=str,
)
def test_a_policy_file_with_a_field_of_another_kind_is_refused(changed):
    stored = {**json.loads(package().files()["policy.json"]), **changed}
    with pytest.raises(EarlierFormat, match="has the layout of an earlier release"):
        PolicyPackage.from_files({**package().files(), "policy.json": json.dumps(stored).encode()})


@pytest.mark.parametrize(
    ("name", "column"),
    [("decisions", "probability"), ("decisions", "segment"), ("segments", "segment"), ("catalogue", "preference")],
)
def test_a_table_without_a_column_that_the_policy_reads_is_refused(name, column):
    table = BytesIO()
    getattr(package(), name).drop(columns=column).to_parquet(table)
    with pytest.raises(EarlierFormat, match=f"{name}.parquet lacks the column {column}"):
        PolicyPackage.from_files({**package().files(), f"{name}.parquet": table.getvalue()})


def test_new_creatives_that_no_log_holds_are_charged_and_those_that_it_holds_are_not():
    policy = package(new=("n1",))
    impressions, pairs, offsets = request(
        ("s1", "top", "c", ["a", "b"]), ("s1", "top", "c", ["a", "n1"]), ("s1", "top", "d", ["a", "b"])
    )
    assert policy.unlogged_share(impressions, pairs, offsets).tolist() == [0.2, 0.0, 0.0]
    shown, unlogged_share = policy.shown_and_unlogged("table", impressions, pairs, offsets)
    np.testing.assert_allclose(row_sums(shown, offsets), 1.0)
    assert unlogged_share.tolist() == [0.2, 0.0, 0.0]


def test_the_per_shopper_form_leans_on_the_preference():
    policy = package()
    known = policy.catalogue.assign(preference=[np.log(2.0), 0.0])
    leaning = PolicyPackage(policy.parameters, policy.decisions, policy.segments, known)
    pairs = pd.DataFrame({"creative_id": ["a", "b"], "p_click": [1 / 2, 1 / 2]})
    probabilities = leaning.per_shopper(pd.DataFrame({"impression_id": ["i1"]}), pairs, np.array([0, 2]))
    assert probabilities == pytest.approx([0.9 * 2 / 3 + 0.05, 0.9 / 3 + 0.05])


def test_a_package_of_a_policy_or_settings_unknown_here_is_refused():
    files = package().files()
    stored = files["policy.json"]
    for other, words in (
        (stored.replace(b"chi_square", b"oracle"), "policy.json: no policy is called 'oracle'; there are chi_square, "),
        (
            stored.replace(b'"policy_settings": {}', b'"policy_settings": {"x": 1}'),
            "policy_settings.x: unknown setting",
        ),
    ):
        with pytest.raises(UserError, match=words):
            PolicyPackage.from_files({**files, "policy.json": other})

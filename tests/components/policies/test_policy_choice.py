"""One of several policies is chosen by its forecasts on the select slice, and the others are told."""

from dataclasses import replace

import pytest

from components.policies.policy_choice import choose_policy, expected_lift
from components.policies.policy_package import FORMS
from components.policies.proposal import propose
from components.policies.temperature import LiftForecast
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import PolicyCandidate
from tests.components.policies.test_proposal import CONFIG, learn, selected, tables_of


def test_the_expected_lift_is_that_of_the_form_which_will_act():
    first, second = LiftForecast(0.1, 0.02, 0.01, 0.25), LiftForecast(0.1, 0.04, 0.01, 0.5)
    assert expected_lift([first, second]) == pytest.approx(0.25 * 0.02 + 0.75 * 0.5 * 0.04)
    assert expected_lift([replace(first, chance=1.0), second]) == pytest.approx(0.02)


@pytest.fixture(scope="module")
def scene():
    tables = tables_of()
    learned, pairs = learn(tables)
    return learned, tables, None, selected(tables, learned, pairs).select_slice(200_000)


def test_the_candidate_with_the_largest_expected_lift_is_the_policy(scene):
    timid, rules = PolicyCandidate(exploration=0.9), PolicyCandidate(name="popularity")
    config = CONFIG.model_copy(update={"candidates": (timid, rules)})
    chosen = choose_policy(*scene, config)
    assert [(one.name, one.exploration) for one in chosen.compared] == [
        ("chi_square", 0.1), ("chi_square", 0.9), ("popularity", 0.1),
    ]  # fmt: skip
    lifts = [one.expected_lift for one in chosen.compared]
    assert [one.chosen for one in chosen.compared] == [lift == max(lifts) for lift in lifts]
    assert lifts[0] > lifts[1], "more exploration leaves less to gain"
    assert all(tuple(one.forms) == FORMS for one in chosen.compared)
    alone, forecasts = propose(*scene, config.compared[lifts.index(max(lifts))])
    assert chosen.policy.files() == alone.files() and chosen.forecasts == forecasts


def test_a_bolder_candidate_is_chosen_over_a_timid_setting(scene):
    config = CONFIG.model_copy(update={"exploration": 0.9, "candidates": (PolicyCandidate(exploration=0.1),)})
    chosen = choose_policy(*scene, config)
    assert chosen.compared[1].chosen and chosen.policy.parameters.exploration == 0.1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("[{}]", "name what differs: name, exploration or temperatures"),
        ("[{nmae: softmax}]", "did you mean name"),
        ("[{exploration: 2}]", "less than or equal to 1"),
    ],
)
def test_a_wrong_candidate_is_named(value, told):
    with pytest.raises(UserError, match=rf"evaluation\.policy\.candidates\.0.*{told}"):
        load_settings("params.yaml", "marketplace", (f"evaluation.policy.candidates={value}",))


def test_candidates_are_read_from_the_settings():
    overrides = ("evaluation.policy.candidates=[{name: softmax, temperatures: [0.2]}, {exploration: 0.2}]",)
    config = load_settings("params.yaml", "marketplace", overrides).evaluation.policy
    softmax, explorer = config.compared[1:]
    assert (softmax.name, softmax.temperatures, softmax.exploration) == ("softmax", (0.2,), config.exploration)
    assert (explorer.name, explorer.exploration, explorer.candidates) == (config.name, 0.2, ())

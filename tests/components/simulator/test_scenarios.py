import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.settings.errors import UserError
from components.simulator import load_scenario, scenario_names
from components.simulator.click_law import mean_examination
from components.simulator.scenario import Effects, Scenario

SHIPPED = {"baseline", "null", "confounded", "low-overlap", "clickbait", "fatigue", "drift", "cold-start", "storefront"}


def own(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_designs_scenarios_come_with_it():
    assert set(scenario_names()) == SHIPPED
    assert all(load_scenario(name).id == name and "\n" not in load_scenario(name).definition for name in SHIPPED)


def test_null_has_no_effect_that_depends_on_a_creative():
    effects = load_scenario("null").effects.model_dump()
    assert {name for name, size in effects.items() if size} == {"shopper"}
    assert load_scenario("null").feedback.annoyance == 1.0


def test_storefront_differs_from_baseline_only_in_what_its_file_says():
    base, shop = load_scenario("baseline"), load_scenario("storefront")
    assert shop.sells.catalogue == 54 and base.sells.catalogue is None
    assert (shop.effects.off_manifold, base.effects.off_manifold) == (0.0, 0.3)
    same = {"id": base.id, "definition": base.definition, "assortment": base.assortment, "effects": base.effects}
    assert shop.model_copy(update=same) == base
    assert shop.effects.model_copy(update={"off_manifold": 0.3}) == base.effects


@pytest.mark.parametrize(("campaigns", "each"), [(1, 54), (6, 9), (54, 1)])
def test_a_catalogue_is_shared_out_evenly_or_not_at_all(campaigns, each):
    assert load_scenario("storefront").sells.products_per_campaign(campaigns) == each
    with pytest.raises(UserError, match=r"simulator.campaigns 4: 54 products .* write 1, 2, 3, 6, 9, 18, 27 or 54"):
        load_scenario("storefront").sells.products_per_campaign(4)


def test_a_file_needs_to_say_only_what_differs(tmp_path):
    scenario = load_scenario(own(tmp_path, "extends: baseline\nid: mine\neffects: {quality: 0.3}\n"))
    base = load_scenario("baseline")
    assert scenario.effects.quality == 0.3
    assert scenario.model_copy(update={"id": "baseline", "effects": base.effects}) == base


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("extends: baseline\nid: x\neffects: {qualty: 0.3}\n", "effects.qualty: unknown setting"),
        ("extends: baseline\nid: x\neffects: {quality: high}\n", "effects.quality"),
        ("extends: baseline\nid: x\neffects: {quality: -1}\n", "effects.quality"),
        ("extends: baseline\nid: x\neffects: {quality: .nan}\n", "effects.quality"),
        ("extends: baseline\nid: x\neffects: 3\n", "effects"),
        ("extends: baseline\nid: X y\n", "id"),
        ("extends: baseline\neffects: {quality: 0.3}\n", "id: 'baseline' is a scenario that comes with Adloom"),
        ("extends: baseline\nid: x\nlogging: {exploration: 0}\n", "logging.exploration"),
        ("extends: baseline\nid: x\ncold_start: {creatives: 1.0}\n", "cold_start.creatives"),
        ("extends: baseline\nid: x\nfeedback: {annoyance: 0.5}\n", "feedback.annoyance"),
        ("extends: baseline\nid: x\nfeedback: {annoyance: 1000}\n", "feedback: Value error, (hide + report)"),
        ("extends: baseline\nid: x\nfeedback: {element: colour}\n", "feedback.element"),
        ("extends: baseline\nid: x\nfeedback: {annoying: vivid}\n", "feedback.annoying: Value error, no headline has"),
        ("extends: nowhere\nid: x\n", "no scenario 'nowhere'"),
        ("extends: [baseline]\nid: x\n", "extends"),
        ("id: x\ndefinition: d\n", "click_rate: missing"),
        ("- a\n- b\n", "is a mapping"),
        ("a: [\n", "not valid YAML"),
        ("", "is a mapping"),
    ],
)
def test_a_wrong_file_is_named_with_its_setting(text, named, tmp_path):
    path = own(tmp_path, text)
    with pytest.raises(UserError) as error:
        load_scenario(path)
    assert named in str(error.value)
    assert "own.yaml" in str(error.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match=r"scenario baselin: no such file.*low-overlap"):
        load_scenario("baselin")


@given(
    key=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12),
    section=st.sampled_from(["", "effects", "logging", "bots", "cold_start"]),
)
@settings(max_examples=60, deadline=None)
def test_no_unknown_key_passes_anywhere(key, section, tmp_path_factory):
    known = Effects.model_fields.keys() | Scenario.model_fields.keys() | {"extends"}
    group = Scenario.model_fields[section].annotation.model_fields.keys() if section else ()
    if key in known or key in group:
        return
    import yaml

    body = {section: {key: 0.1}} if section else {key: 0.1}
    path = tmp_path_factory.mktemp("scenario") / "own.yaml"
    path.write_text(yaml.safe_dump({"extends": "baseline", "id": "x", **body}), encoding="utf-8")
    with pytest.raises(UserError):
        load_scenario(str(path))


def test_examination_averages_over_the_slots_that_pages_have():
    baseline = load_scenario("baseline")
    by_hand = (1.0 * 1 + 0.5 * 2**-0.5 + 0.2 * 3**-0.5) / 1.7
    assert mean_examination(baseline) == pytest.approx(by_hand)

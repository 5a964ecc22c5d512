"""Settings: frozen, typed, and one sentence for each mistake."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.settings.errors import UserError
from components.settings.params_file import dataset_names, load_settings
from components.settings.paths import ROOT
from components.settings.sections import Settings, SourceConfig
from components.settings.shipped_datasets import ALL_SHIPPED
from components.simulator import scenario_names

PARAMS = ROOT / "params.yaml"


def test_overrides_of_a_data_set_and_of_a_run_apply_in_that_order(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("evaluation: {bootstrap: 10}\ndatasets: {shop: {evaluation: {bootstrap: 20, min_ess: 5.0}}}\n")
    assert load_settings(file, "other").evaluation.bootstrap == 10
    assert load_settings(file, "shop").evaluation.bootstrap == 20
    settings = load_settings(file, "shop", ("evaluation.bootstrap=30",))
    assert (settings.evaluation.bootstrap, settings.evaluation.min_ess) == (30, 5.0)


def test_the_shipped_file_knows_the_shipped_data_sets():
    assert dataset_names(PARAMS) == ALL_SHIPPED


SEEDED = ("simulator", "features", "interest", "creatives", "evaluation")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluation.bootstrp=5", ["evaluation.bootstrp", "unknown setting", "bootstrap"]),
        ("evaluaton.bootstrap=5", ["evaluaton", "unknown setting", "evaluation"]),
        ("evaluation.bootstrap=many", ["evaluation.bootstrap", "integer", "many"]),
        ("evaluation.bootstrap=0", ["evaluation.bootstrap", "greater than or equal to 1"]),
        ("evaluation.bootstrap=1.5", ["evaluation.bootstrap", "1.5"]),
        ("validation.max_quarantined=1.5", ["validation.max_quarantined", "less than or equal to 1"]),
        ("validation.max_quarantined=.nan", ["validation.max_quarantined", "finite"]),
        ("evaluation=5", ["write section.key=value"]),
        ("evaluation.bootstrap", ["write section.key=value"]),
        ("evaluation.bootstrap=[", ["not a YAML value"]),
        ("creatives.vae=fast", ["creatives.vae", "fast"]),
        *((f"{name}.seed=-1", [f"{name}.seed", "greater than or equal to 0"]) for name in SEEDED),
        ("features.seed=4294967296", ["features.seed", "less than 2147483648"]),
        ("interest.bootstrp=5", ["interest.bootstrp", "unknown setting", "bootstrap"]),
        ("interest.network=5", ["interest.network", "unknown setting"]),
        *(
            (f"interest.{name}=1", [f"interest.{name}: unknown setting; it is interest.network.{name} now"])
            for name in ("epochs", "batch_size", "learning_rate", "hidden", "l2")
        ),
        ("features.look_dimensions=1", ["unknown setting; it is features.image_dimensions now"]),
        ("creatives.reader_steps=1", ["unknown setting; it is creatives.parser_steps now"]),
        ("creatives.min_asked=1", ["unknown setting; it is creatives.min_category_match now"]),
        ("serving.kafka={}", ["serving.kafka.bootstrap_servers: Field required"]),
        (
            "serving.kafka={bootstrap_server: x}",
            ["serving.kafka.bootstrap_server: unknown setting; did you mean bootstrap_servers?"],
        ),
        ("serving.kafka={bootstrap_servers: x}", ["serving.kafka: name at least one of `topics`, or `served`"]),
        (
            "serving.kafka={bootstrap_servers: x, topics: {clicks: t}, served: t}",
            ["serving.kafka: served: the topic t is read, too; name another"],
        ),
        (
            "serving.kafka={bootstrap_servers: x, served: t, client: {acks: 0}}",
            ["serving.kafka.client: acks cannot be set: no message may be lost or counted twice"],
        ),
    ],
)
def test_a_wrong_override_is_named_in_one_message(override, words):
    with pytest.raises(UserError) as caught:
        load_settings(PARAMS, "marketplace", (override,))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [("a: [", "not valid YAML"), ("- a", "mapping of sections"), ("", "mapping of sections"), ("\xff", "unknown")],
)
def test_a_params_file_that_is_none_is_named(tmp_path, text, word):
    file = tmp_path / "params.yaml"
    file.write_text(text if text != "\xff" else "colour: red")
    with pytest.raises(UserError, match=word):
        load_settings(file, "marketplace")


def test_a_missing_params_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_settings(tmp_path / "params.yaml", "marketplace")


def test_every_scenario_can_be_named_even_the_one_that_yaml_takes_for_no_value():
    for name in scenario_names():
        assert load_settings(PARAMS, "marketplace", (f"simulator.scenario={name}",)).simulator.scenario == name


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().evaluation.bootstrap = 1


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_override_gives_settings_or_a_user_error(text):
    try:
        load_settings(PARAMS, "marketplace", (text,))
    except UserError as error:
        assert str(error)


CASE = ROOT / "tests" / "cases" / "source_text_drops_settings" / "params.yaml"


def test_a_source_that_is_a_text_sets_the_url_and_keeps_the_rest():
    assert load_settings(CASE, "bakery").source == SourceConfig(
        url="postgresql://${U}:${P}@127.0.0.1/shop", naive_times="utc", conversion_window_days=2
    )
    assert load_settings(CASE, "other").source == SourceConfig(naive_times="utc", conversion_window_days=2)


@pytest.mark.parametrize("base", [{"currency": "CNY", "late_days": 5}, "mysql://db/all", {"url": "mysql://db/all"}])
@pytest.mark.parametrize("own", ["mysql://db/own", {"url": "mysql://db/own"}, {"batch_rows": 10}])
def test_every_mixture_of_the_two_forms(tmp_path, base, own):
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump({"source": base, "datasets": {"shop": {"source": own}}}))
    due = {**({"url": base} if isinstance(base, str) else base), **({"url": own} if isinstance(own, str) else own)}
    assert load_settings(file, "shop").source == SourceConfig(**due)
    assert load_settings(file, "shop", ("source.currency=USD",)).source == SourceConfig(**{**due, "currency": "USD"})


def test_settings_nested_beyond_measure_are_one_sentence(tmp_path):
    (tmp_path / "params.yaml").write_text("[" * 50_000)
    with pytest.raises(UserError, match="not valid YAML"):
        load_settings(tmp_path / "params.yaml", "shop")
    with pytest.raises(UserError, match="is not a YAML value"):
        load_settings(PARAMS, "shop", ("evaluation.bootstrap=" + "[" * 50_000,))


def test_a_section_of_an_earlier_release_is_told_its_new_name(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("world: {seed: 1}\n")
    with pytest.raises(UserError, match="world: unknown setting; it is simulator now"):
        load_settings(file, "marketplace")


@pytest.mark.parametrize("broken", ["", ", nothing: 1", ", dead_letters: clicks", ", served: 5"])
def test_a_password_of_kafka_is_refused_and_not_shown_even_beside_other_faults(broken):
    client = "{sasl.username: shop, sasl.password: 'hunter2'}"
    kafka = f"serving.kafka={{bootstrap_servers: x, topics: {{clicks: clicks}}, client: {client}{broken}}}"
    with pytest.raises(UserError) as caught:
        load_settings(PARAMS, "marketplace", (kafka,))
    assert "serving.kafka" in str(caught.value) and "hunter2" not in str(caught.value)
    fine = load_settings(PARAMS, "marketplace", (kafka.replace("hunter2", "${KAFKA_PASSWORD}").replace(broken, ""),))
    assert fine.serving.kafka.client["sasl.password"] == "${KAFKA_PASSWORD}"

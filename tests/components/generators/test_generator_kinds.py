"""The registry of families: settings in each family's own types, and one more family than Adloom comes with."""

import pytest

from components.generators.generator_kinds import FAMILIES, architecture, check_families, generator_settings
from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.sections import CreativesConfig, GeneratorConfig
from tests.components.generators.class_means import FAMILY, MeansConfig


def settings(*overrides: str) -> CreativesConfig:
    return load_settings("params.yaml", "shop", overrides).creatives


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_settings_of_its_own_with_defaults(name, photos):
    kind = FAMILIES[name].settings
    assert issubclass(kind, GeneratorConfig) and kind is not GeneratorConfig
    assert generator_settings(CreativesConfig(), name) == kind()
    changed = generator_settings(settings(f"creatives.{name}.steps=7"), name)
    assert changed == kind(steps=7)
    assert architecture(name, photos, changed)["width"] == FAMILIES[name].width
    assert architecture(name, photos, kind(width=3))["width"] == 3


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("creatives.vae.stepz=3", "creatives.vae.stepz: unknown setting; did you mean steps?, got 3"),
        ("creatives.flow.steps=0", "creatives.flow.steps: Input should be greater than or equal to 1, got 0"),
        ("creatives.wgan.latent=1.5", "creatives.wgan.latent: Input should be a valid integer, got 1.5"),
        (
            "creatives.vea={steps: 3}",
            "creatives.vea: no family of generators is called 'vea'; there are vae, wgan, flow",
        ),
        (
            "creatives.generators=[vae, gan]",
            "creatives.generators: no family of generators is called 'gan'; there are vae, wgan, flow",
        ),
    ],
)
def test_a_wrong_family_or_setting_of_one_is_named(override, words):
    with pytest.raises(UserError) as told:
        check_families(settings(override))
    assert str(told.value) == words


def test_a_setting_that_is_no_section_is_refused_as_it_is_read():
    with pytest.raises(UserError, match=r"creatives\.sead: unknown setting; did you mean seed\?, got 3"):
        settings("creatives.sead=3")


def test_a_further_family_is_one_line(monkeypatch):
    with pytest.raises(UserError, match=r"creatives\.generators: no family of generators is called 'means'"):
        check_families(settings("creatives.generators=[means]"))
    monkeypatch.setitem(FAMILIES, "means", FAMILY)
    config = settings("creatives.generators=[means]", "creatives.means.spread=0.2")
    check_families(config)
    assert generator_settings(config, "means") == MeansConfig(spread=0.2)
    with pytest.raises(
        UserError, match=r"creatives\.means\.spread: Input should be greater than or equal to 0, got -1"
    ):
        check_families(settings("creatives.means.spread=-1.0"))

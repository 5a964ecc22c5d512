"""Load a scenario, the typed effect sizes of a marketplace; UserError names what is wrong in its file."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from components.settings.errors import UserError
from components.settings.params_file import merge
from components.settings.sections import Count, Section, Share
from components.simulator import vocabulary as words
from components.simulator.assortments import ASSORTMENTS, Assortment

SCENARIOS_FOLDER = Path(__file__).parent / "scenarios"
Size = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
LEVELS = {"headline": words.HEADLINE_STYLES, "template": words.TEMPLATES, "palette": words.PALETTES}


class Effects(Section):
    """Standard deviations in log-odds of a click of each term of the law (click_law.py); some are slopes, as noted."""

    shopper: Size  # of shoppers' readiness to click, common to all creatives
    quality: Size  # of creatives, common to all shoppers
    taste_category: Size
    taste_brand: Size
    taste_price: Size
    taste_look: Size
    segment_template: Size
    segment_headline: Size
    palette_hour: Size
    off_manifold: Size  # slope: loss per unit of Look's penalty
    fatigue: Size  # slope: loss per doubling of (1 + exposures)
    clickbait: float  # gain of a clickbait headline


class Exposure(Section):
    """Examination = position^-decay; earlier exposures count within the window."""

    position_decay: Size
    fatigue_window_days: Count


class Logging(Section):
    """The stochastic logging policy (logging_policy.py): softmax slopes, a uniform share and the shortlist's length."""

    prior: Size
    context: Size
    exploration: Annotated[float, Field(gt=0, le=1)]
    shortlist: Annotated[int, Field(ge=2)]
    prior_accuracy: Share  # correlation of `feature_prior` with true quality
    confounding: Share  # share of the shopper effect's variance that logged shopper features explain


class Conversion(Section):
    """Conversion given click: rate, log-odds slopes, and its delay."""

    rate: Annotated[float, Field(gt=0, lt=1)]
    taste: Size  # per unit (sd) of the taste that moves clicks
    clickbait: float
    mean_delay_days: Positive
    window_days: Count


class Feedback(Section):
    """Probabilities of feedback, and the level of an element of creatives that raises ill feedback."""

    like: Share  # per click
    hide: Share  # per impression without a click; mean over uniformly shown creatives
    report: Share  # as `hide`
    element: Literal["headline", "template", "palette"]
    annoying: str  # one of the element's levels: a headline style, a template or a palette
    annoyance: Annotated[float, Field(ge=1)]  # factor on hide and report for creatives with that level

    @field_validator("annoying")
    @classmethod
    def _is_level(cls, level: str, info: ValidationInfo) -> str:
        levels = LEVELS.get(info.data.get("element"), (level,))
        if level not in levels:
            raise ValueError(f"no {info.data['element']} has that name; there are {', '.join(levels)}")
        return level

    @model_validator(mode="after")
    def _is_probability(self) -> "Feedback":
        if (self.hide + self.report) * self.annoyance > 1:
            raise ValueError("(hide + report) times annoyance must be at most 1")
        return self


class Bots(Section):
    """Bots: their share of shoppers, traffic relative to people, and constant click rate."""

    share: Share
    traffic: Positive
    click_rate: Share


class ColdStart(Section):
    """Shares of the creatives and shoppers that appear only from `from_day` on."""

    creatives: Annotated[float, Field(ge=0, lt=1)]
    shoppers: Annotated[float, Field(ge=0, lt=1)]
    from_day: Count


class Scenario(Section):
    """The parameters of a shop's law; `definition` describes the scenario in one line."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    definition: str
    assortment: Literal["fashion", "storefront"] = "fashion"  # what is sold, a name in assortments.py
    click_rate: Annotated[float, Field(gt=0, lt=0.5)]  # mean over uniformly shown creatives
    effects: Effects
    exposure: Exposure
    logging: Logging
    conversion: Conversion
    feedback: Feedback
    bots: Bots
    cold_start: ColdStart
    drift: Size  # radians by which tastes and qualities rotate in 28 days
    event_taste: Size  # kappa in shopper_events.py: how strongly tastes determine events
    consent_refused: Share

    @property
    def sells(self) -> Assortment:
        """What the shop sells."""
        return ASSORTMENTS[self.assortment]


def scenario_names() -> tuple[str, ...]:
    """The names of the scenarios that come with Adloom."""
    return tuple(sorted(path.stem for path in SCENARIOS_FOLDER.glob("*.yaml")))


def load_scenario(name_or_file: str) -> Scenario:
    """The shipped scenario of that name, or the one in that YAML file, which may extend a shipped one (`extends`)."""
    path = _path(name_or_file)
    scenario = _scenario(_read(path), name_or_file)
    if path.parent != SCENARIOS_FOLDER and scenario.id in scenario_names():
        raise UserError(f"{name_or_file}: id: {scenario.id!r} is a scenario that comes with Adloom; choose another id")
    return scenario


def _scenario(document: dict[str, Any], source: str) -> Scenario:
    base = document.get("extends")
    if base is not None:
        if base not in scenario_names():
            raise UserError(f"{source}: extends: no scenario {base!r}; there are {', '.join(scenario_names())}")
        parent = _scenario(_read(SCENARIOS_FOLDER / f"{base}.yaml"), base).model_dump()
        document = merge(parent, {key: value for key, value in document.items() if key != "extends"})
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise UserError("\n".join(_explain(fault, source) for fault in error.errors())) from None


def _path(name_or_file: str) -> Path:
    if name_or_file in scenario_names():
        return SCENARIOS_FOLDER / f"{name_or_file}.yaml"
    path = Path(name_or_file)
    if not path.is_file():
        known = ", ".join(scenario_names())
        raise UserError(f"scenario {name_or_file}: no such file, and no scenario of that name; there are {known}")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: a scenario is a mapping of settings, not {type(document).__name__}")
    return document


def _explain(fault: dict, source: str) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{source}: {name}: unknown setting of a scenario"
    if fault["type"] == "missing":
        return f"{source}: {name}: missing (with `extends: baseline` a file has the values of that scenario)"
    return f"{source}: {name}: {fault['msg']}, got {fault['input']!r}"

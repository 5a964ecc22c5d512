"""params.yaml -> frozen, typed settings of one data set, or one sentence that names the wrong one.

Each stage has a section of its name here, in params.yaml, in dvc.yaml and in components/workflow/stages.py. The section
`simulator` sizes the simulated marketplace, `ads` sets the sizes of ads and the words that they may not use, `source`
says where to pull rows from, `notify` whom to tell; `datasets.<name>` overrides any section for one data set. A kind of
model, policy or generator has its own settings in a sub-section of its name (`interest.network`), whose type is defined
beside the kind: see `KindsSection`.
"""

import difflib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from components.settings.addresses import check_no_secret, hidden
from components.settings.errors import UserError, first_line

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]  # of learning
Seed = Annotated[int, Field(ge=0, lt=2**31)]  # what NumPy, scikit-learn and Keras all take


def _utc(value: Any) -> Any:
    """A date, a time or an ISO text of either -> a time in UTC, which is meant where no zone is named."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("a date or time is due, such as 2026-01-26 or 2026-01-26T06:00:00Z")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_utc)]


def check_planned(value: int) -> int:
    """`value` itself, if the gate keeps its sums at so many impressions; ValueError says what to write otherwise."""
    if value >= 1000 and not str(value)[2:].strip("0"):
        return value
    nearest = max(1000, int(float(f"{max(value, 1):.1e}")))
    raise ValueError(
        f"{value} planned impressions: write at least 1000, with at most two digits before the zeros, such as {nearest}"
    )


# YAML takes the name of the scenario `null` for no value at all
ScenarioName = Annotated[str, BeforeValidator(lambda value: "null" if value is None else value)]


class Section(BaseModel):
    """Settings that cannot change after loading, know no extra names and take no value of a wrong type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class NoSettings(Section):
    """Of a kind that has no settings of its own."""


class KindsSection(Section):
    """A section that knows kinds (of models, of policies), each with settings of its own in a sub-section of its name.

    A sub-section is kept as it is written, for the kinds stand in packages above this one; `kind_settings` types it.
    Anything else that is not a field is refused here.
    """

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _extras_are_sub_sections(self) -> "KindsSection":
        unknown = [name for name, value in self.model_extra.items() if not isinstance(value, dict | Section)]
        if unknown:
            faults = [{"type": "extra_forbidden", "loc": (name,), "input": self.model_extra[name]} for name in unknown]
            raise ValidationError.from_exception_data(type(self).__name__, faults)
        return self


def kind_settings(section: KindsSection, place: str, name: str, expected: type[Section]) -> Any:
    """The settings of kind `name` in `section`, which stands at `place`, as `expected`; its defaults where none are
    written. UserError names the setting that is wrong."""
    return typed_settings(section.model_extra.get(name, {}), f"{place}.{name}", expected)


def typed_settings(written: Any, place: str, expected: type[Section]) -> Any:
    """What is `written` at `place` as `expected`. UserError names the setting that is wrong."""
    if isinstance(written, expected):
        return written
    try:
        return expected.model_validate(_tuples(dict(written) if isinstance(written, Section) else written))
    except ValidationError as error:
        raise UserError(_explain(error, f"{place}.", expected)) from None


class SimulatorConfig(Section):
    """Size of the simulated marketplace and the scenario (a name in components/simulator/scenarios, or a file)."""

    scenario: ScenarioName = "baseline"
    seed: Seed = 20261
    shoppers: Count = 20_000
    campaigns: Count = 8
    creatives_per_campaign: Count = 60
    events: Count = 6_000_000
    impressions: Count = 600_000
    days: Count = 28


class ValidationConfig(Section):
    """Which part of the log is read, and which share of a table's rows may be quarantined before the run stops."""

    max_quarantined: Share = 0.01
    as_of: Moment | None = None  # what was known at this time; null: everything
    window_days: Count | None = None  # of the log's end; null: all of it
    attribution_days: Count | None = None  # a conversion counts so long after its click; null: the card's window


class FeaturesConfig(Section):
    """Shopper history as of each impression, texts and segments; and where time splits training from judging."""

    window_days: tuple[Count, ...] = (1, 7, 28)
    text_dimensions: Count = 16
    segments: Count = 6
    train_share: Share = 0.5  # of the log's time span; trains
    calibration_share: Share = 0.1  # the time right after; calibrates
    select_share: Share = 0.1  # the time after that; models, temperatures and forms are chosen on it. The rest judges
    shopper_history: bool = True  # false: shopper_id is no person (a profile), so no past may be told by it
    look_dimensions: Count = 16  # principal components of a picture; a network in their place has its own number
    # a .keras file that embeds pictures; null: principal components. Its content is digested, and not where it lies
    encoder: Annotated[str | None, Field(exclude=True)] = None
    pairs: tuple[str, ...] = ("repeats",)  # features of (shopper, creative): names in components/features/pairs
    profile_terms: Count = 5  # search terms in a shopper's readable profile
    seed: Seed = 0


class InterestConfig(KindsSection):
    """The models of P(click | shopper, creative, context) that are trained and compared: interest/model_kinds.py."""

    models: tuple[str, ...] = ("logistic", "network")
    bootstrap: Count = 200
    max_calibration_error: Share = 0.01
    seed: Seed = 0


class GeneratorConfig(Section):
    """Budget of one generator: `steps` decides, so that a rerun gives the same weights; `max_seconds` caps.

    Each family has a class of its own, with its defaults and what it alone needs, beside its networks.
    """

    steps: Count
    max_seconds: Seconds
    batch_size: Count = 128
    latent: Count = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    width: Count | None = None  # of hidden layers: units of flow, channels of vae and wgan; null: the family's own
    steps_per_dispatch: Annotated[int, Field(ge=1, le=50)] = 1  # more: fewer round trips to a GPU; no gain on a CPU
    precision: Literal["float32", "mixed_bfloat16"] = "float32"


class AdsConfig(Section):
    """Sizes that new ads are drawn in (components/ads/ad_sizes.py), and what their texts may not say."""

    sizes: tuple[str, ...] = ("300x250",)  # names of AD_SIZES; the first one is on the board of ads
    # market -> words: `en` for every campaign whose locale is English, `zh-CN` for that locale alone
    banned_words: dict[str, tuple[str, ...]] = {}

    @field_validator("sizes")
    @classmethod
    def _some_and_distinct(cls, value: tuple) -> tuple:
        if not value or len(set(value)) < len(value):
            raise ValueError("at least one is due, and each once")
        return value

    @field_validator("banned_words")
    @classmethod
    def _no_empty_word(cls, value: dict) -> dict:
        empty = [market for market, words in value.items() if not all(word.strip() for word in words)]
        if empty:
            raise ValueError(f"{empty[0]}: an empty word is in every text")
        return value


class CreativesConfig(KindsSection):
    """Generators to train, pretrained ones to judge beside them, and the pool of new creatives that they fill."""

    generators: tuple[str, ...] = ("vae", "wgan", "flow")  # names of FAMILIES there
    side: Count | None = None  # pixels that photos are fitted into; null: the photos' median side, at most 64
    denoise: Literal[0, 3, 5] = 0  # width in pixels of the median filter on photos; 0: none
    augment: tuple[Literal["mirror", "shift"], ...] = ()  # further versions of each photo that generators learn from
    restarts: Annotated[int, Field(ge=0)] = 1  # of a training that ended in mode collapse, each from another seed
    warm_start: bool = False  # begin at the champion generators' weights, where they fit, and not at the seed
    warm_share: Annotated[float, Field(gt=0, le=1)] = 0.33  # of its steps that a generator is then trained for
    checkpoint_seconds: Seconds = 20.0
    duplicate_fraction: Annotated[float, Field(ge=0)] = 0.5  # of the median distance between nearest photos
    quality_photos: Count = 15_000  # that the judging classifier learns from
    quality_samples: Count = 5_000  # pictures of each generator that are judged
    reader_steps: Annotated[int, Field(ge=0)] = 400  # of the training that reads captions; 0: no text to image
    max_attempts: Count = 32  # draws of a picture until it shows what its caption says
    # how far on the way from guessing (0) to what real photos of the data set reach (1)
    min_cas: Share = 0.5  # accuracy on real photos of a classifier taught by pictures alone
    min_asked: Share = 0.5  # share of pictures that show the category asked for
    min_diversity: Share = 0.4  # spread of the least diverse category over that of real photos
    pool_per_campaign: Count = 12
    audience: Count = 60  # impressions of each segment that a new creative is scored on
    # what lies in these two folders is digested with the stage's inputs, so that where they lie may change
    pretrained: Annotated[str | None, Field(exclude=True)] = None  # of a generator in Adloom's own format
    text_encoder: Annotated[str | None, Field(exclude=True)] = None  # of tokenizer.json and model.onnx; null: hashing
    # where the stage runs is no part of what it makes, so these three are in no digest
    pool: Annotated[Literal["local", "gpu"], Field(exclude=True)] = "local"
    store: Annotated[str | None, Field(exclude=True)] = None  # folder or fsspec URL that both workers reach
    worker_seconds: Annotated[Seconds, Field(exclude=True)] = 900.0  # that a run waits for a worker of the pool gpu
    seed: Seed = 0

    @property
    def families(self) -> dict[str, Any]:
        """Family of generators -> its section as it was written; generator_kinds.py types it."""
        return dict(self.model_extra or {})


class CreativesStageConfig(CreativesConfig):
    """What the creatives stage is run with: its own section, and the section `ads` beside it."""

    ads: AdsConfig = AdsConfig()


class PolicyConfig(KindsSection):
    """What turns scores of the interest model into probabilities: see components/policies/policy_package.py."""

    name: str = "chi_square"  # of POLICIES in components/policies/policy_kinds.py
    # forms that are judged; the first one that passes acts
    forms: tuple[Literal["table", "per_shopper"], ...] = ("table", "per_shopper")
    # in units of log-odds, lower is bolder; of several, one is chosen for each form on the select slice
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = (0.02, 0.03, 0.05, 0.07, 0.1)
    exploration: Share = 0.05  # of each impression, evenly over its eligible creatives
    new_share: Share = 0.005  # of each impression of a campaign that has new creatives, evenly over them
    segments: Count = 128  # groups of like shoppers that the table tells apart
    contexts: Count = 40  # impressions of each of its cells that creatives are scored on
    seed: Seed = 0

    @field_validator("forms", "temperatures")
    @classmethod
    def _some_and_distinct(cls, value: tuple) -> tuple:
        if not value or len(set(value)) < len(value):
            raise ValueError("at least one is due, and each once")
        return value


class EvaluationConfig(Section):
    """How a policy is judged on logged impressions, and when the log cannot carry a judgement."""

    policy: PolicyConfig = PolicyConfig()
    reward: str = "click"  # what a policy is judged by: a name in components/evaluation/rewards.py
    reward_high: Annotated[float | None, Field(gt=0)] = None  # the most money that an impression can earn, for revenue
    bootstrap: Count = 1000
    max_uncovered: Share = 0.1
    min_ess: Annotated[float, Field(ge=0)] = 1000.0
    min_clicks: Annotated[int, Field(ge=0)] = 100
    max_shopper_share: Share = 0.1  # of the impressions that one known shopper may have
    reward_models: tuple[Literal["boosted"], ...] = ("boosted",)  # tried beside logistic regression
    folds: Annotated[int, Field(ge=2)] = 3  # of the cross-fitting
    clones: Annotated[int, Field(ge=2)] = 20  # simulated copies of the log, for the trust card
    clone_impressions: Count = 20_000  # at most this many impressions in each
    exclude_bots: bool = False  # leave out shoppers flagged as bot-like; else they are only counted
    segment_bound: Annotated[float, Field(ge=0)] = 0.0  # reward per impression that a segment may surely lose
    guard_bound: Annotated[float, Field(ge=0)] = 0.1  # relative worsening of CVR, cost or feedback that is tolerated
    settled_lift: Annotated[float, Field(gt=0)] = 0.05  # relative; what an abstention says how to settle
    seed: Seed = 0


class PromotionConfig(Section):
    """What the evidence must clear before `champion` moves."""

    margin: Annotated[float, Field(ge=0)] = 0.0  # lift in reward per impression that the lower bound must exceed
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05  # chance that any useless challenger is ever promoted
    approval: Literal["auto", "manual"] = "auto"
    boundary: Literal["anytime", "planned"] = "anytime"  # of the lower bound; planned: O'Brien-Fleming
    planned_impressions: Annotated[int, AfterValidator(check_planned)] | None = None  # judged at the last look
    # The PostgreSQL whose lock promoters hold where the registry has none; says nothing of the policy, so in no digest.
    lock: str | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _plan(self) -> "PromotionConfig":
        """A planned boundary needs its end, and no other boundary has one."""
        if self.boundary == "planned" and self.planned_impressions is None:
            raise ValueError(
                "promotion.boundary planned needs promotion.planned_impressions: the judged impressions "
                "at the last look, such as 500000"
            )
        if self.boundary == "anytime" and self.planned_impressions is not None:
            raise ValueError(
                f"promotion.planned_impressions {self.planned_impressions} needs promotion.boundary planned"
            )
        return self


class SourceConfig(Section):
    """The source that `adloom data pull` fills a data set from, and what its card says. See datasets/sources.py."""

    url: str | None = None  # a database, or a folder; credentials as ${NAME}, from the environment
    batch_rows: Count = 50_000  # read at a time
    late_days: Annotated[int, Field(ge=0)] = 3  # pulled days that are looked through again for rows that came late
    naive_times: Literal["refuse", "utc"] = "refuse"  # times without a zone; utc: they are in UTC
    since: Moment | None = None  # null: the first impression's day
    licence: str = "internal"
    currency: str = "EUR"
    conversion_window_days: Annotated[int, Field(ge=0)] = 7


class NotifyConfig(Section):
    """Whom to tell by a signed JSON post when a run needs people: see components/workflow/notices.py."""

    webhook: str | None = None  # its address; ${NAME} stands for an environment variable
    events: tuple[Literal["failed", "stopped", "refused", "abstained", "waiting", "missed"], ...] = (
        "failed",  # a run ended in an error, or died
        "stopped",  # validation refused the data
        "refused",
        "abstained",
        "waiting",  # for `adloom promote`
        "missed",  # a schedule whose run did not begin
    )
    attempts: Annotated[int, Field(ge=1, le=10)] = 5
    backoff_seconds: Annotated[float, Field(gt=0, le=5)] = 0.5  # x 2^(n - 1) before repetition n
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0  # of one attempt


class Settings(Section):
    """All settings of one data set."""

    simulator: SimulatorConfig = SimulatorConfig()
    ads: AdsConfig = AdsConfig()
    source: SourceConfig = SourceConfig()  # `source: postgresql://...` is short for a section with that url
    notify: NotifyConfig = NotifyConfig()
    validation: ValidationConfig = ValidationConfig()
    features: FeaturesConfig = FeaturesConfig()
    interest: InterestConfig = InterestConfig()
    creatives: CreativesConfig = CreativesConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    promotion: PromotionConfig = PromotionConfig()

    def of_stage(self, name: str) -> Section:
        """What stage `name` is run with: the section of its name, and those that it reads beside it."""
        if name == "creatives":
            return CreativesStageConfig(**dict(self.creatives), ads=self.ads)
        return getattr(self, name)


# old name -> the name that it has now
# settings of earlier releases -> what they are called now
MOVED = {"world": "simulator"} | {
    f"interest.{name}": f"interest.network.{name}" for name in ("epochs", "batch_size", "learning_rate", "hidden", "l2")
}


def load_settings(path: str | Path, dataset: str, overrides: tuple[str, ...] = ()) -> Settings:
    """Settings of `dataset` from the params file at `path`, `section.key=value` overrides last.

    Raises UserError naming the file or override, the setting and what was expected.
    """
    document = _read(Path(path))
    sections = _long({name: value for name, value in document.items() if name != "datasets"})
    per_dataset = (document.get("datasets") or {}).get(dataset) or {}
    if not isinstance(per_dataset, dict):
        raise UserError(f"{path}: datasets.{dataset} must be a mapping of sections, not {per_dataset!r}")
    merged = merge(sections, _long(per_dataset))
    for text in overrides:
        merged = merge(merged, _parse_override(text))
    try:
        settings = Settings.model_validate(_tuples(merged))
    except ValidationError as error:
        raise UserError(hidden(_explain(error, f"{path}: " if not overrides else f"{path} with --set: "))) from None
    for setting, address in _addresses(settings).items():
        if address is not None:
            check_no_secret(address, setting)
    return settings


def _addresses(settings: Settings) -> dict[str, str | None]:
    """Every setting that may be a URL, and so might hold a secret."""
    creatives = settings.creatives
    return {
        "source.url": settings.source.url,
        "notify.webhook": settings.notify.webhook,
        "features.encoder": settings.features.encoder,
        "creatives.store": creatives.store,
        "creatives.pretrained": creatives.pretrained,
        "creatives.text_encoder": creatives.text_encoder,
    }


def _long(sections: dict[str, Any]) -> dict[str, Any]:
    """`sections` with the short form of `source` as the section that it stands for: it replaces the url alone."""
    source = sections.get("source")
    return {**sections, "source": {"url": source}} if isinstance(source, str) else sections


def dataset_names(path: str | Path) -> tuple[str, ...]:
    """The data sets that the params file knows, in its order."""
    return tuple(_read(Path(path)).get("datasets") or {})


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run Adloom in the project's folder or pass --params FILE") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {first_line(error)}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: must be a mapping of sections, not {type(document).__name__}")
    return document


def merge(base: dict, over: dict) -> dict:
    """`over` laid upon `base`, mapping by mapping; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise UserError(f"--set {text}: write section.key=value, such as evaluation.bootstrap=500")
    try:
        nested: Any = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):  # YAML takes 2026-13-01 for a date, and fails on it
        raise UserError(f"--set {text[:200]}: {value[:100]!r} is not a YAML value") from None
    for part in reversed(parts):
        nested = {part: nested}
    return nested


def _tuples(value: Any) -> Any:
    """YAML lists as tuples, for frozen sections hold tuples and strict mode does not convert."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _explain(error: ValidationError, before: str, root: type[Section] | None = None) -> str:
    """One line per mistake, `before` in front of the setting's name. root: the section that was read; None: all."""
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            value = "" if isinstance(fault["input"], dict) else f", got {fault['input']!r}"
            lines.append(f"{before}{name}: unknown setting; {_hint(name, fault['loc'], root or Settings)}{value}")
        else:
            lines.append(f"{before}{name}: {fault['msg'].removeprefix('Value error, ')}, got {fault['input']!r}")
    return "\n".join(lines)


def _hint(name: str, location: tuple, root: type[Section]) -> str:
    """What to write in the place of an unknown setting."""
    if root is Settings and name in MOVED:
        return f"it is {MOVED[name]} now"
    section = root
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    known = list(section.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known) or 'none'}"

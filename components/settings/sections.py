"""The sections of params.yaml as frozen, typed classes.

Each stage has a section of its name here, in params.yaml, in dvc.yaml and in components/workflow/stages.py. The section
`simulator` sizes the simulated marketplace, `ads` sets the sizes of ads and the banned words, `source` says where rows
are pulled from, `notify` who gets notices, and `serving` how requests are answered. A kind of model, policy or
generator has a sub-section of its name, such as `interest.network`, whose type is defined beside the kind: see
`KindsSection`. params_file.py reads the file.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

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

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]  # of learning
Seed = Annotated[int, Field(ge=0, lt=2**31)]  # what NumPy, scikit-learn and Keras all take


def _utc(value: Any) -> Any:
    """The UTC time of a date, a time or an ISO text of either; a time without a zone is taken as UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("write a date or time such as 2026-01-26 or 2026-01-26T06:00:00Z")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_utc)]


def check_planned(value: int) -> int:
    """`value` itself if it is at least 1000 with at most two digits before its zeros: the gate stores sums there."""
    if value >= 1000 and not str(value)[2:].strip("0"):
        return value
    nearest = max(1000, int(float(f"{max(value, 1):.1e}")))
    raise ValueError(
        f"{value} planned impressions: write at least 1000, with at most two digits before the zeros, such as {nearest}"
    )


# YAML reads the scenario's name `null` as a missing value
ScenarioName = Annotated[str, BeforeValidator(lambda value: "null" if value is None else value)]


class Section(BaseModel):
    """Frozen settings; an unknown name or a value of a wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class NoSettings(Section):
    """The settings of a kind that has none."""


class KindsSection(Section):
    """A section with a sub-section for each kind of model, policy or generator, under the kind's name.

    A sub-section stays an untyped mapping here, because the kinds' types are in packages that import this one;
    `typed_settings.kind_settings` types it. Anything else that is not a field is an error.
    """

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _extras_are_sub_sections(self) -> "KindsSection":
        unknown = [name for name, value in self.model_extra.items() if not isinstance(value, dict | Section)]
        if unknown:
            faults = [{"type": "extra_forbidden", "loc": (name,), "input": self.model_extra[name]} for name in unknown]
            raise ValidationError.from_exception_data(type(self).__name__, faults)
        return self


class SimulatorConfig(Section):
    """Sizes and scenario (a name in components/simulator/scenarios, or a file) of the simulated marketplace."""

    scenario: ScenarioName = "baseline"
    seed: Seed = 20261
    shoppers: Count = 20_000
    campaigns: Count = 8
    creatives_per_campaign: Count = 60
    events: Count = 6_000_000
    impressions: Count = 600_000
    days: Count = 28


class ValidationConfig(Section):
    """Which part of the log is read, and above which share of quarantined rows of a table the run stops."""

    max_quarantined: Share = 0.01
    as_of: Moment | None = None  # only what was known at this time is read; null: everything
    window_days: Count | None = None  # only the log's last days are read; null: all of it
    attribution_days: Count | None = None  # days after a click in which a conversion counts; null: the card's window


class FeaturesConfig(Section):
    """Windows, dimensions and kinds of features, and where time splits training from judging."""

    window_days: tuple[Count, ...] = (1, 7, 28)
    text_dimensions: Count = 16
    segments: Count = 6
    train_share: Share = 0.5  # of the log's time span, from its beginning; models are trained on it
    calibration_share: Share = 0.1  # of the time span, right after; models are calibrated on it
    select_share: Share = 0.1  # of the time span, after that; models, temperatures and forms are chosen on it
    shopper_history: bool = True  # false: shopper_id is a profile and not a person, so it has no past
    image_dimensions: Count = 16  # principal components of an image; not used with an encoder
    # a .keras file that embeds images; null: principal components. The digest covers its content, not its path
    encoder: Annotated[str | None, Field(exclude=True)] = None
    pairs: tuple[str, ...] = ("repeats",)  # features of (shopper, creative): names in components/features/pairs
    profile_terms: Count = 5  # search terms in a shopper's profile
    seed: Seed = 0


class InterestConfig(KindsSection):
    """The models of P(click | shopper, creative, context) that are trained and compared: interest/model_kinds.py."""

    models: tuple[str, ...] = ("logistic", "network")
    bootstrap: Count = 200
    max_calibration_error: Share = 0.01
    seed: Seed = 0


class GeneratorConfig(Section):
    """Budget and sizes of one generator.

    Training ends after `steps`, so that a rerun gives the same weights; `max_seconds` is an upper limit. Each family of
    generators has a subclass with its defaults and further settings, beside its networks.
    """

    steps: Count
    max_seconds: Seconds
    batch_size: Count = 128
    latent: Count = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    width: Count | None = None  # of hidden layers: units of flow, channels of vae and wgan; null: the family's default
    steps_per_dispatch: Annotated[int, Field(ge=1, le=50)] = 1  # more: fewer round trips to a GPU; no gain on a CPU
    precision: Literal["float32", "mixed_bfloat16"] = "float32"


class AdsConfig(Section):
    """Images of new ads, their sizes (ads/rendering/ad_sizes.py), and the words that their texts may not contain."""

    pictures: Literal["product", "generated", "both"] = "product"  # which images a new ad may have

    # of ads with a product's photo: those that people wrote, written from the product's facts, or half of each
    headlines: Literal["people", "written", "both"] = "both"
    sizes: tuple[str, ...] = ("300x250",)  # names of AD_SIZES; the contact sheet shows the first
    # market -> words; the market `en` is every campaign with an English locale, `zh-CN` that locale only
    banned_words: dict[str, tuple[str, ...]] = {}
    # campaign or locale -> cn, eu, us or none (ads/markets/); null: the market of the campaign's locale
    markets: dict[str, str] = {}
    review: Literal["automatic", "required"] = "automatic"  # required: a pool has only ads that people approved

    @field_validator("sizes")
    @classmethod
    def _some_and_distinct(cls, value: tuple) -> tuple:
        if not value or len(set(value)) < len(value):
            raise ValueError("write at least one, and each once")
        return value

    @field_validator("banned_words")
    @classmethod
    def _no_empty_word(cls, value: dict) -> dict:
        empty = [market for market, words in value.items() if not all(word.strip() for word in words)]
        if empty:
            raise ValueError(f"{empty[0]}: an empty word would ban every text")
        return value


class CreativesConfig(KindsSection):
    """Generators to train, a pretrained one to judge beside them, their quality gate, and the pool of new creatives."""

    generators: tuple[str, ...] = ("vae", "wgan", "flow")  # names of FAMILIES in generators/generator_kinds.py
    side: Count | None = None  # pixels per side that photos are resized to; null: their median side, at most 64
    denoise: Literal[0, 3, 5] = 0  # width in pixels of the median filter on photos; 0: none
    augment: tuple[Literal["mirror", "shift"], ...] = ()  # further training versions of each photo
    restarts: Annotated[int, Field(ge=0)] = 1  # after mode collapse, each from another seed
    warm_start: bool = False  # start from the champion generators' weights where they fit, not from the seed
    warm_share: Annotated[float, Field(gt=0, le=1)] = 0.33  # of its steps that a warm-started generator is trained for
    checkpoint_seconds: Seconds = 20.0
    duplicate_fraction: Annotated[float, Field(ge=0)] = 0.5  # of the median distance between nearest photos
    quality_photos: Count = 15_000  # training photos of the quality review's classifier
    quality_samples: Count = 3_000  # images of each generator that are reviewed
    parser_steps: Annotated[int, Field(ge=0)] = 400  # training steps of the caption parser; 0: no text to image
    max_attempts: Count = 32  # draws of an image until it shows what its caption says
    # the next two are relative: 0 is guessing, 1 is what real photos of the data set reach
    min_cas: Share = 0.5  # accuracy on real photos of a classifier trained on generated images alone
    min_category_match: Share = 0.5  # share of images that show the requested category
    min_diversity: Share = 0.4  # spread of the least diverse category over that of real photos
    pool_per_campaign: Count = 12
    audience: Count = 60  # impressions per segment that a new creative is scored on
    # Folders, excluded from the digest of settings: their contents are digested with the stage's inputs.
    pretrained: Annotated[str | None, Field(exclude=True)] = None  # with generator.keras and generator.json
    text_encoder: Annotated[str | None, Field(exclude=True)] = None  # with tokenizer.json and model.onnx; null: hashing
    # Where the stage runs does not change its outputs, so these three are excluded from the digest of settings.
    pool: Annotated[Literal["local", "gpu"], Field(exclude=True)] = "local"
    store: Annotated[str | None, Field(exclude=True)] = None  # folder or fsspec URL that both machines reach
    worker_seconds: Annotated[Seconds, Field(exclude=True)] = 900.0  # that a run waits for a worker of the pool gpu
    seed: Seed = 0

    @property
    def families(self) -> dict[str, Any]:
        """Family of generators -> its untyped sub-section; generator_kinds.py types it."""
        return dict(self.model_extra or {})


class CreativesStageConfig(CreativesConfig):
    """The settings of the creatives stage: the section `creatives`, with the section `ads` as a field."""

    ads: AdsConfig = AdsConfig()


class PolicyCandidate(Section):
    """A further policy among which one is chosen: what differs from `evaluation.policy`; null: nothing."""

    name: str | None = None
    exploration: Share | None = None
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] | None = None

    @model_validator(mode="after")
    def _differs(self) -> "PolicyCandidate":
        if not self.model_dump(exclude_none=True):
            raise ValueError("name what differs: name, exploration or temperatures")
        return self


class PolicyConfig(KindsSection):
    """How scores of the interest model become probabilities: see components/policies/policy_package.py."""

    name: str = "chi_square"  # of POLICIES in components/policies/policy_kinds.py
    # what it maximises (components/policies/objective.py); campaign: each campaign's own objective
    objective: Literal["click", "conversion", "revenue", "campaign"] = "click"
    # judged on the log; the first one that passes acts
    forms: tuple[Literal["table", "per_shopper"], ...] = ("table", "per_shopper")
    # in log-odds, lower is bolder; one is chosen for each form on the select slice
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = (0.02, 0.03, 0.05, 0.07, 0.1)
    exploration: Share = 0.05  # of each impression, spread evenly over its eligible creatives
    candidates: tuple[PolicyCandidate, ...] = ()  # further policies; one of all is chosen on the select slice
    new_share: Share = 0.005  # of each impression, spread evenly over the campaign's new creatives
    segments: Count = 128  # shopper clusters of the decision table
    contexts: Count = 40  # impressions per cell of the table that creatives are scored on
    seed: Seed = 0

    @field_validator("forms", "temperatures")
    @classmethod
    def _some_and_distinct(cls, value: tuple) -> tuple:
        if not value or len(set(value)) < len(value):
            raise ValueError("write at least one, and each once")
        return value

    @property
    def compared(self) -> "tuple[PolicyConfig, ...]":
        """This policy and its candidates, each as settings of its own without candidates."""
        own = self.model_copy(update={"candidates": ()})
        return own, *(own.model_copy(update=other.model_dump(exclude_none=True)) for other in self.candidates)


class EvaluationConfig(Section):
    """How a policy is judged on logged impressions, and when the verdict is abstain."""

    policy: PolicyConfig = PolicyConfig()
    reward: str = "click"  # that policies are judged by: a name in components/evaluation/rewards.py
    reward_high: Annotated[float | None, Field(gt=0)] = None  # revenue only: the most that one impression can earn
    bootstrap: Count = 1000
    max_uncovered: Share = 0.1
    min_ess: Annotated[float, Field(ge=0)] = 1000.0
    min_clicks: Annotated[int, Field(ge=0)] = 100
    max_shopper_share: Share = 0.1  # largest share of the impressions that one known shopper may have
    reward_models: tuple[Literal["boosted"], ...] = ("boosted",)  # compared with logistic regression
    folds: Annotated[int, Field(ge=2)] = 3  # of the cross-fitting
    clones: Annotated[int, Field(ge=2)] = 20  # simulated copies of the log, for the trust card
    clone_impressions: Count = 20_000  # at most this many impressions in each
    exclude_bots: bool = False  # leave out shoppers flagged as bot-like; else they are only counted
    segment_bound: Annotated[float, Field(ge=0)] = 0.0  # no segment may surely lose more reward per impression
    guard_bound: Annotated[float, Field(ge=0)] = 0.1  # largest tolerated relative worsening of CVR, cost or feedback
    settled_lift: Annotated[float, Field(gt=0)] = 0.05  # relative lift for which an abstention plans a sample size
    proof_impressions: Count | None = None  # that are to prove the temperature's lift; null: the judged ones
    seed: Seed = 0


class PromotionConfig(Section):
    """What the evidence must show before `champion` moves, and how the gate looks."""

    margin: Annotated[float, Field(ge=0)] = 0.0  # lift in reward per impression that the lower bound must exceed
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05  # chance that any useless challenger is ever promoted
    approval: Literal["auto", "manual"] = "auto"
    boundary: Literal["anytime", "planned"] = "anytime"  # of the lower bound; planned: O'Brien-Fleming
    planned_impressions: Annotated[int, AfterValidator(check_planned)] | None = None  # judged at the last look
    refresh: bool = False  # refits of the champion's recipe on newer data act while they lose no more than the margin
    refresh_margin: Share = 0.02  # of the champion's value that refits may lose
    refresh_forgetting: Annotated[float, Field(gt=0.5, le=1)] = 0.95  # weight of a night relative to the next one
    # A PostgreSQL database for the promotion lock if the registry has none; excluded from the digest of settings.
    lock: str | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _plan(self) -> "PromotionConfig":
        """Check that planned_impressions is set for a planned boundary, and only for it."""
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
    """The source that `adloom data pull` reads (datasets/sources.py), and fields of the data set's card."""

    url: str | None = None  # a database, a folder, or topics; credentials as ${NAME}, from the environment
    batch_rows: Count = 50_000  # read at a time
    late_days: Annotated[int, Field(ge=0)] = 3  # pulled days that are searched again for late rows
    naive_times: Literal["refuse", "utc"] = "refuse"  # for times without a zone; utc: they are in UTC
    since: Moment | None = None  # first day; null: that of the first impression
    licence: str = "internal"
    currency: str = "EUR"
    conversion_window_days: Annotated[int, Field(ge=0)] = 7


class NotifyConfig(Section):
    """Where a signed JSON notice is posted, and on which events: see components/workflow/webhook.py."""

    webhook: str | None = None  # URL; ${NAME} stands for an environment variable
    events: tuple[Literal["failed", "stopped", "refused", "abstained", "waiting", "withdrawn", "missed"], ...] = (
        "failed",  # a run ended in an error, or died
        "stopped",  # validation refused the data
        "refused",
        "abstained",
        "waiting",  # for `adloom promote`
        "withdrawn",  # a refit that acted: the champion acts again
        "missed",  # a schedule whose run did not begin
    )
    attempts: Annotated[int, Field(ge=1, le=10)] = 5
    backoff_seconds: Annotated[float, Field(gt=0, le=5)] = 0.5  # x 2^(n - 1) before repetition n
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0  # of one attempt


class KafkaTopics(Section):
    """Topics that `adloom serve` reads what happened from, by kind; one topic may hold several kinds. null: none."""

    behaviour: str | None = None
    impressions: str | None = None
    clicks: str | None = None
    conversions: str | None = None
    feedback: str | None = None


def check_client(options: dict[str, str | bool | int | float]) -> dict[str, str | bool | int | float]:
    """`options` themselves if each of them may be set."""
    for name in options:
        if name in OUR_PROPERTIES:
            raise ValueError(f"{name} cannot be set: {OUR_PROPERTIES[name]}")
    return options


# properties of Kafka clients that have settings of their own, that the guarantees depend on, or that load code
OUR_PROPERTIES = {
    "bootstrap.servers": "it is the setting bootstrap_servers",
    "group.id": "it is the setting consumer_group",
    **dict.fromkeys(
        ("enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "acks", "enable.idempotence"),
        "no message may be lost or counted twice",
    ),
    "plugin.library.paths": "it would load code",
    "ssl.key.pem": "name a file in ssl.key.location",
}
KafkaClient = Annotated[dict[str, str | bool | int | float], AfterValidator(check_client)]


class KafkaConfig(Section):
    """A Kafka cluster that `adloom serve` reads from and publishes to: see components/serving/streams."""

    bootstrap_servers: Annotated[str, Field(min_length=1)]  # host:port, several with commas
    consumer_group: Annotated[str, Field(min_length=1)] = "adloom"  # under which offsets are committed
    topics: KafkaTopics = KafkaTopics()
    dead_letters: Annotated[str, Field(min_length=1)] = "adloom.dead-letters"  # topic of messages that do not count
    served: str | None = None  # topic that decisions, and what is reported of them, are published to; null: none
    batch_messages: Annotated[int, Field(ge=1, le=10_000)] = 500  # at most, of one write
    client: KafkaClient = {}  # further properties of librdkafka, such as security.protocol; ${NAME} as elsewhere

    @model_validator(mode="after")
    def _apart(self) -> "KafkaConfig":
        """Check that no topic is both read and written, which would never end."""
        read = {topic for topic in self.topics.model_dump().values() if topic}
        for name in ("dead_letters", "served"):
            if getattr(self, name) in read:
                raise ValueError(f"{name}: the topic {getattr(self, name)} is read, too; name another")
        if not read and self.served is None:
            raise ValueError("name at least one of `topics`, or `served`")
        return self


class ServingConfig(Section):
    """How `adloom serve` answers requests: see components/serving."""

    refresh_seconds: Seconds = 10.0  # between two looks for a new champion and for changes of the shop's tables
    max_body_bytes: Count = 1_000_000  # of a request; a larger one gets status 413
    requests_per_second: Annotated[float, Field(gt=0)] | None = 300.0  # of one client; above it status 429; null: any
    request_seconds: Seconds = 5.0  # in which a request is read and answered; else status 408 or 503
    seed: Seed = 0  # of the draws: a decision's id and the seed give the same creative again
    campaign_choice: Literal["even", "value"] = "even"  # if a request names no campaign: each alike, or by earnings
    campaign_exploration: Share = 0.1  # with `value`, the probability that is shared evenly among all campaigns
    public_url: str | None = None  # address under which browsers reach the service, for its pixel and redirect
    history_days: Count = 400  # how long a shopper's events and ads are kept; older ones are neither read nor kept
    click_hours: Annotated[float, Field(ge=0)] = 6.0  # after the end of a day in which its clicks still count
    kafka: KafkaConfig | None = None  # streams in and out; null: none


class Settings(Section):
    """All settings of one data set."""

    simulator: SimulatorConfig = SimulatorConfig()
    ads: AdsConfig = AdsConfig()
    source: SourceConfig = SourceConfig()  # `source: postgresql://...` stands for a section with that url
    notify: NotifyConfig = NotifyConfig()
    serving: ServingConfig = ServingConfig()
    validation: ValidationConfig = ValidationConfig()
    features: FeaturesConfig = FeaturesConfig()
    interest: InterestConfig = InterestConfig()
    creatives: CreativesConfig = CreativesConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    promotion: PromotionConfig = PromotionConfig()

    def of_stage(self, name: str) -> Section:
        """The settings of stage `name`: the section of its name, and for creatives also the section `ads`."""
        if name == "creatives":
            return CreativesStageConfig(**dict(self.creatives), ads=self.ads)
        return getattr(self, name)

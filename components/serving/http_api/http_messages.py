"""The JSON of requests and answers, with the examples that the OpenAPI page shows."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl

MAX_BATCH = 200
MAX_SHORTLIST = 1000
# no control characters, and no space at either end; ranges are named where dialects of patterns differ on a space
ID = r"^[^\s\ufeff\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\ufeff\x00-\x1f\x7f-\x9f])?$"
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=ID)]
ContextValue = Annotated[str, Field(max_length=200)] | bool | float

ONE_REQUEST = {
    "shopper_id": "s00123",
    "campaign": "c00",
    "placement": "home",
    "position": 1,
    "context": {"local_hour": 20.5},
}


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a time is a text, such as 2026-06-01T08:30:00Z")
    return value


def _number(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("a number is expected")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text)]
Position = Annotated[int, Field(ge=1, le=10_000, strict=False), BeforeValidator(_number)]  # also 1.0


class Message(BaseModel):
    """A part of a request; unknown fields, other types than the declared ones, NaN and Infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class DecideOne(Message):
    """One ad to choose."""

    model_config = ConfigDict(json_schema_extra={"examples": [ONE_REQUEST]})

    shopper_id: Id | None = None  # null: an unknown shopper
    campaign: Id | None = None  # null: one of those that have an eligible creative and are within their limits
    placement: Id | None = None
    position: Position = 1  # on the page
    request_id: Id | None = None  # of the page view; rows of one page share it
    context: dict[str, ContextValue] = Field(default_factory=dict, max_length=100)  # columns context_* of the log
    shortlist: Annotated[list[Id], Field(max_length=MAX_SHORTLIST)] | None = None  # creatives that the page can show
    explain: bool = False  # then the answer has `facts`
    landing: HttpUrl | None = None  # where a click leads; then the answer has the address of a redirect


class DecideBatch(Message):
    """Several ads to choose, each on its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"requests": [ONE_REQUEST]}]})

    requests: Annotated[list[DecideOne], Field(min_length=1, max_length=MAX_BATCH)]


class Chosen(BaseModel):
    """The chosen creative. propensity: the probability with which it was chosen among those of its campaign;
    campaign_propensity: with which the campaign was chosen, 1 if the request names it; pictures: address by size;
    pixel: an image that reports that the ad was shown; click: a redirect to the landing address that counts a click;
    facts: sentences that say what moved the decision, in the campaign's language; null: not asked, or not known."""

    decision_id: str
    campaign: str
    creative_id: str
    propensity: float
    campaign_propensity: float
    headline: str | None
    call_to_action: str | None
    pictures: dict[str, str]
    pixel: str
    click: str | None
    policy_version: int | None
    logging_policy: str
    reason: str
    facts: list[str] | None


class Refused(BaseModel):
    """Why one request of a batch has no answer."""

    error: str
    status: int


class ChosenBatch(BaseModel):
    """The answers of a batch, in the order of its requests."""

    decisions: list[Chosen | Refused]


class Problem(BaseModel):
    """Why a request has no answer; one text per fault if its fields are wrong."""

    detail: str | list[str]


class _Tracking(Message):
    timestamp: Moment | None = None  # when it happened; null: now


class Behaviour(_Tracking):
    """What a shopper did: a row of the contract's table `events`."""

    type: Literal["behaviour"]
    event_id: Id
    shopper_id: Id
    kind: Literal["view", "click", "search", "like", "comment", "share", "review", "cart", "purchase"]
    product_id: Id | None = None
    text: Annotated[str, Field(max_length=2000)] | None = None
    dwell_seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None
    value: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None


class Shown(_Tracking):
    """The ad of a decision was shown. creative_id: which one, for a check."""

    type: Literal["impression"]
    decision_id: Id
    creative_id: Id | None = None


class Click(_Tracking):
    """The ad of a decision was clicked; so it was shown."""

    type: Literal["click"]
    decision_id: Id


class Conversion(_Tracking):
    """The shopper bought, or did what the campaign is for, after the ad of a decision."""

    type: Literal["conversion"]
    decision_id: Id
    revenue: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None


class Feedback(_Tracking):
    """What the shopper said of the ad of a decision."""

    type: Literal["feedback"]
    decision_id: Id
    feedback: Literal["hide", "report", "like", "share", "comment"]


TrackEvent = Annotated[Behaviour | Shown | Click | Conversion | Feedback, Field(discriminator="type")]
ONE_EVENT = {"type": "behaviour", "event_id": "e1", "shopper_id": "s00123", "kind": "view", "product_id": "p00042"}
ONE_CLICK = {"type": "click", "decision_id": "5f0c2c9a3f8e4d55a4a3a1b2c3d4e5f6"}


class Track(Message):
    """What happened, each with an id: sent twice, it counts once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [ONE_EVENT, ONE_CLICK]}]})

    events: Annotated[list[TrackEvent], Field(min_length=1, max_length=MAX_BATCH)]


class TrackedAnswer(BaseModel):
    """What became of one event: stored, duplicate, conflict, mismatch, unknown or refused; detail: why."""

    status: str
    detail: str


class TrackAnswer(BaseModel):
    """What became of each event, in their order."""

    results: list[TrackedAnswer]

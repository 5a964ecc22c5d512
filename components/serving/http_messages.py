"""The JSON of requests and answers, with the examples that the OpenAPI page shows."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_BATCH = 200
MAX_SHORTLIST = 1000
# no control characters, and no space at either end
ID = r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=ID)]
ContextValue = Annotated[str, Field(max_length=200)] | bool | float

ONE_REQUEST = {
    "shopper_id": "s000123",
    "campaign": "c00",
    "placement": "home",
    "position": 1,
    "context": {"local_hour": 20.5},
}


class Message(BaseModel):
    """A part of a request; unknown fields, NaN and Infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DecideOne(Message):
    """One ad to choose."""

    model_config = ConfigDict(json_schema_extra={"examples": [ONE_REQUEST]})

    shopper_id: Id | None = None  # null: an unknown shopper
    campaign: Id | None = None  # null: one is drawn evenly among those with an eligible creative
    placement: Id | None = None
    position: Annotated[int, Field(ge=1, le=10_000)] = 1  # on the page
    request_id: Id | None = None  # of the page view; rows of one page share it
    context: dict[str, ContextValue] = Field(default_factory=dict, max_length=100)  # columns context_* of the log
    shortlist: Annotated[list[Id], Field(max_length=MAX_SHORTLIST)] | None = None  # creatives that the page can show


class DecideBatch(Message):
    """Several ads to choose, each on its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"requests": [ONE_REQUEST]}]})

    requests: Annotated[list[DecideOne], Field(min_length=1, max_length=MAX_BATCH)]


class Chosen(BaseModel):
    """The chosen creative. propensity: the probability with which it was chosen; pictures: address by size."""

    decision_id: str
    campaign: str
    creative_id: str
    propensity: float
    headline: str | None
    call_to_action: str | None
    pictures: dict[str, str]
    policy_version: int | None
    logging_policy: str
    reason: str


class Refused(BaseModel):
    """Why one request of a batch has no answer."""

    error: str
    status: int


class ChosenBatch(BaseModel):
    """The answers of a batch, in the order of its requests."""

    decisions: list[Chosen | Refused]


class Problem(BaseModel):
    """Why a request has no answer."""

    detail: Any

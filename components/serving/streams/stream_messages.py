"""The messages of topics as JSON: events that are read, dead letters, and the served log."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from components.serving.http_api.http_messages import TrackEvent
from components.serving.journal import DecisionRow, OutgoingRow, Row, TrackedRow
from components.serving.tracking import CLICK, CONVERSION, FEEDBACK, IMPRESSION, Tracked
from components.settings.sections import KafkaTopics

MALFORMED = "malformed"
TYPES = {  # setting of a topic -> the `type` of its events
    "behaviour": "behaviour",
    "impressions": IMPRESSION,
    "clicks": CLICK,
    "conversions": CONVERSION,
    "feedback": FEEDBACK,
}
MAX_QUOTED = 100_000  # bytes of a message that its dead letter repeats
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENT: TypeAdapter = TypeAdapter(TrackEvent)


@dataclass(frozen=True)
class StreamMessage:
    """A message of a topic's partition. moment: its own time, milliseconds since 1970; None: it has none."""

    topic: str
    partition: int
    offset: int
    moment: int | None
    key: bytes | None
    value: bytes | None


def types_of(topics: KafkaTopics) -> dict[str, frozenset[str]]:
    """Topic -> the types of the events that it may hold."""
    named = [(getattr(topics, setting), kind) for setting, kind in TYPES.items()]
    return {topic: frozenset(kind for name, kind in named if name == topic) for topic, _ in named if topic}


def read_event(message: StreamMessage, types: Mapping[str, frozenset[str]]) -> TrackEvent | Tracked:
    """The event in a message, or what is wrong with it."""
    try:
        event = EVENT.validate_json(message.value or b"")
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        return Tracked(MALFORMED, f"{place}: {fault['msg']}" if place else fault["msg"])
    if event.type not in types[message.topic]:
        listed = ", ".join(sorted(types[message.topic]))
        return Tracked(MALFORMED, f"an event of type {event.type}, where the topic holds {listed}")
    return event


def dead_letter(message: StreamMessage, outcome: Tracked, topic: str) -> OutgoingRow:
    """The message for `topic` that says where a message stands that does not count, and why."""
    place = {"topic": message.topic, "partition": message.partition, "offset": message.offset}
    moment = None if message.moment is None else iso(message.moment * 1000)
    body = {**place, "timestamp": moment, "status": outcome.status, "reason": outcome.detail}
    body |= _quoted("key", message.key) | _quoted("value", message.value)
    return OutgoingRow(topic, "/".join(str(part) for part in place.values()), body)


def served_message(row: Row) -> dict[str, object] | None:
    """A newly stored row of the journal as it is published, with the decision's id as key; None for other rows."""
    if isinstance(row, DecisionRow):
        names = ("shopper_id", "campaign", "campaign_propensity", "position", "creative_id", "propensity")
        fields = {name: getattr(row, name) for name in (*names, "logging_policy", "request_id", "placement")}
        head = {"type": "decision", "decision_id": row.decision_id, "timestamp": iso(row.moment)}
        return {**head, **fields, **row.context, "candidates": row.candidates}
    if isinstance(row, TrackedRow) and row.kind in (IMPRESSION, CLICK, CONVERSION, FEEDBACK):
        return {"type": row.kind, "decision_id": row.id, "timestamp": iso(row.moment), **row.body}
    return None


def iso(moment: int) -> str:
    """The time `moment`, microseconds since 1970, in ISO 8601."""
    return (EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")


def _quoted(name: str, content: bytes | None) -> dict[str, object]:
    """Field `name` with the content as text, or `name`_base64 if it is no UTF-8; cut to MAX_QUOTED bytes."""
    if content is None:
        return {name: None}
    cut: dict[str, object] = {f"{name}_bytes": len(content)} if len(content) > MAX_QUOTED else {}
    part = content[:MAX_QUOTED]
    try:
        return {name: part.decode("utf-8", "ignore" if cut else "strict"), **cut}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(part).decode(), **cut}

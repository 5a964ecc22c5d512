"""What `POST /track`, the pixel and the redirect report, checked against the decisions and written to the journal."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.serving.http_api.http_messages import Behaviour, Click, Conversion, Feedback, Shown, TrackEvent
from components.serving.journal import STORED, DecisionRow, FaultRow, Journal, Row, TrackedRow

EVENT, IMPRESSION, CLICK, CONVERSION, FEEDBACK = "event", "impression", "click", "conversion", "feedback"
AHEAD = 60_000_000  # microseconds that a client's clock may be ahead of the server's
EARLIEST = 631_152_000_000_000  # 1990: the contract's rule
MISMATCH, REFUSED, UNKNOWN = "mismatch", "refused", "unknown"


@dataclass(frozen=True)
class Tracked:
    """What became of an event: `stored`, `duplicate`, `conflict` (its id is stored with other content), `mismatch`
    (another creative than the chosen one was shown), `unknown` (no such decision) or `refused`; and why."""

    status: str
    detail: str = ""


def rows_of(
    events: Sequence[TrackEvent], journal: Journal, now: int, otherwise: Sequence[int] | None = None
) -> list[Row | Tracked]:
    """The row to be written for each event, or what is wrong with it. now: microseconds since 1970.

    otherwise: when each event happened that does not say so; None: now.
    """
    moments = [now] * len(events) if otherwise is None else otherwise
    return [_row_of(event, journal, now, moment) for event, moment in zip(events, moments, strict=True)]


def outcomes(rows: Sequence[Row | Tracked], written: Sequence[str]) -> list[Tracked]:
    """What became of each event; written: the journal's outcomes of those that are rows, in their order."""
    results = iter(written)
    return [row if isinstance(row, Tracked) else _outcome(row, next(results)) for row in rows]


def _outcome(row: Row, written: str) -> Tracked:
    if isinstance(row, FaultRow):
        return Tracked(MISMATCH, row.why)
    detail = "" if written != "conflict" else "the same id was sent before with other content, which is kept"
    return Tracked(written, detail)


def _row_of(event: TrackEvent, journal: Journal, now: int, otherwise: int) -> Row | Tracked:
    moment = otherwise if event.timestamp is None else int(event.timestamp.timestamp() * 1_000_000)
    if moment > now + AHEAD:
        return Tracked(REFUSED, f"its time is {(moment - now) // 1_000_000} seconds ahead of the server's clock")
    if moment < EARLIEST:
        return Tracked(REFUSED, "its time is before 1990")
    if isinstance(event, Behaviour):
        body = event.model_dump(exclude={"type", "event_id", "timestamp"}, exclude_none=True)
        return TrackedRow(EVENT, event.event_id, min(moment, now), now, body)
    decision = journal.decision(event.decision_id)
    if decision is None:
        return Tracked(UNKNOWN, f"no decision {event.decision_id} is known")
    if moment < decision.moment - AHEAD:
        return Tracked(REFUSED, "its time is before the decision")
    return _of_decision(event, decision, min(max(moment, decision.moment), now), now)


def _of_decision(event: Shown | Click | Conversion | Feedback, decision: DecisionRow, moment: int, now: int) -> Row:
    if isinstance(event, Shown):
        if event.creative_id not in (None, decision.creative_id):
            why = f"creative {event.creative_id} was shown, but {decision.creative_id} had been chosen"
            return FaultRow(now, why, event.model_dump(mode="json"))
        return TrackedRow(IMPRESSION, decision.decision_id, moment, now, {})
    if isinstance(event, Click):
        return TrackedRow(CLICK, decision.decision_id, moment, now, {})
    if isinstance(event, Conversion):
        return TrackedRow(CONVERSION, decision.decision_id, moment, now, {"revenue": event.revenue})
    return TrackedRow(FEEDBACK, decision.decision_id, moment, now, {"feedback": event.feedback})


def is_stored(outcome: Tracked) -> bool:
    """Whether the event was new and is durable."""
    return outcome.status == STORED

"""Reviews of new creatives by people, kept as tags of the registered policy: each decision is one, none is deleted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from components.registry.alias_moves import model_tags
from components.registry.mlflow_store import ensure_model
from components.settings.errors import UserError

REVIEW = "review."  # prefix of the tags
LONGEST = 1000  # characters of a reason; a tag holds 5,000


@dataclass(frozen=True)
class CreativeReview:
    """One decision. key: of what the creative shows (ads/pools/reviews.py); when: UTC, ISO 8601."""

    key: str
    creative_id: str
    approved: bool
    who: str
    when: str
    why: str

    @property
    def words(self) -> str:
        """The decision as the rest of a sentence."""
        verdict = "approved" if self.approved else "rejected"
        return f"was {verdict} by {self.who} on {self.when[:10]}" + (f": {self.why}" if self.why else "")


def read_reviews(client, name: str) -> dict[str, CreativeReview]:
    """The latest decision on each key, in the order in which they were made, of the policy `name`."""
    tags = model_tags(client, name)
    decisions = [CreativeReview(**json.loads(tags[tag])) for tag in sorted(tags) if tag.startswith(REVIEW)]
    return {decision.key: decision for decision in decisions}


def record_reviews(
    client, name: str, creatives: Mapping[str, str], *, approved: bool, who: str, why: str
) -> Sequence[CreativeReview]:
    """Record one decision about `creatives` (creative_id by key) of the policy `name`; the decisions.

    UserError for a rejection without a reason, or a reason that is too long.
    """
    if not approved and not why.strip():
        raise UserError("--why: say why the creatives are rejected; the next runs show it with each of them")
    if len(why) > LONGEST:
        raise UserError(f"--why: write at most {LONGEST} characters, not {len(why)}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = [CreativeReview(key, creative_id, approved, who, now, why.strip()) for key, creative_id in creatives.items()]
    with client.lock():
        ensure_model(client, name)
        place = sum(tag.startswith(REVIEW) for tag in model_tags(client, name))
        for number, decision in enumerate(made, start=place):
            client.set_registered_model_tag(name, f"{REVIEW}{number:06d}", json.dumps(asdict(decision)))
    return made

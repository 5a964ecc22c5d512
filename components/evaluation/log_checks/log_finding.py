"""What a check of a log found, in words, with a severity. A `critical` finding makes the evaluation abstain."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "notice", "critical", "inconclusive"]


@dataclass(frozen=True)
class Finding:
    """The result of one check. share: of the rows or actions concerned, in [0, 1]."""

    kind: str
    severity: Severity
    message: str
    share: float = 0.0

"""Error probability, spent once and for all over every question that the gate was ever asked.

The k-th question gets alpha / (k (k + 1)) of the whole alpha, which sums to alpha over k = 1, 2, ... So the chance that
*any* of endlessly many useless challengers is ever promoted stays below alpha. A question is everything that the answer
depends on: the policy's package, the judged rows, the baseline, and the settings of evaluation and promotion. Whoever
changes one of them asks anew; whoever asks the same again gets the same answer for nothing. The registry keeps the
questions (promotion/registry.py) and is charged before the judged rows are looked at.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.gate.boundaries import ANYTIME, Boundary


@dataclass(frozen=True)
class Ledger:
    """Keys of the questions in the order they were first asked, and the whole error probability, in (0, 1)."""

    alpha: float
    questions: tuple[str, ...] = ()

    def ask(self, question: str, boundary: Boundary = ANYTIME) -> tuple[float, "Ledger"]:
        """The share of alpha that `question` has when it is asked with `boundary`, and the ledger with it in."""
        question = question if boundary == ANYTIME else f"{question}, {boundary.words}"
        known = question in self.questions
        questions = self.questions if known else (*self.questions, question)
        return share_of(self.alpha, questions.index(question)), Ledger(self.alpha, questions)

    def to_dict(self) -> dict[str, object]:
        """The record to keep."""
        return {"alpha": self.alpha, "questions": list(self.questions)}

    @classmethod
    def from_dict(cls, record: dict[str, object]) -> "Ledger":
        """The ledger of a record that `to_dict` gave."""
        return cls(float(record["alpha"]), tuple(record["questions"]))


def share_of(alpha: float, place: int) -> float:
    """What the question at `place` (from 0) in the ledger gets."""
    return alpha / ((place + 1) * (place + 2))


def shares(alpha: float, questions: int) -> np.ndarray:
    """What the first `questions` questions get: float64 [questions]."""
    k = np.arange(1, questions + 1)
    return alpha / (k * (k + 1))

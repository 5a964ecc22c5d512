"""The ledger: the error probability alpha, divided among all questions that the gate has been asked.

The k-th question gets alpha / (k (k + 1)), which sums to alpha over k = 1, 2, ... So the probability that any of
infinitely many useless challengers is ever promoted stays below alpha. A question is everything that the answer depends
on: the policy's package, the judged rows, the baseline, and the settings of evaluation and promotion. If one of them
changes, it is a new question; the same question again gets the same share and costs nothing. To charge the ledger is to
enter a question. The registry stores the questions (registry/promotion.py); it is charged before the judged rows are
looked at.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.gate.boundaries import ANYTIME, Boundary


@dataclass(frozen=True)
class Ledger:
    """alpha: the whole error probability, in (0, 1). questions: their keys in the order of their first entry."""

    alpha: float
    questions: tuple[str, ...] = ()

    def ask(self, question: str, boundary: Boundary = ANYTIME) -> tuple[float, "Ledger"]:
        """The share of alpha for `question` with `boundary`, and the ledger with the question entered."""
        question = question if boundary == ANYTIME else f"{question}, {boundary.label}"
        known = question in self.questions
        questions = self.questions if known else (*self.questions, question)
        return share_of(self.alpha, questions.index(question)), Ledger(self.alpha, questions)

    def to_dict(self) -> dict[str, object]:
        """The ledger as JSON values."""
        return {"alpha": self.alpha, "questions": list(self.questions)}

    @classmethod
    def from_dict(cls, record: dict[str, object]) -> "Ledger":
        """The ledger from the record that `to_dict` made."""
        return cls(float(record["alpha"]), tuple(record["questions"]))


def share_of(alpha: float, place: int) -> float:
    """The error probability of the question at `place` (from 0) in the ledger."""
    return alpha / ((place + 1) * (place + 2))


def shares(alpha: float, questions: int) -> np.ndarray:
    """The error probabilities of the first `questions` questions: float64 [questions]."""
    k = np.arange(1, questions + 1)
    return alpha / (k * (k + 1))

"""Error probability, spent once and for all over every challenger that was ever judged.

The k-th new question gets alpha / (k (k + 1)) of the whole alpha, which sums to alpha over k = 1, 2, ... So the chance
that *any* of endlessly many useless challengers is ever promoted stays below alpha. A question is the text that the
caller asks with, and the boundary. The same text and boundary on a longer log cost nothing, for both boundaries hold at
every look; another text or another boundary is a new question. So the text has to name all that a second try could
change: the challenger, the baseline and the settings. A planned last look is entered before it is taken.
"""

from dataclasses import dataclass

import numpy as np

from components.evaluation.boundaries import ANYTIME, Boundary


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
        k = questions.index(question) + 1
        return self.alpha / (k * (k + 1)), Ledger(self.alpha, questions)

    def to_dict(self) -> dict[str, object]:
        """The record to keep."""
        return {"alpha": self.alpha, "questions": list(self.questions)}

    @classmethod
    def from_dict(cls, record: dict[str, object]) -> "Ledger":
        """The ledger of a record that `to_dict` gave."""
        return cls(float(record["alpha"]), tuple(record["questions"]))


def shares(alpha: float, questions: int) -> np.ndarray:
    """What the first `questions` questions get: float64 [questions]."""
    k = np.arange(1, questions + 1)
    return alpha / (k * (k + 1))

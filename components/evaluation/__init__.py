"""What a policy would have earned: off-policy estimates, intervals, and a verdict on whether to believe them."""

from components.evaluation.assess import Assessment, assess
from components.evaluation.evaluate import evaluate
from components.evaluation.intervals.resampling import Interval
from components.evaluation.log_files import evaluate_files
from components.evaluation.logged_decisions import LoggedDecisions, logged_decisions
from components.evaluation.result import Estimate, Evaluation

__all__ = [
    "Assessment",
    "Estimate",
    "Evaluation",
    "Interval",
    "LoggedDecisions",
    "assess",
    "evaluate",
    "evaluate_files",
    "logged_decisions",
]

"""Evidence -> decision: a pure function, so that every decision can be replayed from its record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from components.config import PromotionConfig
from components.evaluation.boundaries import Boundary
from components.evaluation.gate import GateEvidence, gate_reasons
from components.evaluation.outlook import FIRST, POWER, Outlook, as_logged

Action = Literal["promote", "refuse", "abstain", "keep"]


@dataclass(frozen=True)
class Gate:
    """Whether one model passed its own gate, and why (at least one reason, in words)."""

    passed: bool
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> "Gate | None":
        """A gate from its JSON form; None stays None."""
        return None if record is None else cls(record["passed"], tuple(record["reasons"]))

    def to_dict(self) -> dict[str, Any]:
        """The gate as plain JSON values."""
        return {"passed": self.passed, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Evidence:
    """What a decision rests on.

    interest, creatives: the verdicts on the two models that the policy uses (creatives: None without photos).
    evaluation: the off-policy evaluation against the champion, in the JSON form of `adloom evaluate`.
    lift: the sums behind the anytime-valid bound of the lift and any evidence of harm (`GateEvidence.to_dict()`); None
    where the log carries no number. alpha: the error probability that the ledger gives this question.
    candidate, champion: digests of the two policies; champion is None where there is none yet. outlook: what would
    settle an abstention (`Outlook.to_dict()`); None where there is nothing to settle, or more impressions would not.
    """

    interest: Gate
    creatives: Gate | None
    evaluation: Mapping[str, Any]
    lift: Mapping[str, Any] | None
    alpha: float
    candidate: str
    champion: str | None
    outlook: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of the candidate policy, and why. `margin` and `lift` are clicks per impression."""

    action: Action
    reasons: tuple[str, ...]
    margin: float
    alpha: float  # of the whole ledger; `evidence.alpha` is this question's part
    evidence: Evidence

    def to_dict(self) -> dict[str, Any]:
        """The record: plain JSON values, with no ids, times or paths in it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Decision":
        """A decision from its record."""
        kept = record["evidence"]
        gates = {kind: Gate.of(kept[kind]) for kind in ("interest", "creatives")}
        evidence = Evidence(**{**kept, **gates})
        return cls(record["action"], tuple(record["reasons"]), record["margin"], record["alpha"], evidence)


def question_of(candidate: str, champion: str | None) -> str:
    """What the ledger knows this judgement by: a challenger against a baseline."""
    return f"{candidate[:16]} against {champion[:16] if champion else 'the logging policy'}"


def decide(evidence: Evidence, config: PromotionConfig) -> Decision:
    """The policy's gate: promote only when the log can be trusted and the lift's lower bound clears the margin.

    `keep`: the candidate is the champion already. `abstain`: the log cannot carry a judgement. `refuse`: it can, and
    the anytime-valid lower bound does not clear `config.margin`, or there is evidence of harm.
    """
    action, reasons = _judge(evidence, config)
    return Decision(action=action, reasons=reasons, margin=config.margin, alpha=config.alpha, evidence=evidence)


def _judge(evidence: Evidence, config: PromotionConfig) -> tuple[Action, tuple[str, ...]]:
    evaluation = evidence.evaluation
    if evidence.champion == evidence.candidate:
        return "keep", ("the candidate is the champion",)
    if evaluation["verdict"] != "trust" or evidence.lift is None:
        return "abstain", _at_own_alpha(evidence)
    against = "the logging policy" if evidence.champion is None else "the champion"
    lift = evaluation["lift"]
    gate = GateEvidence.from_dict(evidence.lift)
    passed, reasons = gate_reasons(gate, evidence.alpha, config.margin, Boundary.of(config))
    if not passed and not gate.harms:
        reasons += _patience(gate, lift["value"], evidence.alpha, config.margin)
    estimate = f"the lift over {against} is {lift['value']:+.5f} [{lift['ci_low']:+.5f}, {lift['ci_high']:+.5f}] clicks"
    return "promote" if passed else "refuse", (estimate, *reasons)


def _at_own_alpha(evidence: Evidence) -> tuple[str, ...]:
    """Evaluation's reasons; what would settle it is told at this question's error probability."""
    if evidence.outlook is None:
        return tuple(evidence.evaluation["reasons"])
    settles = Outlook.from_dict(evidence.outlook)
    said, due = settles.sentence(FIRST), settles.sentence(evidence.alpha)
    return tuple(due if reason == said else reason for reason in evidence.evaluation["reasons"])


def _patience(gate: GateEvidence, lift: float, alpha: float, margin: float) -> tuple[str, ...]:
    """How many impressions like these would carry the estimated `lift` above the margin, if it is the true one."""
    scaled = lift / gate.reward_scale, alpha, margin / gate.reward_scale
    needed = as_logged(gate).impressions(*scaled) if lift > margin else None
    if needed is None:
        return ()
    return (
        f"if the estimate is the truth, {needed:,} impressions like these ({needed / gate.impressions:.1f} times as "
        f"many) prove it with probability {POWER:.0%}",
    )


def page(decision: Decision) -> str:
    """The decision as Markdown for people."""
    evidence = decision.evidence
    rows = [("interest", evidence.interest), ("creatives", evidence.creatives)]
    lines = [f"# {decision.action}", "", *(f"- {reason}" for reason in decision.reasons), ""]
    lines += ["| model | gate | why |", "|---|---|---|"]
    for name, gate in rows:
        verdict = "none" if gate is None else "passed" if gate.passed else "refused"
        lines.append(f"| {name} | {verdict} | {'; '.join(gate.reasons) if gate else 'no photos'} |")
    if decision.action == "abstain" and evidence.outlook is not None:
        lines += _outlook_table(Outlook.from_dict(evidence.outlook), evidence.alpha)
    return "\n".join(lines) + "\n"


def _outlook_table(outlook: Outlook, alpha: float) -> list[str]:
    lines = ["", "## What would settle it", ""]
    lines += [f"Impressions that prove a lift of {outlook.relative_lift:+.0%} with probability {POWER:.0%}:", ""]
    lines += ["| explored uniformly | impressions |", "|---:|---:|"]
    needs = outlook.needs(alpha).items()
    return lines + [f"| {share:.0%} | {'never' if needed is None else f'{needed:,}'} |" for share, needed in needs]

"""The decision about a candidate policy, a pure function of the evidence, so it can be replayed from its record.

The forms of a policy share one error probability by Holm's procedure (Holm 1979): of m forms one has to pass at
alpha / m, then the rest share alpha among m - 1, and so on. So the probability that any useless form passes is at most
alpha.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from components.contract.escaping import markdown
from components.evaluation.gate.boundaries import Boundary
from components.evaluation.gate.evidence import GateEvidence, gate_reasons
from components.evaluation.gate.sample_size import FIRST_ALPHA, POWER, SampleSizes, current_option
from components.evaluation.rewards import REWARDS, Reward
from components.settings.sections import PromotionConfig

Action = Literal["promote", "refuse", "abstain", "keep", "preview"]
PASSED, REFUSED, ABSTAINED, NOT_ASKED = "passed", "refused", "abstained", "not asked"
UNCHARGED = (
    "the figures are a preview on the select slice: the ledger was not charged for a look at the judged rows. "
    "`adloom run` charges it and decides"
)
NO_ROWS = (
    "no impression is later than the training rows of both policies, so none can judge: run again with a longer log"
)
NO_FINAL_ROWS = (
    "no impression is later than the training rows of both policies and has a final reward, so none can judge: run "
    "again when the conversion window of more impressions has passed"
)


@dataclass(frozen=True)
class Gate:
    """Whether one model passed its gate, and why (at least one reason, in words)."""

    passed: bool
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> "Gate | None":
        """The gate from its JSON record; None stays None."""
        return None if record is None else cls(record["passed"], tuple(record["reasons"]))

    def to_dict(self) -> dict[str, Any]:
        """The gate as plain JSON values."""
        return {"passed": self.passed, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Evidence:
    """The evidence for a decision.

    interest, creatives: the verdicts on the two models that the policy uses (creatives: None without photos).
    new_creatives: whether the policy would show generated images. forms: the record of each form of the policy in
    evaluation.json, the preferred one first: `form` (its name), `logs` (assessments, the largest log first), `gate`
    (the record of GateEvidence; None if no number may be given) and `critical_findings`. question, alpha: the ledger's
    key of the question and its error probability; alpha is None if the ledger was not charged. candidate, champion:
    digests of the two policies; champion is None if there is none yet. reward: what both are judged by.
    """

    interest: Gate
    creatives: Gate | None
    new_creatives: bool
    forms: tuple[Mapping[str, Any], ...]
    question: str
    alpha: float | None
    candidate: str
    champion: str | None
    reward: Reward

    def record(self, form: str | None) -> Mapping[str, Any]:
        """The record of `form`; None: of the first one."""
        return next(record for record in self.forms if form in (None, record["form"]))


def largest_log(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A form's assessment on the log with most rows; None without rows."""
    return record["logs"][0] if record["logs"] else None


@dataclass(frozen=True)
class Verdict:
    """The gate's verdict on one form: passed, refused, abstained or not asked, and why."""

    form: str
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """The decision about the candidate policy, and why. `margin` and `lift` are in the reward's unit per impression.

    forms: the verdict on each; only those that passed are exported and may act. acts: the first of them, in which a
    promoted policy acts; None if none passed. margin, alpha, boundary, planned_impressions: the settings of the
    decision, with which it can be replayed from its evidence.
    """

    action: Action
    reasons: tuple[str, ...]
    margin: float
    alpha: float  # of the whole ledger; `evidence.alpha` is this question's part
    boundary: str
    planned_impressions: int | None
    forms: tuple[Verdict, ...]
    evidence: Evidence

    @property
    def acts(self) -> str | None:
        """The form in which the policy acts."""
        return next(iter(self.passed), None)

    @property
    def passed(self) -> tuple[str, ...]:
        """The forms that passed, in the order in which they were judged."""
        return tuple(verdict.form for verdict in self.forms if verdict.verdict == PASSED)

    @property
    def lift(self) -> Mapping[str, float] | None:
        """The estimated lift of the form that acts, or of the first one: value, ci_low, ci_high; None: not known."""
        log = largest_log(self.evidence.record(self.acts))
        return log and log["evaluation"]["lift"]

    def replays(self) -> bool:
        """Whether `decide` gives the same action and verdicts again; the words of the reasons may differ."""
        settings = {name: getattr(self, name) for name in ("margin", "alpha", "boundary", "planned_impressions")}
        again = decide(self.evidence, PromotionConfig(**settings))
        verdicts = [[(verdict.form, verdict.verdict) for verdict in decision.forms] for decision in (self, again)]
        return self.action == again.action and verdicts[0] == verdicts[1]

    def to_dict(self) -> dict[str, Any]:
        """The record: plain JSON values, without ids, times or paths."""
        return {**asdict(self), "acts": self.acts}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Decision":
        """The decision from its record; one from before rewards could be chosen is about clicks.

        KeyError, TypeError or ValueError if the record has another layout.
        """
        values = record["evidence"]
        gates = {kind: Gate.of(values[kind]) for kind in ("interest", "creatives")}
        reward = Reward(**values["reward"]) if "reward" in values else REWARDS["click"]
        evidence = Evidence(**{**values, **gates, "forms": tuple(values["forms"]), "reward": reward})
        forms = tuple(Verdict(form["form"], form["verdict"], tuple(form["reasons"])) for form in record["forms"])
        same = {name: record[name] for name in ("action", "margin", "alpha", "boundary", "planned_impressions")}
        return cls(**same, reasons=tuple(record["reasons"]), forms=forms, evidence=evidence)


def decide(evidence: Evidence, config: PromotionConfig) -> Decision:
    """The decision of the policy's gate: promote only if the log is trusted and the lift is above the margin.

    `keep`: the candidate is the champion already. `preview`: the ledger was not charged, so nothing is decided.
    `abstain`: no form can be judged on the log. `refuse`: some form can, and none has a lower bound above
    `config.margin` without evidence of harm, or a model that the policy uses failed its gate.
    """
    action, reasons, forms = _decide(evidence, config)
    settings = config.margin, config.alpha, config.boundary, config.planned_impressions
    return Decision(action, reasons, *settings, forms, evidence)


def _decide(evidence: Evidence, config: PromotionConfig) -> tuple[Action, tuple[str, ...], tuple[Verdict, ...]]:
    unasked = tuple(Verdict(record["form"], NOT_ASKED, ()) for record in evidence.forms)
    if evidence.champion == evidence.candidate:
        return "keep", ("the candidate is the champion",), unasked
    if evidence.alpha is None:
        return "preview", (UNCHARGED,), unasked
    forms, faults = _holm(evidence, config), failed_models(evidence)
    verdicts = {verdict.verdict for verdict in forms}
    if faults and verdicts != {ABSTAINED}:
        return "refuse", faults, unasked
    reasons = _reasons_once(forms)
    action: Action = "promote" if PASSED in verdicts else "refuse" if REFUSED in verdicts else "abstain"
    return action, (*reasons, *faults), forms


def _reasons_once(forms: tuple[Verdict, ...]) -> tuple[str, ...]:
    """Each reason once, after the names of the forms that it is about."""
    by_reason: dict[str, list[str]] = {}
    for verdict in forms:
        for reason in verdict.reasons:
            by_reason.setdefault(reason, []).append(verdict.form)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


def _holm(evidence: Evidence, config: PromotionConfig) -> tuple[Verdict, ...]:
    """The verdict on each form, in their order; in each round the forms that have not passed share alpha evenly."""
    passed: dict[str, Verdict] = {}
    while True:
        remaining = [record for record in evidence.forms if record["form"] not in passed]
        alpha = evidence.alpha / len(remaining)
        verdicts = {record["form"]: _verdict(record, evidence, config, alpha) for record in remaining}
        newly_passed = {form: verdict for form, verdict in verdicts.items() if verdict.verdict == PASSED}
        passed |= newly_passed
        if not newly_passed or len(passed) == len(evidence.forms):
            return tuple({**verdicts, **passed}[record["form"]] for record in evidence.forms)


def failed_models(evidence: Evidence) -> tuple[str, ...]:
    """The refusals of models that the policy uses, in words."""
    used = {"interest": evidence.interest, "creatives": evidence.creatives if evidence.new_creatives else None}
    return tuple(
        f"the {name} model, which the policy uses, did not pass its gate: {'; '.join(gate.reasons)}"
        for name, gate in used.items()
        if gate is not None and not gate.passed
    )


def _verdict(record: Mapping[str, Any], evidence: Evidence, config: PromotionConfig, alpha: float) -> Verdict:
    form, log = record["form"], largest_log(record)
    if log is None:
        return Verdict(form, ABSTAINED, (NO_FINAL_ROWS if evidence.reward.delayed else NO_ROWS,))
    evaluation = log["evaluation"]
    if evaluation["verdict"] != "trust" or record["gate"] is None:
        return Verdict(form, ABSTAINED, _critical_findings(record) or _reasons_at(log, alpha))
    baseline = "the logging policy" if evidence.champion is None else "the champion"
    lift, gate = evaluation["lift"], GateEvidence.from_dict(record["gate"])
    passed, reasons = gate_reasons(gate, alpha, config.margin, Boundary.of(config))
    if not passed and not gate.harms:
        reasons += _impressions_needed(gate, lift["value"], alpha, config.margin)
    interval = f"{lift['value']:+.5f} [{lift['ci_low']:+.5f}, {lift['ci_high']:+.5f}]"
    estimate = f"the lift over {baseline} is {interval} {evidence.reward.unit}"
    return Verdict(form, PASSED if passed else REFUSED, (estimate, *reasons))


def _reasons_at(log: Mapping[str, Any], alpha: float) -> tuple[str, ...]:
    """The evaluation's reasons, with the required sample size at error probability `alpha`."""
    reasons = log["evaluation"]["reasons"]
    sizes = _sample_sizes(log)
    if sizes is None:
        return tuple(reasons)
    at_first_alpha, at_alpha = sizes.sentence(FIRST_ALPHA), sizes.sentence(alpha)
    return tuple(at_alpha if reason == at_first_alpha else reason for reason in reasons)


def _sample_sizes(log: Mapping[str, Any]) -> SampleSizes | None:
    """The sample sizes in an assessment's record; `outlook` is an earlier name of the field."""
    record = log["sample_sizes"] if "sample_sizes" in log else log["outlook"]
    return None if record is None else SampleSizes.from_dict(record)


def _critical_findings(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The critical findings in a form's record; `broken` is an earlier name of the field."""
    return tuple(record["critical_findings"] if "critical_findings" in record else record["broken"])


def _impressions_needed(gate: GateEvidence, lift: float, alpha: float, margin: float) -> tuple[str, ...]:
    """One sentence: the impressions that would prove the estimated `lift`, if it is the true one; empty if none do."""
    scaled = lift / gate.reward_scale, alpha, margin / gate.reward_scale
    needed = current_option(gate).impressions(*scaled) if lift > margin else None
    if needed is None:
        return ()
    return (
        f"if the estimate is the truth, {needed:,} impressions like these ({needed / gate.impressions:.1f} times as "
        f"many) prove it with probability {POWER:.0%}",
    )


def page(decision: Decision) -> str:
    """The decision as Markdown."""
    evidence = decision.evidence
    lines = [f"# {decision.action}", "", *(f"- {markdown(reason)}" for reason in decision.reasons), ""]
    lines += ["| form of the policy | verdict |", "|---|---|"]
    lines += [f"| {verdict.form} | {verdict.verdict} |" for verdict in decision.forms]
    lines += ["", "| model | gate | why |", "|---|---|---|"]
    for name, gate in (("interest", evidence.interest), ("creatives", evidence.creatives)):
        verdict = "none" if gate is None else "passed" if gate.passed else "refused"
        why = markdown("; ".join(gate.reasons)) if gate else "no generators: see creatives.md"
        lines.append(f"| {name} | {verdict} | {why} |")
    log = largest_log(evidence.forms[0])
    sizes = None if log is None else _sample_sizes(log)
    if decision.action == "abstain" and sizes is not None:
        lines += _sample_size_table(sizes, evidence.alpha / len(evidence.forms))
    return "\n".join(lines) + "\n"


def _sample_size_table(sample_sizes: SampleSizes, alpha: float) -> list[str]:
    lines = ["", "## What would settle it", ""]
    lines += [f"Impressions that prove a lift of {sample_sizes.relative_lift:+.0%} with probability {POWER:.0%}:", ""]
    lines += ["| explored uniformly | impressions |", "|---:|---:|"]
    needed = sample_sizes.needed(alpha).items()
    return lines + [f"| {share:.0%} | {'never' if needed is None else f'{needed:,}'} |" for share, needed in needed]

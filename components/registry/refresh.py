"""Refreshes: a nightly refit of the champion's recipe acts without a new proof of superiority.

A promotion answers whether a *new* policy is better than the champion, from the ledger. A refit of the champion's own
recipe on newer data has another question: does the recipe lose more than `promotion.refresh_margin` of the champion's
value? All its nights answer it together (evaluation/gate/refresh_evidence.py), and nothing is charged to the ledger.
"""

from dataclasses import dataclass

from components.evaluation.gate.refresh_evidence import RefreshEvidence
from components.registry.alias_moves import CHAMPION
from components.registry.decision import Decision, failed_models
from components.registry.mlflow_store import Version, digest_of, version_of
from components.registry.promotion import Outcome, check_candidate, check_champion, complete_changes
from components.registry.refresh_records import ACTS, HELD, WITHDRAWN, RefreshState, record_refresh, refresh_state
from components.settings.sections import PromotionConfig


@dataclass(frozen=True)
class RefitNight:
    """What the impressions since a refit was made say of it.

    refit: its digest. rows, total, squares: number, sum and sum of squares of `refresh_values`. faults: why its log
    cannot be believed, or whom it harms; empty if nothing was found.
    """

    refit: str
    rows: int
    total: float
    squares: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refit:
    """Tonight's refit. decision: of its run, which charged nothing; its log ended at `until`, microseconds since 1970.

    form: in which the champion acts. night: of the previous refit; None: no new impressions, or the first refit.
    """

    version: Version
    decision: Decision
    until: int
    form: str
    night: RefitNight | None


def apply_refresh(client, name: str, refit: Refit, config: PromotionConfig) -> Outcome:
    """Let the refit act, or its champion, by all nights so far; recorded with the champion's version.

    Applying it twice changes nothing. UserError, without any change, if the files of the candidate or the champion are
    not those of `decision`.
    """
    with client.lock():
        complete_changes(client, name)
        candidate = refit.version
        check_candidate(candidate, refit.decision)
        champion = version_of(client, name, CHAMPION)
        check_champion(name, champion, refit.decision)
        before = refresh_state(champion)
        if before is not None and (before.refit, before.until) == (digest_of(candidate), refit.until):
            state = before
        else:
            state = _next_state(before, champion, refit, config)
        record_refresh(client, champion, state, candidate)
        told = f"version {candidate.number} is a refit of the champion, version {champion.number}, on newer data"
        for key, value in {"refresh": state.action, "refresh_of": str(champion.number)}.items():
            client.set_model_version_tag(name, str(candidate.number), key, value)
        reasons = (told, *state.reasons)
        client.set_model_version_tag(name, str(candidate.number), "reasons", "; ".join(reasons)[:4000])
        return Outcome(state.action, champion.number, candidate.number, reasons)


def _next_state(before: RefreshState | None, champion: Version, refit: Refit, config: PromotionConfig) -> RefreshState:
    night, reward = refit.night, refit.decision.evidence.reward
    evidence = RefreshEvidence(config.alpha, config.refresh_forgetting)
    margin, stopped = config.refresh_margin, before.stopped if before else None
    if before is not None and before.margin == margin and before.evidence.is_like(evidence):
        evidence = before.evidence
        if night is not None and night.refit == before.refit:
            evidence = evidence.after(night.rows, night.total, night.squares)
    faults = failed_models(refit.decision.evidence) + (night.faults if night else ())
    if stopped:
        faults = (f"refits of this champion were rolled back by {stopped}", *faults)
    acts = not faults and evidence.lower() > 0
    action = ACTS if acts else WITHDRAWN if before is not None and before.acts else HELD
    low, high = reward.range
    reasons = (*faults, _told(evidence, margin, high - low, reward.unit))
    packages = digest_of(champion), digest_of(refit.version)
    return RefreshState(*packages, refit.form, refit.until, action, margin, evidence, reasons, stopped)


def _told(evidence: RefreshEvidence, margin: float, scale: float, unit: str) -> str:
    if not evidence.rows:
        return f"its refits were scored on {evidence.nights} nights; they can act after 2"
    lower = evidence.lower() * scale
    return (
        f"over {evidence.nights} nights its refits earn at least {lower:+.6f} {unit} per impression more than "
        f"{1 - margin:.0%} of what the champion earns; they act above 0"
    )

"""What acts: the champion, or a refit of its recipe on newer data, by the champion's signed refresh records.

A refresh moves no alias of the champion: its evidence is kept with the champion's version, so a promotion or a rollback
ends it. The alias `refresh` shows people which refit acts; what counts is the last record.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from components.evaluation.gate.refresh_evidence import RefreshEvidence
from components.registry.alias_moves import CHAMPION
from components.registry.decision_records import forms_of
from components.registry.mlflow_store import Version, digest_of, find_version, version_of
from components.registry.signed_records import RecordKind, append_record, checked_record, record_names
from components.registry.unreadable_champion import reading_champion
from components.settings.errors import EarlierFormat

REFRESH = "refresh"  # alias of the refit that acts
ACTS, WITHDRAWN, HELD = "refresh", "withdraw", "hold"  # actions of a run that refits the champion
REFRESHES = RecordKind("refreshes", "refresh.json", "refresh", "refresh ")


@dataclass(frozen=True)
class RefreshState:
    """The refreshes of one champion after a night.

    champion, refit: digests of the packages; the refit is of this night and is scored on the rows of the next one.
    form: in which both are compared, and the refit acts: the champion's.
    until: the log's last impression when the refit was made, microseconds since 1970. action: refresh (the refit acts),
    withdraw (the champion acts again) or hold (the champion acts as before). margin: share of the champion's value that
    refits may lose. reasons: of the action. stopped: who rolled the refits back, and why; no later refit acts then.
    """

    champion: str
    refit: str
    form: str
    until: int
    action: str
    margin: float
    evidence: RefreshEvidence
    reasons: tuple[str, ...]
    stopped: str | None = None

    @property
    def acts(self) -> bool:
        """Whether the refit acts."""
        return self.action == ACTS

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "RefreshState":
        """The state from its record; KeyError or TypeError if the record has another layout."""
        fields = {**record, "reasons": tuple(record["reasons"])}
        return cls(**{**fields, "evidence": RefreshEvidence.from_dict(record["evidence"])})


@dataclass(frozen=True)
class Deployed:
    """The version that acts. forms: as `forms_of` gives them. is_refit: whether it is a refit of the champion."""

    version: Version
    forms: dict
    is_refit: bool


def refresh_state(champion: Version) -> RefreshState | None:
    """The last state of the champion's refreshes; None before the first.

    UserError if the record or its signature was altered; EarlierFormat if it has another release's layout.
    """
    names = record_names(champion, REFRESHES)
    if not names:
        return None
    record = checked_record(champion, REFRESHES, names[-1])
    try:
        state = RefreshState.of(record)
    except (KeyError, TypeError) as error:
        raise EarlierFormat(
            f"{champion.name} version {champion.number}: its refresh {names[-1]} has the layout of another release "
            f"({type(error).__name__}: {error})"
        ) from None
    return state if state.champion == digest_of(champion) else None


def record_refresh(client, champion: Version, state: RefreshState, refit: Version) -> None:
    """Record `state`, and show with the alias `refresh` which refit acts. The caller holds the lock.

    A server looks at the record when the alias changes, so a refit has the alias only while the record lets it act.
    """
    if not state.acts and version_of(client, champion.name, REFRESH) is not None:
        client.delete_registered_model_alias(champion.name, REFRESH)
    append_record(client, champion, REFRESHES, state.to_dict())
    if state.acts:
        client.set_registered_model_alias(champion.name, REFRESH, str(refit.number))


def stop_refreshes(client, champion: Version, why: str) -> Version | None:
    """Make the champion act again in place of its refit, now and later; the refit that acted, None if none did.

    The caller holds the lock.
    """
    state = refresh_state(champion)
    if state is None or not state.acts:
        return None
    refit = find_version(client, champion.name, state.refit)
    if refit is None:
        return None
    record_refresh(client, champion, replace(state, action=WITHDRAWN, reasons=(why,), stopped=why), refit)
    return refit


def deployed(client, name: str) -> Deployed | None:
    """The version of the policy `name` that acts, and its forms; None without a champion."""
    champion = version_of(client, name, CHAMPION)
    if champion is None:
        return None
    forms = forms_of(champion)
    with reading_champion(champion.name, champion.number, (EarlierFormat,)):
        state = refresh_state(champion)
    if state is None or not state.acts:
        return Deployed(champion, forms, is_refit=False)
    refit = find_version(client, name, state.refit)
    if refit is None:  # somebody deleted it
        return Deployed(champion, forms, is_refit=False)
    return Deployed(refit, {"acts": state.form, "forms": [state.form]}, is_refit=True)

"""Promotion and rollback: moves of `champion` and `challenger` in the registry, each with its recorded reason.

Every change holds the registry's lock and first completes interrupted changes (`complete_changes`). An alias moves only
if the champion is still the one that the decision was made against and the candidate's files are the judged ones.
`promote` and `rollback` do not rely on tags: they check the files and replay the decision from its signed evidence.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.contract.escaping import markdown
from components.evaluation.gate.ledger import share_of
from components.registry.alias_moves import CHALLENGER, CHAMPION, Move, commit, complete_move, history, model_tags
from components.registry.decision import Decision, Gate, page
from components.registry.decision_records import (
    VOUCHED,
    is_signed_record,
    last_decision,
    log_decision,
    log_record,
    read_decision,
    replayed,
    tags_of,
)
from components.registry.mlflow_store import (
    Version,
    checked_package,
    digest_of,
    ensure_model,
    sign_package,
    version_of,
    versions_of,
)
from components.registry.refresh_records import WITHDRAWN, stop_refreshes
from components.settings.errors import UserError

ROLLED_BACK = "rolled_back"  # tag of a version: why a person rolled it back
LIFTED = "rollback_lifted_by"  # tag of a version that was rolled back: who promoted one of the same recipe since
REJECTED = "rejected"  # tag of a version: why a person rejected it
SUPERSEDED = "superseded_by"  # tag of a version that passed and waited: the later one that replaced it
RECIPE = "recipe"  # tag of a policy's version: digest of the settings and code that made it
DESCRIBING = "describing"  # tag of the registered policy: the version whose decision is being written
QUESTION = "question-"  # prefix of tags of the registered policy: the questions of the ledger
MAX_REASON = 1_000  # characters


@dataclass(frozen=True)
class Outcome:
    """The result of a decision: the action, the version numbers of champion and candidate, and the reasons."""

    action: str
    champion: int | None
    candidate: int | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Who decides, and why; both are recorded with the version."""

    by: str
    reason: str

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise UserError("--by needs a name: it is recorded with the version")
        if len(self.reason) > MAX_REASON or len(self.by) > MAX_REASON:
            raise UserError(f"--reason and --by take up to {MAX_REASON:,} characters each")

    def tags(self, action: str) -> dict[str, str]:
        """The tags that record `action` of the person."""
        return {action: self.reason, f"{action}_by": self.by}


def complete_changes(client, name: str) -> Move | None:
    """Complete interrupted changes of the registered model `name`; the move among them. The caller holds the lock.

    If a version's decision was being written, its tags are written from the recorded decision.
    """
    number = model_tags(client, name).get(DESCRIBING)
    if number is not None:
        version = next((version for version in versions_of(client, name) if str(version.number) == number), None)
        decision = last_decision(version) if version else None
        if decision is not None:
            _describe(client, version, decision)
        client.delete_registered_model_tag(name, DESCRIBING)
    return complete_move(client, name)


def apply(client, name: str, candidate: Version, decision: Decision, approval: str = "auto") -> Outcome:
    """Record `decision` on the version `candidate` of the policy `name`, and move its aliases accordingly.

    With `approval` manual a passed candidate becomes the challenger and waits for `adloom promote`. So does, with any
    setting, a version that a person rolled back, or one of the same recipe. A challenger that passed and waits stays
    until a person decides, the champion changes, or a later one passes. UserError, without any change, if the
    candidate's files are not the judged ones, or the champion is no longer the one that the evaluation read.
    """
    with client.lock():
        completed = complete_changes(client, name)
        check_candidate(candidate, decision)
        champion = version_of(client, name, CHAMPION)
        if champion is not None and champion.number == candidate.number:
            if completed is not None and completed.champion == candidate.number:
                return Outcome("promote", champion.number, candidate.number, decision.reasons)
            return Outcome("keep", champion.number, candidate.number, ("the candidate is the champion",))
        check_champion(name, champion, decision)
        _check_charged(client, name, decision)
        waiting = _waiting(client, name, candidate)
        _record(client, candidate, decision)
        number = champion.number if champion else None
        rejection = _person_note(client, candidate, REJECTED, "was rejected")
        if decision.action != "promote" or rejection:
            action = "refuse" if decision.action == "promote" else decision.action
            notes = _place_refused(client, name, candidate, waiting, rejection)
            return Outcome(action, number, candidate.number, (*decision.reasons, *rejection, *notes))
        rollbacks = _rollback_notes(client, candidate)
        if approval == "auto" and not rollbacks:
            _check_files(candidate)
            before = history(client, name, champion)
            commit(client, name, Move(candidate.number, (*before, candidate.number)))
            return Outcome("promote", candidate.number, candidate.number, decision.reasons)
        notes = _place_waiting(client, name, candidate, waiting)
        reasons = (*decision.reasons, *rollbacks, *notes, "it waits for `adloom promote`")
        return Outcome("wait", number, candidate.number, reasons)


def _record(client, candidate: Version, decision: Decision) -> None:
    """Record `decision` and its tags; an interruption is completed by `complete_changes`."""
    client.set_registered_model_tag(candidate.name, DESCRIBING, str(candidate.number))
    log_decision(client, candidate, decision)
    _describe(client, candidate, decision)
    client.delete_registered_model_tag(candidate.name, DESCRIBING)


def promote(client, name: str, force: bool, reason: str | None, by: str) -> Outcome:
    """Make the challenger of `name` the champion by hand; only `force`, with a `reason`, overrules the gate.

    Who (`by`) and why are recorded in the version's tags. Earlier rollbacks of it, or of versions of the same recipe,
    no longer hold it back.
    """
    if force and not reason:
        raise UserError("--force needs --reason: it is recorded with the version")
    person = Person(by, reason or "approved by hand")
    with client.lock():
        completed = complete_changes(client, name)
        challenger = version_of(client, name, CHALLENGER)
        champion = version_of(client, name, CHAMPION)
        if challenger is None and completed is not None and _rolled_back_version(completed) is None:
            return Outcome("promote", champion.number, champion.number, ("the interrupted promotion is complete",))
        if challenger is None:
            raise UserError(f"{name}: there is no challenger to promote; `adloom run` proposes one")
        _check_files(challenger)
        decision = replayed(challenger)
        if not force:
            _check_passed(client, name, challenger, champion, decision)
        approval = person.tags("forced" if force else "approved")
        cleared = (ROLLED_BACK, f"{ROLLED_BACK}_by", REJECTED, f"{REJECTED}_by", SUPERSEDED)
        tags = {str(challenger.number): {**approval, **dict.fromkeys(cleared)}}
        for version in _rolled_back_like(client, challenger):
            if version.number != challenger.number:
                tags[str(version.number)] = {LIFTED: by}
        before = history(client, name, champion)
        commit(client, name, Move(challenger.number, (*before, challenger.number), tags))
        return Outcome("promote", challenger.number, challenger.number, (person.reason,))


def reject(client, name: str, reason: str | None, by: str) -> Outcome:
    """Reject the challenger of `name`: it loses the alias, and no run proposes this version again."""
    person = Person(by, reason or "by hand")
    with client.lock():
        complete_changes(client, name)
        challenger, champion = version_of(client, name, CHALLENGER), version_of(client, name, CHAMPION)
        if challenger is None:
            raise UserError(f"{name}: there is no challenger to reject")
        for key, value in person.tags(REJECTED).items():
            client.set_model_version_tag(name, str(challenger.number), key, value)
        client.delete_registered_model_alias(name, CHALLENGER)
        return Outcome("reject", champion.number if champion else None, challenger.number, (person.reason,))


def rollback(client, name: str, reason: str | None, by: str) -> Outcome:
    """Make the previous champion of `name` champion again; who and why are recorded.

    Where a refit of the champion acts, it is the one that is rolled back: the champion acts again, and no later refit
    of it does. Another rollback goes one champion further back, down to the first. Nothing moves if the files,
    signature or decision of the previous champion are wrong. Only `promote`, not a run, can make the version that was
    rolled back, or one of the same recipe, champion again.
    """
    person = Person(by, reason or "by hand")
    with client.lock():
        completed = complete_changes(client, name)
        champion = version_of(client, name, CHAMPION)
        if champion is None:
            raise UserError(f"{name}: there is no champion to roll back")
        if completed is not None and _rolled_back_version(completed) is not None:  # the repeated command goes back once
            reasons = ("the interrupted rollback is complete",)
            return Outcome("rollback", champion.number, _rolled_back_version(completed), reasons)
        refit = stop_refreshes(client, champion, f"{by}: {person.reason}")
        if refit is not None:
            return Outcome(WITHDRAWN, champion.number, refit.number, (person.reason,))
        known = {version.number: version for version in versions_of(client, name)}
        before = [number for number in history(client, name, champion)[:-1] if number in known]  # without deleted ones
        while before and before[-1] == champion.number:
            before.pop()
        if not before:
            raise UserError(f"{name}: version {champion.number} is the first champion; there is none to go back to")
        previous = known[before[-1]]
        _check_files(previous)
        replayed(previous)
        tags = {str(champion.number): {**person.tags(ROLLED_BACK), LIFTED: None}}
        commit(client, name, Move(previous.number, tuple(before), tags))
        return Outcome("rollback", previous.number, champion.number, (person.reason,))


def _rolled_back_version(move: Move) -> int | None:
    """The version that `move` rolls back; None if the move is no rollback."""
    return next((int(number) for number, tags in move.tags.items() if tags.get(ROLLED_BACK)), None)


def sign_champion(client, name: str, reason: str, by: str) -> Version | None:
    """Sign the champion of `name`, which was registered before packages were signed; None if there is none.

    Its files must match its digest. If its decision was not recorded either, a record of who vouches replaces it.
    """
    person = Person(by, reason)
    with client.lock():
        complete_changes(client, name)
        champion = version_of(client, name, CHAMPION)
        if champion is None:
            return None
        sign_package(client, champion)
        if "decision" in champion.tags and not is_signed_record(champion):
            log_record(client, champion, {VOUCHED: by, "reason": reason, "candidate": digest_of(champion)})
        for key, value in person.tags("signed").items():
            client.set_model_version_tag(name, str(champion.number), key, value)
        return champion


def apply_gate(client, name: str, version: Version, gate: Gate) -> None:
    """Record the verdict on an interest or creatives model; a passed one becomes that model's champion."""
    with client.lock():
        complete_changes(client, name)
        number = str(version.number)
        verdict = "passed" if gate.passed else "refused"
        client.set_model_version_tag(name, number, "gate", verdict)
        reasons = [f"- {markdown(reason)}" for reason in gate.reasons]
        client.update_model_version(name, number, "\n".join([f"# {verdict}", "", *reasons]))
        client.set_model_version_tag(name, number, "reasons", "; ".join(gate.reasons)[:4000])
        champion = version_of(client, name, CHAMPION)
        if gate.passed:
            commit(client, name, Move(version.number))
        elif champion is None or champion.number != version.number:
            client.set_registered_model_alias(name, CHALLENGER, number)


def charge(client, name: str, question: str) -> tuple[str, ...]:
    """Enter `question` into the ledger of the policy `name`, unless it is there; the questions of the ledger, in order.

    This happens before the judged rows are looked at and is never undone: every look costs.
    """
    with client.lock():
        ensure_model(client, name)
        complete_changes(client, name)
        ledger = questions(client, name)
        if question in ledger:
            return ledger
        client.set_registered_model_tag(name, f"{QUESTION}{len(ledger):06d}", question)
        return (*ledger, question)


def questions(client, name: str) -> tuple[str, ...]:
    """Every question in the ledger of the policy `name`, in order."""
    tags = model_tags(client, name)
    return tuple(tags[key] for key in sorted(key for key in tags if key.startswith(QUESTION)))


def _waiting(client, name: str, candidate: Version) -> Version | None:
    """Another version than `candidate` that passed against the present champion and waits for a person."""
    challenger, champion = version_of(client, name, CHALLENGER), version_of(client, name, CHAMPION)
    if challenger is None or challenger.number == candidate.number or not is_signed_record(challenger):
        return None
    try:
        decision = read_decision(challenger)
    except UserError as error:
        raise UserError(f"{error}. `adloom reject` removes it as the challenger") from None
    current = digest_of(champion) if champion else None
    passed = decision is not None and decision.action == "promote" and decision.evidence.champion == current
    return challenger if passed else None


def _place_refused(
    client, name: str, candidate: Version, waiting: Version | None, rejection: Sequence[str]
) -> tuple[str, ...]:
    """Make a refused candidate the challenger unless another one waits; a note on the one that waits, in words."""
    if waiting is not None:
        return (f"version {waiting.number}, which passed, stays the challenger and waits for `adloom promote`",)
    if not rejection:
        client.set_registered_model_alias(name, CHALLENGER, str(candidate.number))
    return ()


def _place_waiting(client, name: str, candidate: Version, waiting: Version | None) -> tuple[str, ...]:
    """Make a passed candidate the challenger, and record it on the version that it replaces; a note on that one."""
    if waiting is not None:
        client.set_model_version_tag(name, str(waiting.number), SUPERSEDED, str(candidate.number))
    client.set_registered_model_alias(name, CHALLENGER, str(candidate.number))
    return () if waiting is None else (f"it replaces version {waiting.number}, which waited",)


def _person_note(client, version: Version, action: str, words: str) -> tuple[str, ...]:
    """A sentence on a person's `action` on the version; its tags are read anew, because a person may change them."""
    tags = client.get_model_version(version.name, str(version.number)).tags
    if action not in tags:
        return ()
    return (f"version {version.number} {words} by {tags.get(f'{action}_by', 'somebody')}: {tags[action]}",)


def _rollback_notes(client, candidate: Version) -> tuple[str, ...]:
    """Sentences on rollbacks of the version, or of versions of the same recipe."""
    notes: tuple[str, ...] = ()
    for version in _rolled_back_like(client, candidate):
        notes += _person_note(client, version, ROLLED_BACK, "was rolled back")
        if version.number != candidate.number:
            notes += (f"version {candidate.number} is made by the same settings and code as version {version.number}",)
    return notes


def _rolled_back_like(client, version: Version) -> list[Version]:
    """Versions that were rolled back and not promoted since: `version` itself, and those of its recipe."""
    rolled_back = [
        other for other in versions_of(client, version.name) if ROLLED_BACK in other.tags and LIFTED not in other.tags
    ]
    recipe = version.tags.get(RECIPE)
    return [
        other
        for other in rolled_back
        if other.number == version.number or (recipe and other.tags.get(RECIPE) == recipe)
    ]


def _check_files(version: Version) -> None:
    """UserError unless the version's files can be read, have the registered digest and are signed."""
    with tempfile.TemporaryDirectory(prefix="adloom-check-") as scratch:
        checked_package(version, Path(scratch))


def _check_passed(client, name: str, challenger: Version, champion: Version | None, decision: Decision | None) -> None:
    """UserError unless `decision` passed the challenger against the present champion and the ledger was charged."""
    if decision is None or decision.action != "promote":
        why = "; ".join(decision.reasons) if decision else "it was not judged"
        raise UserError(
            f"{name} version {challenger.number} did not pass the gate: {why}. "
            "To overrule the gate, use --force --reason TEXT; both are recorded"
        )
    if decision.evidence.champion != (digest_of(champion) if champion else None):
        raise UserError(f"{name}: the champion has changed since version {challenger.number} was judged; run again")
    _check_charged(client, name, decision)


def check_candidate(candidate: Version, decision: Decision) -> None:
    """UserError unless `decision` is about the registered files of `candidate`."""
    if digest_of(candidate) != decision.evidence.candidate:
        raise UserError(
            f"{candidate.name} version {candidate.number}: its files are not the judged ones "
            f"({digest_of(candidate)[:16]} is registered, {decision.evidence.candidate[:16]} was judged); nothing was "
            "moved. Run again"
        )


def _check_charged(client, name: str, decision: Decision) -> None:
    """UserError unless the registry's ledger was charged for the decision's question, with its error probability."""
    ledger, evidence = questions(client, name), decision.evidence
    place = ledger.index(evidence.question) if evidence.question in ledger else None
    if place is None or evidence.alpha != share_of(decision.alpha, place):
        raise UserError(
            f"{name}: the registry's ledger lacks this decision's question at this error probability; nothing "
            "was moved. Run again"
        )


def check_champion(name: str, champion: Version | None, decision: Decision) -> None:
    """UserError unless `champion` is the one that `decision` was made against."""
    if (digest_of(champion) if champion else None) != decision.evidence.champion:
        raise UserError(
            f"{name}: the champion changed while this candidate was being judged; nothing was moved. Run again"
        )


def _describe(client, candidate: Version, decision: Decision) -> None:
    for key, value in tags_of(decision).items():
        client.set_model_version_tag(candidate.name, str(candidate.number), key, value)
    client.update_model_version(candidate.name, str(candidate.number), page(decision))

"""Decision -> registry: moves `champion` and `challenger`, keeps the reason with the version, and can go back.

Every change happens under the registry's lock, begins by ending what was cut off (`mend`), and moves an alias only if
the champion is still the one that the decision was made against and the candidate's files are the judged ones.
`promote` and `rollback` believe no tag: they check the files and make the decision again from its signed evidence.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import UserError
from components.escaping import markdown
from components.evaluation.ledger import share_of
from components.promotion.decision import Decision, Gate, page
from components.promotion.moves import CHALLENGER, CHAMPION, Move, commit, history, model_tags, recover
from components.promotion.record import (
    VOUCHED,
    is_signed_record,
    last_decision,
    log_decision,
    log_record,
    read_decision,
    replayed,
    tags_of,
)
from components.tracking import (
    Version,
    checked_package,
    digest_of,
    ensure_model,
    sign_package,
    version_of,
    versions_of,
)

ROLLED_BACK = "rolled_back"  # tag of a version: why a person took the champion's place from it
LIFTED = "rollback_lifted_by"  # tag of a version that was rolled back: who promoted one like it since
REJECTED = "rejected"  # tag of a version: why a person turned it down
SUPERSEDED = "superseded_by"  # tag of a version that passed and waited: the later one that took its place
RECIPE = "recipe"  # tag of a policy's version: digest of the settings and code that it was made by
DESCRIBING = "describing"  # tag of the registered policy: the version that a decision is being written to
QUESTION = "question-"  # tags of the registered policy: the ledger of all that was ever judged
LONGEST_REASON = 1_000  # characters


@dataclass(frozen=True)
class Outcome:
    """What the registry shows after a decision: the champion's version number (None: there is none) and the reason."""

    action: str
    champion: int | None
    candidate: int | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Who decides, and why; both are kept with the version."""

    by: str
    reason: str

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise UserError("--by needs a name: it is kept with the version")
        if len(self.reason) > LONGEST_REASON or len(self.by) > LONGEST_REASON:
            raise UserError(f"--reason and --by take up to {LONGEST_REASON:,} characters each")

    def tags(self, deed: str) -> dict[str, str]:
        """The tags that say what the person did."""
        return {deed: self.reason, f"{deed}_by": self.by}


def mend(client, name: str) -> Move | None:
    """End what was cut off in the registered model `name`, and return the move among it; the caller holds the lock.

    Tags of a version whose decision was being written are written from its kept decision.
    """
    number = model_tags(client, name).get(DESCRIBING)
    if number is not None:
        version = next((found for found in versions_of(client, name) if str(found.number) == number), None)
        decision = last_decision(version) if version else None
        if decision is not None:
            _describe(client, version, decision)
        client.delete_registered_model_tag(name, DESCRIBING)
    return recover(client, name)


def apply(client, name: str, candidate: Version, decision: Decision, approval: str = "auto") -> Outcome:
    """Record `decision` on the version `candidate` of the policy `name`, and move its aliases accordingly.

    With `approval` manual a passed candidate becomes the challenger and waits for `adloom promote`. So does, whatever
    the setting, one that a person rolled back or that was made by the same recipe: the person knew more than the
    evidence. A challenger that passed and waits keeps its place until a person decides, the champion changes, or a
    later one passes. Raises UserError, changing nothing, when the candidate's files are not those that were judged, or
    the champion is no longer the one that evaluation read.
    """
    with client.lock():
        ended = mend(client, name)
        _check_candidate(candidate, decision)
        champion = version_of(client, name, CHAMPION)
        if champion is not None and champion.number == candidate.number:
            if ended is not None and ended.champion == candidate.number:
                return Outcome("promote", champion.number, candidate.number, decision.reasons)
            return Outcome("keep", champion.number, candidate.number, ("the candidate is the champion",))
        _check_champion(name, champion, decision)
        _check_charged(client, name, decision)
        waiting = _waiting(client, name, candidate)
        client.set_registered_model_tag(name, DESCRIBING, str(candidate.number))
        log_decision(client, candidate, decision)
        _describe(client, candidate, decision)
        client.delete_registered_model_tag(name, DESCRIBING)
        number = champion.number if champion else None
        rejection = _said(client, candidate, REJECTED, "was rejected")
        if decision.action != "promote" or rejection:
            action = "refuse" if decision.action == "promote" else decision.action
            kept = _place_refused(client, name, candidate, waiting, rejection)
            return Outcome(action, number, candidate.number, (*decision.reasons, *rejection, *kept))
        objection = _objection(client, candidate)
        if approval == "auto" and not objection:
            _check_files(candidate)
            before = history(client, name, champion)
            commit(client, name, Move(candidate.number, (*before, candidate.number)))
            return Outcome("promote", candidate.number, candidate.number, decision.reasons)
        taken = _place_waiting(client, name, candidate, waiting)
        reasons = (*decision.reasons, *objection, *taken, "it waits for `adloom promote`")
        return Outcome("wait", number, candidate.number, reasons)


def promote(client, name: str, force: bool, reason: str | None, by: str) -> Outcome:
    """Make the challenger of `name` the champion by hand; only `force`, with a `reason`, overrules the gate.

    Who (`by`) and why stand in the version's tags from then on. An earlier rollback of it, or of one made by the same
    recipe, holds nothing back any more.
    """
    if force and not reason:
        raise UserError("--force needs --reason: it is kept with the version")
    person = Person(by, reason or "approved by hand")
    with client.lock():
        ended = mend(client, name)
        challenger = version_of(client, name, CHALLENGER)
        champion = version_of(client, name, CHAMPION)
        if challenger is None and ended is not None and _loser(ended) is None:
            return Outcome("promote", champion.number, champion.number, ("the promotion that was cut off is complete",))
        if challenger is None:
            raise UserError(f"{name}: there is no challenger to promote; `adloom run` proposes one")
        _check_files(challenger)
        decision = replayed(challenger)
        if not force:
            _check_passed(client, name, challenger, champion, decision)
        deed = person.tags("forced" if force else "approved")
        cleared = (ROLLED_BACK, f"{ROLLED_BACK}_by", REJECTED, f"{REJECTED}_by", SUPERSEDED)
        tags = {str(challenger.number): {**deed, **dict.fromkeys(cleared)}}
        for twin in _held_back(client, challenger):
            if twin.number != challenger.number:
                tags[str(twin.number)] = {LIFTED: by}
        before = history(client, name, champion)
        commit(client, name, Move(challenger.number, (*before, challenger.number), tags))
        return Outcome("promote", challenger.number, challenger.number, (person.reason,))


def reject(client, name: str, reason: str | None, by: str) -> Outcome:
    """Turn the challenger of `name` down: it gives up its place, and no run proposes this very version again."""
    person = Person(by, reason or "by hand")
    with client.lock():
        mend(client, name)
        challenger, champion = version_of(client, name, CHALLENGER), version_of(client, name, CHAMPION)
        if challenger is None:
            raise UserError(f"{name}: there is no challenger to reject")
        for key, value in person.tags(REJECTED).items():
            client.set_model_version_tag(name, str(challenger.number), key, value)
        client.delete_registered_model_alias(name, CHALLENGER)
        return Outcome("reject", champion.number if champion else None, challenger.number, (person.reason,))


def rollback(client, name: str, reason: str | None, by: str) -> Outcome:
    """Give `champion` back to the version that held it before the present one; who and why are kept.

    Another rollback goes one champion further back, down to the first. Nothing moves unless the files, signature and
    decision of the version that is to come back are right. The version that loses the place, and any made by the same
    recipe, gets it again by `promote` alone, not by a run.
    """
    person = Person(by, reason or "by hand")
    with client.lock():
        ended = mend(client, name)
        champion = version_of(client, name, CHAMPION)
        if champion is None:
            raise UserError(f"{name}: there is no champion to roll back")
        if ended is not None and _loser(ended) is not None:  # the same command, typed again, goes back once
            done = ("the rollback that was cut off is complete",)
            return Outcome("rollback", champion.number, _loser(ended), done)
        known = {version.number: version for version in versions_of(client, name)}
        before = [number for number in history(client, name, champion)[:-1] if number in known]  # others were deleted
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


def _loser(move: Move) -> int | None:
    """The version that a rollback takes the champion's place from; None where the move is no rollback."""
    return next((int(number) for number, tags in move.tags.items() if tags.get(ROLLED_BACK)), None)


def vouch(client, name: str, reason: str, by: str) -> Version | None:
    """Sign the champion of `name`, which was registered before packages were signed; None where there is none.

    Its files have to be those of its digest. A decision, which was not kept either, is replaced by the person's word.
    """
    person = Person(by, reason)
    with client.lock():
        mend(client, name)
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
        mend(client, name)
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
    """Enter `question` into the ledger of the policy `name` unless it is there; the whole ledger, in order.

    This comes before the judged rows are looked at, and is never taken back: a look costs, whatever comes of it.
    """
    with client.lock():
        ensure_model(client, name)
        mend(client, name)
        asked = questions(client, name)
        if question in asked:
            return asked
        client.set_registered_model_tag(name, f"{QUESTION}{len(asked):06d}", question)
        return (*asked, question)


def questions(client, name: str) -> tuple[str, ...]:
    """Every question that the gate of the policy `name` was asked, in order: what the ledger is made of."""
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
        raise UserError(f"{error}. `adloom reject` takes it out of the way") from None
    current = digest_of(champion) if champion else None
    passed = decision is not None and decision.action == "promote" and decision.evidence.champion == current
    return challenger if passed else None


def _place_refused(
    client, name: str, candidate: Version, waiting: Version | None, rejection: Sequence[str]
) -> tuple[str, ...]:
    """A refused candidate is shown as the challenger where no other waits; what keeps it from that, in words."""
    if waiting is not None:
        return (f"version {waiting.number}, which passed, stays the challenger and waits for `adloom promote`",)
    if not rejection:
        client.set_registered_model_alias(name, CHALLENGER, str(candidate.number))
    return ()


def _place_waiting(client, name: str, candidate: Version, waiting: Version | None) -> tuple[str, ...]:
    """A candidate that passed takes the place of the one that waited, which is told so."""
    if waiting is not None:
        client.set_model_version_tag(name, str(waiting.number), SUPERSEDED, str(candidate.number))
    client.set_registered_model_alias(name, CHALLENGER, str(candidate.number))
    return () if waiting is None else (f"it takes the place of version {waiting.number}, which waited",)


def _said(client, version: Version, deed: str, words: str) -> tuple[str, ...]:
    """What a person said of the version; read anew, for they may have done so since it was registered."""
    tags = client.get_model_version(version.name, str(version.number)).tags
    if deed not in tags:
        return ()
    return (f"version {version.number} {words} by {tags.get(f'{deed}_by', 'somebody')}: {tags[deed]}",)


def _objection(client, candidate: Version) -> tuple[str, ...]:
    """What persons who rolled the version back, or one made by the same recipe, said."""
    said: tuple[str, ...] = ()
    for held in _held_back(client, candidate):
        said += _said(client, held, ROLLED_BACK, "was rolled back")
        if held.number != candidate.number:
            said += (f"version {candidate.number} is made by the same settings and code as version {held.number}",)
    return said


def _held_back(client, version: Version) -> list[Version]:
    """Versions like `version`, itself or of its recipe, that were rolled back and not promoted since."""
    found = [held for held in versions_of(client, version.name) if ROLLED_BACK in held.tags and LIFTED not in held.tags]
    recipe = version.tags.get(RECIPE)
    return [held for held in found if held.number == version.number or (recipe and held.tags.get(RECIPE) == recipe)]


def _check_files(version: Version) -> None:
    """UserError unless the version's files are there, have the registered digest and are signed."""
    with tempfile.TemporaryDirectory(prefix="adloom-check-") as scratch:
        checked_package(version, Path(scratch))


def _check_passed(client, name: str, challenger: Version, champion: Version | None, decision: Decision | None) -> None:
    """UserError unless `decision` passed the challenger, against the present champion, at a price that was charged."""
    if decision is None or decision.action != "promote":
        why = "; ".join(decision.reasons) if decision else "it was not judged"
        raise UserError(
            f"{name} version {challenger.number} did not pass the gate: {why}. "
            "Overrule it with --force --reason TEXT, which is recorded"
        )
    if decision.evidence.champion != (digest_of(champion) if champion else None):
        raise UserError(f"{name}: the champion has changed since version {challenger.number} was judged; run again")
    _check_charged(client, name, decision)


def _check_candidate(candidate: Version, decision: Decision) -> None:
    if digest_of(candidate) != decision.evidence.candidate:
        raise UserError(
            f"{candidate.name} version {candidate.number}: its files are not those that were judged "
            f"({digest_of(candidate)[:16]} is registered, {decision.evidence.candidate[:16]} was judged); nothing was "
            "moved. Run again"
        )


def _check_charged(client, name: str, decision: Decision) -> None:
    """UserError unless the registry's ledger was charged for the decision's question, with its error probability."""
    asked, evidence = questions(client, name), decision.evidence
    place = asked.index(evidence.question) if evidence.question in asked else None
    if place is None or evidence.alpha != share_of(decision.alpha, place):
        raise UserError(
            f"{name}: the registry's ledger does not hold this decision's question at this error probability; nothing "
            "was moved. Run again"
        )


def _check_champion(name: str, champion: Version | None, decision: Decision) -> None:
    if (digest_of(champion) if champion else None) != decision.evidence.champion:
        raise UserError(
            f"{name}: the champion changed while this candidate was being judged; nothing was moved. Run again"
        )


def _describe(client, candidate: Version, decision: Decision) -> None:
    for key, value in tags_of(decision).items():
        client.set_model_version_tag(candidate.name, str(candidate.number), key, value)
    client.update_model_version(candidate.name, str(candidate.number), page(decision))

"""Decision -> registry: moves `champion` and `challenger`, keeps the reason with the version, and can go back.

Every change happens under the store's lock and only if the champion is still the one that the decision was made
against.
"""

from dataclasses import dataclass

from components.errors import UserError
from components.escaping import filter_by_name, markdown
from components.evaluation.ledger import share_of
from components.lock import store_lock
from components.promotion.decision import Decision, Gate, page
from components.tracking import Version, ensure_model, version_of

CHAMPION = "champion"
CHALLENGER = "challenger"
ROLLED_BACK = "rolled_back"  # tag of a version: why a person took the champion's place from it
QUESTION = "question-"  # tags of the registered policy: the ledger of all that was ever judged


@dataclass(frozen=True)
class Outcome:
    """What the registry shows after a decision: the champion's version number (None: there is none) and the reason."""

    action: str
    champion: int | None
    candidate: int | None
    reasons: tuple[str, ...]


def apply(client, name: str, candidate: Version, decision: Decision, approval: str = "auto") -> Outcome:
    """Record `decision` on the version `candidate` of the policy `name`, and move its aliases accordingly.

    With `approval` manual a passed candidate becomes the challenger and waits for `adloom promote`. So does one that a
    person rolled back, whatever the setting: the evidence has not changed, and they knew more than it.
    Raises UserError, changing nothing, when the champion is no longer the one that evaluation read.
    """
    with store_lock():
        champion = version_of(client, name, CHAMPION)
        if champion is not None and champion.number == candidate.number:
            return Outcome("keep", champion.number, candidate.number, ("the candidate is the champion",))
        _check_champion(name, champion, decision)
        _check_charged(client, name, decision)
        _record(client, candidate, decision)
        objection = _objection(client, candidate)
        if decision.action == "promote" and approval == "auto" and not objection:
            _move(client, name, candidate, champion)
            return Outcome("promote", candidate.number, candidate.number, decision.reasons)
        client.set_registered_model_alias(name, CHALLENGER, str(candidate.number))
        waiting = (*objection, "it waits for `adloom promote`") if decision.action == "promote" else ()
        action = "wait" if waiting else decision.action
        return Outcome(action, champion.number if champion else None, candidate.number, (*decision.reasons, *waiting))


def promote(client, name: str, force: bool, reason: str | None, by: str) -> Outcome:
    """Make the challenger of `name` the champion by hand; only `force`, with a `reason`, overrules the gate.

    Who (`by`) and why stand in the version's tags from then on, and an earlier rollback no longer does.
    """
    if force and not reason:
        raise UserError("--force needs --reason: it is kept with the version")
    with store_lock():
        challenger = version_of(client, name, CHALLENGER)
        champion = version_of(client, name, CHAMPION)
        if challenger is None:
            raise UserError(f"{name}: there is no challenger to promote; `adloom run` proposes one")
        if challenger.tags.get("decision") != "promote" and not force:
            why = challenger.tags.get("reasons", "it was not judged")
            raise UserError(
                f"{name} version {challenger.number} did not pass the gate: {why}. "
                "Overrule it with --force --reason TEXT, which is recorded"
            )
        judged_against = challenger.tags.get("against", "none")
        current = champion.tags["package_digest"] if champion else "none"
        if judged_against != current and not force:
            raise UserError(f"{name}: the champion has changed since version {challenger.number} was judged; run again")
        text = reason or "approved by hand"
        _sign(client, challenger, "forced" if force else "approved", text, by)
        for tag in (ROLLED_BACK, f"{ROLLED_BACK}_by"):
            if tag in challenger.tags:
                client.delete_model_version_tag(name, str(challenger.number), tag)
        _move(client, name, challenger, champion)
        return Outcome("promote", challenger.number, challenger.number, (text,))


def rollback(client, name: str, reason: str | None, by: str) -> Outcome:
    """Give `champion` back to the version that held it before the present one; who and why are kept.

    The version that loses the place gets it again by `promote` alone, not by a run.
    """
    with store_lock():
        champion = version_of(client, name, CHAMPION)
        if champion is None:
            raise UserError(f"{name}: there is no champion to roll back")
        previous = champion.tags.get("previous_champion")
        if previous is None:
            raise UserError(f"{name}: version {champion.number} is the first champion; there is none to go back to")
        _sign(client, champion, ROLLED_BACK, reason or "by hand", by)
        client.set_registered_model_alias(name, CHAMPION, previous)
        return Outcome("rollback", int(previous), champion.number, (reason or "by hand",))


def apply_gate(client, name: str, version: Version, gate: Gate) -> None:
    """Record the verdict on an interest or creatives model; a passed one becomes that model's champion."""
    with store_lock():
        number = str(version.number)
        verdict = "passed" if gate.passed else "refused"
        client.set_model_version_tag(name, number, "gate", verdict)
        reasons = [f"- {markdown(reason)}" for reason in gate.reasons]
        client.update_model_version(name, number, "\n".join([f"# {verdict}", "", *reasons]))
        client.set_model_version_tag(name, number, "reasons", "; ".join(gate.reasons)[:4000])
        client.set_registered_model_alias(name, CHAMPION if gate.passed else CHALLENGER, number)


def charge(client, name: str, question: str) -> tuple[str, ...]:
    """Enter `question` into the ledger of the policy `name` unless it is there; the whole ledger, in order.

    This comes before the judged rows are looked at, and is never taken back: a look costs, whatever comes of it.
    """
    with store_lock():
        ensure_model(client, name)
        asked = questions(client, name)
        if question in asked:
            return asked
        client.set_registered_model_tag(name, f"{QUESTION}{len(asked):06d}", question)
        return (*asked, question)


def questions(client, name: str) -> tuple[str, ...]:
    """Every question that the gate of the policy `name` was asked, in order: what the ledger is made of."""
    found = client.search_registered_models(filter_by_name(name))
    tags = found[0].tags if found else {}
    return tuple(tags[key] for key in sorted(key for key in tags if key.startswith(QUESTION)))


def _sign(client, version: Version, deed: str, reason: str, by: str) -> None:
    if not by.strip():
        raise UserError("--by needs a name: it is kept with the version")
    client.set_model_version_tag(version.name, str(version.number), deed, reason)
    client.set_model_version_tag(version.name, str(version.number), f"{deed}_by", by)


def _objection(client, candidate: Version) -> tuple[str, ...]:
    """What a person who rolled the version back said; read anew, for they may have done so since it was registered."""
    tags = client.get_model_version(candidate.name, str(candidate.number)).tags
    if ROLLED_BACK not in tags:
        return ()
    by = tags.get(f"{ROLLED_BACK}_by", "somebody")
    return (f"version {candidate.number} was rolled back by {by}: {tags[ROLLED_BACK]}",)


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
    current = champion.tags["package_digest"] if champion else None
    if current != decision.evidence.champion:
        raise UserError(
            f"{name}: the champion changed while this candidate was being judged; nothing was moved. Run again"
        )


def _record(client, candidate: Version, decision: Decision) -> None:
    lift = decision.lift or {}
    tags = {
        "decision": decision.action,
        "reasons": "; ".join(decision.reasons)[:4000],
        "against": decision.evidence.champion or "none",
        "margin": f"{decision.margin:g}",
        "acts": decision.acts or "none",
        "forms": ",".join(decision.passed) or "none",
        **{f"lift_{key}": f"{value:.9f}" for key, value in lift.items()},
    }
    for key, value in tags.items():
        client.set_model_version_tag(candidate.name, str(candidate.number), key, value)
    client.update_model_version(candidate.name, str(candidate.number), page(decision))


def _move(client, name: str, candidate: Version, champion: Version | None) -> None:
    if champion is not None and champion.number != candidate.number:
        client.set_model_version_tag(name, str(candidate.number), "previous_champion", str(champion.number))
    client.set_registered_model_alias(name, CHAMPION, str(candidate.number))
    challenger = version_of(client, name, CHALLENGER)
    if challenger is not None and challenger.number == candidate.number:
        client.delete_registered_model_alias(name, CHALLENGER)

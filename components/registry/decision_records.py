"""Signed records of every decision, stored with the MLflow run of the version that it is about (signed_records.py).

The version's tags repeat the decision for people; the code reads it from these records.
"""

from components.registry.decision import Decision
from components.registry.mlflow_store import Version, digest_of
from components.registry.signed_records import RecordKind, append_record, checked_record, record_names
from components.registry.unreadable_champion import reading_champion
from components.settings.errors import EarlierFormat, UserError

DECISIONS = RecordKind("decisions", "decision.json", "decision")
VOUCHED = "vouched_by"  # key of a record that replaces a decision from before decisions were recorded
TAGS = ("decision", "against", "acts", "forms")  # of a version: its decision, as MLflow's pages show it


def tags_of(decision: Decision) -> dict[str, str]:
    """The tags that show the decision in MLflow's pages."""
    lift = decision.lift or {}
    return {
        "decision": decision.action,
        "reasons": "; ".join(decision.reasons)[:4000],
        "against": decision.evidence.champion or "none",
        "margin": f"{decision.margin:g}",
        "acts": decision.acts or "none",
        "forms": ",".join(decision.passed) or "none",
        **{f"lift_{key}": f"{value:.9f}" for key, value in lift.items()},
        **({"lift_unit": decision.evidence.reward.unit} if lift else {}),
    }


def log_decision(client, version: Version, decision: Decision) -> None:
    """Record `decision` as the last one about `version`, unless it is that already."""
    log_record(client, version, decision.to_dict())


def log_record(client, version: Version, record: dict) -> None:
    """Store `record` as the last one of `version`; a copy of it that was interrupted is written again."""
    append_record(client, version, DECISIONS, record)


def read_decision(version: Version) -> Decision | None:
    """The last decision about `version`; None if it has none, or a person vouched for the version instead.

    UserError if the record, its signature or the version's tags were altered, or the record is about other files.
    """
    names = record_names(version, DECISIONS)
    if not names:
        _check_undecided(version)
        return None
    decision = _decision(version, names[-1])
    if decision is not None:
        _check_tags(version, decision)
    return decision


def last_decision(version: Version) -> Decision | None:
    """The last decision about `version` without a check of the tags, which are written from it."""
    names = record_names(version, DECISIONS)
    return _decision(version, names[-1]) if names else None


def passed_decision(version: Version) -> Decision | None:
    """The last decision that passed `version`, with the forms in which it may act; None if none did.

    A former champion may have been judged against a later one, and refused, since. UserError as in `read_decision`.
    """
    if read_decision(version) is None:
        return None
    decisions = (_decision(version, name) for name in reversed(record_names(version, DECISIONS)))
    return next((decision for decision in decisions if decision is not None and decision.passed), None)


def forms_of(version: Version) -> dict:
    """The forms of the champion policy that may act, and the one that acts, by its signed decision.

    Without a decision that passed it, as after `adloom promote --force`, `acts` is None and `forms` is empty; readers
    then use the package's first form.
    """
    with reading_champion(version.name, version.number, (EarlierFormat,)):
        decision = passed_decision(version)
    return {"acts": decision and decision.acts, "forms": list(decision.passed) if decision else []}


def _decision(version: Version, name: str) -> Decision | None:
    """The checked decision `name` about this version's package; None if a person vouched instead."""
    record = checked_record(version, DECISIONS, name)
    try:
        if record.get("candidate") == digest_of(version) and VOUCHED in record:
            return None
        decision = Decision.of(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EarlierFormat(
            f"{_label(version)}: its decision {name} has the layout of an earlier release, which this one cannot read "
            f"({type(error).__name__}: {error}); nothing was moved or loaded"
        ) from None
    if decision.evidence.candidate != digest_of(version):
        raise UserError(f"{_label(version)}: its decision is about another package; nothing was moved or loaded")
    return decision


def replayed(version: Version) -> Decision | None:
    """The last decision about `version`, as `read_decision`; UserError too if its evidence gives another decision."""
    decision = read_decision(version)
    if decision is not None and not decision.replays():
        raise UserError(
            f"{_label(version)}: by this release's rules its evidence does not lead to its decision, "
            f"{decision.action}; nothing was moved. Run again to judge it anew"
        )
    return decision


def is_signed_record(version: Version) -> bool:
    """Whether `version` has a record: a decision, or that a person vouched for it."""
    return bool(record_names(version, DECISIONS))


def _check_undecided(version: Version) -> None:
    tags = [tag for tag in TAGS if tag in version.tags]
    if tags:
        raise UserError(
            f"{_label(version)}: its tag {tags[0]} names a decision, but none is recorded: it was removed, or made "
            "before decisions were recorded. Nothing was moved or loaded. `adloom run` judges it anew; if it is the "
            "champion and you know where it comes from, `adloom sign` vouches for it"
        )


def _check_tags(version: Version, decision: Decision) -> None:
    expected = tags_of(decision)
    for tag in TAGS:
        if version.tags.get(tag) != expected[tag]:
            raise UserError(
                f"{_label(version)}: its tag {tag} is {version.tags.get(tag)!r}, but its signed decision has "
                f"{expected[tag]!r}: the tag was altered. Nothing was moved or loaded. Find out by whom, then set the "
                "tag to the value of the decision in MLflow (`adloom ui`)"
            )


def _label(version: Version) -> str:
    return f"{version.name} version {version.number}"

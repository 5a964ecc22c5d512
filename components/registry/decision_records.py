"""Signed records of every decision, stored with the MLflow run of the version that it is about.

`decisions/0001-<digest>/decision.json` and `decisions/0001-<digest>.sig`: numbered, never altered; the last one counts.
The version's tags repeat the decision for people; the code reads it from these records.
"""

import json
import tempfile
from pathlib import Path

from components.contract.files.digests import digest_bytes
from components.registry.decision import Decision
from components.registry.mlflow_store import Version, artifacts_in, digest_of, fetch_artifact
from components.registry.signing import sign, verify
from components.registry.unreadable_champion import reading_champion
from components.settings.errors import EarlierFormat, UserError

FOLDER, FILE = "decisions", "decision.json"
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
    content = json.dumps(record, sort_keys=True, allow_nan=False, indent=1).encode()
    digest, names = digest_bytes(content)[:16], _names(version)
    last = names[-1] if names else "0000-"
    name = last if last.endswith(f"-{digest}") else f"{int(last[:4]) + 1:04d}-{digest}"
    with tempfile.TemporaryDirectory(prefix="adloom-decision-") as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        (folder / FILE).write_bytes(content)
        signature = Path(scratch) / f"{name}.sig"
        sign(folder, _signed_as(version, name), signature)
        client.log_artifact(version.run_id, str(signature), FOLDER)
        client.log_artifact(version.run_id, str(folder / FILE), f"{FOLDER}/{name}")


def read_decision(version: Version) -> Decision | None:
    """The last decision about `version`; None if it has none, or a person vouched for the version instead.

    UserError if the record, its signature or the version's tags were altered, or the record is about other files.
    """
    names = _names(version)
    if not names:
        _check_undecided(version)
        return None
    decision = _decision(version, names[-1])
    if decision is not None:
        _check_tags(version, decision)
    return decision


def last_decision(version: Version) -> Decision | None:
    """The last decision about `version` without a check of the tags, which are written from it."""
    names = _names(version)
    return _decision(version, names[-1]) if names else None


def passed_decision(version: Version) -> Decision | None:
    """The last decision that passed `version`, with the forms in which it may act; None if none did.

    A former champion may have been judged against a later one, and refused, since. UserError as in `read_decision`.
    """
    if read_decision(version) is None:
        return None
    decisions = (_decision(version, name) for name in reversed(_names(version)))
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
    record = _checked(version, name)
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
    return bool(_names(version))


def _names(version: Version) -> list[str]:
    """The names of the recorded decisions, oldest first."""
    paths = [Path(path) for path in artifacts_in(version, FOLDER)]
    return [path.name for path in paths if path.suffix != ".sig"]


def _checked(version: Version, name: str) -> dict:
    """The record `name` of `version`, after a check of its signature and digest."""
    label = f"{_label(version)}: decision {name}"
    with tempfile.TemporaryDirectory(prefix="adloom-decision-") as scratch:
        folder = fetch_artifact(version, f"{FOLDER}/{name}", Path(scratch))
        signature = Path(scratch) / f"{name}.sig"
        if f"{FOLDER}/{name}.sig" in artifacts_in(version, FOLDER):
            signature = fetch_artifact(version, f"{FOLDER}/{name}.sig", Path(scratch))
        verify(folder, _signed_as(version, name), signature, label)
        content = (folder / FILE).read_bytes()
    if not name.endswith(f"-{digest_bytes(content)[:16]}"):
        raise UserError(f"{label}: it replaces another one; nothing was moved or loaded")
    return json.loads(content)


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


def _signed_as(version: Version, name: str) -> str:
    """The name in the record's signature, so that neither a package nor another record can replace it."""
    return f"{version.name} {name}"


def _label(version: Version) -> str:
    return f"{version.name} version {version.number}"

"""Every decision, whole and signed, with the MLflow run of the version that it is about.

`decisions/0001-<digest>/decision.json` and `decisions/0001-<digest>.sig`: numbered, never altered; the last one counts.
What stands in the version's tags is for people to read. Whoever acts on a decision reads it here.
"""

import json
import tempfile
from pathlib import Path

from components.contract.files.digests import digest_bytes
from components.registry.decision import Decision
from components.registry.mlflow_store import Version, artifacts_in, digest_of, fetch_artifact
from components.registry.signing import sign, verify
from components.settings.errors import UserError

FOLDER, FILE = "decisions", "decision.json"
VOUCHED = "vouched_by"  # key of the record that stands for a decision from before decisions were kept
TAGS = ("decision", "against", "acts", "forms")  # of a version: what its decision says, in MLflow's pages


def tags_of(decision: Decision) -> dict[str, str]:
    """The tags that say what the decision says."""
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
    """Keep `decision` as the last one about `version`, unless it is that already."""
    log_record(client, version, decision.to_dict())


def log_record(client, version: Version, record: dict) -> None:
    """Keep `record` as the last one of `version`; a copy of it that was cut off is written again."""
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
    """The last decision about `version`; None where it has none, or a person vouched for it instead.

    UserError where the record, its signature or the version's tags were tampered with, or it is about other files.
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
    """As `read_decision`, whatever the tags say: what they are written from."""
    names = _names(version)
    return _decision(version, names[-1]) if names else None


def passed_decision(version: Version) -> Decision | None:
    """The last decision that `version` passed by, which says in which forms it may act; None where it passed none.

    A former champion may have been judged, and refused, against a later one since. UserError as in `read_decision`.
    """
    if read_decision(version) is None:
        return None
    decisions = (_decision(version, name) for name in reversed(_names(version)))
    return next((decision for decision in decisions if decision is not None and decision.passed), None)


def _decision(version: Version, name: str) -> Decision | None:
    """The decision `name`, checked, about this version's package; None where it is a person's word."""
    record = _checked(version, name)
    if record.get("candidate") == digest_of(version) and VOUCHED in record:
        return None
    decision = Decision.of(record)
    if decision.evidence.candidate != digest_of(version):
        raise UserError(f"{_label(version)}: its decision is about another package; nothing was moved or loaded")
    return decision


def replayed(version: Version) -> Decision | None:
    """The last decision about `version`, as `read_decision`; UserError too where its evidence does not lead to it."""
    decision = read_decision(version)
    if decision is not None and not decision.replays():
        raise UserError(
            f"{_label(version)}: its evidence does not lead to its decision, {decision.action}, by this release's "
            "rules; nothing was moved. Run again, so that it is judged anew"
        )
    return decision


def is_signed_record(version: Version) -> bool:
    """Whether a decision, or a person's word, is kept of `version`."""
    return bool(_names(version))


def _names(version: Version) -> list[str]:
    """Names of the kept decisions, the first one first."""
    paths = [Path(path) for path in artifacts_in(version, FOLDER)]
    return [path.name for path in paths if path.suffix != ".sig"]


def _checked(version: Version, name: str) -> dict:
    """The record `name` of `version`, after its signature and digest were checked."""
    what = f"{_label(version)}: decision {name}"
    with tempfile.TemporaryDirectory(prefix="adloom-decision-") as scratch:
        folder = fetch_artifact(version, f"{FOLDER}/{name}", Path(scratch))
        signature = Path(scratch) / f"{name}.sig"
        if f"{FOLDER}/{name}.sig" in artifacts_in(version, FOLDER):
            signature = fetch_artifact(version, f"{FOLDER}/{name}.sig", Path(scratch))
        verify(folder, _signed_as(version, name), signature, what)
        content = (folder / FILE).read_bytes()
    if not name.endswith(f"-{digest_bytes(content)[:16]}"):
        raise UserError(f"{what}: it was put in the place of another one; nothing was moved or loaded")
    return json.loads(content)


def _check_undecided(version: Version) -> None:
    told = [tag for tag in TAGS if tag in version.tags]
    if told:
        raise UserError(
            f"{_label(version)}: its tag {told[0]} tells of a decision, and none is kept with it: it was removed, or "
            "made before decisions were kept. Nothing was moved or loaded. `adloom run` judges it anew; if it is the "
            "champion and you know where it comes from, `adloom sign` vouches for it"
        )


def _check_tags(version: Version, decision: Decision) -> None:
    due = tags_of(decision)
    for tag in TAGS:
        if version.tags.get(tag) != due[tag]:
            raise UserError(
                f"{_label(version)}: its tag {tag} says {version.tags.get(tag)!r} and its signed decision "
                f"{due[tag]!r}: the tag was altered. Nothing was moved or loaded. Find out by whom, then set the tag "
                "to what the decision says in MLflow (`adloom ui`)"
            )


def _signed_as(version: Version, name: str) -> str:
    """The name in the record's signature: no package, and no record of another number, can take its place."""
    return f"{version.name} {name}"


def _label(version: Version) -> str:
    return f"{version.name} version {version.number}"

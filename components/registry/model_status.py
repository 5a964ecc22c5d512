"""The state of the registered models: champion, challenger, latest version and the last decision."""

from components.registry.mlflow_store import Version, version_of, versions_of
from components.registry.promotion import CHALLENGER, CHAMPION
from components.registry.refresh_records import deployed

MODELS = ("interest", "creatives", "policy")


def model_status(client, dataset: str) -> list[dict]:
    """A row per registered model of `dataset`: versions, decision, lift, its unit, reasons; null if there is none."""
    return [_row(client, dataset, f"{dataset}-{kind}") for kind in MODELS]


def _row(client, dataset: str, name: str) -> dict:
    champion, challenger = version_of(client, name, CHAMPION), version_of(client, name, CHALLENGER)
    latest = latest_version(client, name)
    tags = latest.tags if latest else {}
    lift_tags = champion.tags if champion else tags
    return {
        "dataset": dataset,
        "model": name,
        "champion": champion.number if champion else None,
        "refit": _refit(client, name),
        "challenger": challenger.number if challenger else None,
        "latest": latest.number if latest else None,
        "decision": tags.get("decision") or tags.get("refresh") or tags.get("gate"),
        "lift": _interval(lift_tags),
        "unit": lift_tags.get("lift_unit"),
        "reasons": tags.get("reasons"),
    }


def _refit(client, name: str) -> int | None:
    """The version that acts in the champion's place, a refit of it; None if there is none."""
    acting = deployed(client, name) if name.endswith("-policy") else None
    return acting.version.number if acting is not None and acting.is_refit else None


def latest_version(client, name: str) -> Version | None:
    """The newest version of `name`; None if there is none."""
    versions = versions_of(client, name)
    return versions[-1] if versions else None


def _interval(tags) -> dict[str, float] | None:
    names = ("value", "ci_low", "ci_high")
    if not all(f"lift_{name}" in tags for name in names):
        return None
    return {name: float(tags[f"lift_{name}"]) for name in names}

"""Registry -> what stands now: champion, challenger, their numbers and the last decision, as rows."""

from components.registry.mlflow_store import Version, version_of, versions_of
from components.registry.promotion import CHALLENGER, CHAMPION

MODELS = ("interest", "creatives", "policy")


def standing(client, dataset: str) -> list[dict]:
    """One row per registered model of `dataset`: model, champion, challenger, decision, lift and its unit, reasons.

    What there is none of is null.
    """
    return [_row(client, dataset, f"{dataset}-{kind}") for kind in MODELS]


def _row(client, dataset: str, name: str) -> dict:
    champion, challenger = version_of(client, name, CHAMPION), version_of(client, name, CHALLENGER)
    latest = latest_version(client, name)
    tags = latest.tags if latest else {}
    shown = champion.tags if champion else tags
    return {
        "dataset": dataset,
        "model": name,
        "champion": champion.number if champion else None,
        "challenger": challenger.number if challenger else None,
        "latest": latest.number if latest else None,
        "decision": tags.get("decision") or tags.get("gate"),
        "lift": _interval(shown),
        "unit": shown.get("lift_unit"),
        "reasons": tags.get("reasons"),
    }


def latest_version(client, name: str) -> Version | None:
    """The newest version of `name`; None where there is none."""
    versions = versions_of(client, name)
    return versions[-1] if versions else None


def _interval(tags) -> dict[str, float] | None:
    names = ("value", "ci_low", "ci_high")
    if not all(f"lift_{name}" in tags for name in names):
        return None
    return {name: float(tags[f"lift_{name}"]) for name in names}

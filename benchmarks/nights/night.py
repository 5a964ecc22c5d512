"""One night: the champion shows a day's ads, the pipeline learns from them, and what came of it is written down."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from benchmarks.nights.shop import NAME
from components.settings.paths import Paths
from flows.pipeline import pipeline


@dataclass(frozen=True)
class Night:
    """What one night came to. Values are clicks per impression; null where the log could carry no estimate.

    shown_by: who chose the day's ads; true_value: what the law says they earned in expectation; uniform_value: what
    showing every eligible creative equally often would have earned on the same impressions; clicks: what was counted.
    The rest is about the night's challenger, on the impressions that judged it: its estimated value and lift over the
    champion (with none: the logging policy), and what the law says of both.
    """

    day: str
    shown_by: str
    true_value: float
    uniform_value: float
    clicks: float
    action: str
    reasons: tuple[str, ...]
    estimated_value: float | None
    estimated_lift: float | None
    lift_ci: tuple[float, float] | None
    challenger_value: float
    true_lift: float


@flow(name="night")
def night(folder: str) -> None:
    """The world goes on for a day in `folder`, and the pipeline runs on all there is."""
    paths = Paths.of(NAME, data=f"{folder}/data/{NAME}", workdir=f"{folder}/artifacts")
    shown_by, day = task(go_on, cache_policy=NO_CACHE)(folder, paths)
    outcome = pipeline(NAME, f"{folder}/params.yaml", str(paths.data), f"{folder}/artifacts")
    record = task(look_back, cache_policy=NO_CACHE)(paths, shown_by, day, outcome)
    place = Path(folder) / "nights" / f"{day}.json"
    place.parent.mkdir(exist_ok=True)
    aside = place.with_suffix(".partial")
    aside.write_text(json.dumps(dataclasses.asdict(record)), encoding="utf-8")
    aside.rename(place)


def go_on(folder: str, paths: Paths) -> tuple[str, str]:
    """One more day of the shop; who showed the ads, and the day."""
    from upath import UPath

    from components.workflow.advance import advance
    from components.workflow.publishing.export import exported_policy

    done = advance(NAME, UPath(folder) / "data", 1, exported_policy(paths))
    return done.policy, f"{done.ends_at:%Y-%m-%d}"


def look_back(paths: Paths, shown_by: str, day: str, outcome: dict) -> Night:
    """The night's figures beside the world's truth."""
    from components.contract.files.tables import read_json

    record = read_json(paths.stage("evaluation") / "evaluation.json")["forms"][0]
    form, evaluated = record["form"], record["logs"][0]
    judged = evaluated["evaluation"]
    truths = read_json(paths.stage("evaluation") / "truth.json")[form][evaluated["logging_policy"]]
    chosen = [each for each in judged["estimates"] if each["estimator"] == judged["selected"]]
    true_value, uniform_value, clicks = _day_value(paths)
    lift = judged["lift"]
    return Night(
        day=day,
        shown_by=shown_by,
        true_value=true_value,
        uniform_value=uniform_value,
        clicks=clicks,
        action=outcome["action"],
        reasons=tuple(outcome["reasons"]),
        estimated_value=chosen[0]["value"] if chosen else None,
        estimated_lift=lift["value"] if lift else None,
        lift_ci=(lift["ci_low"], lift["ci_high"]) if lift else None,
        challenger_value=truths["target"],
        true_lift=truths["lift"],
    )


def _day_value(paths: Paths) -> tuple[float, float, float]:
    """Of the log's last day, per impression: true value as shown and as shown uniformly, and counted clicks."""
    from components.contract.validation.validate import load_dataset
    from components.simulator import truth

    tables, card = load_dataset(paths.data)
    log = tables["impressions"]
    last = log[log["timestamp"].dt.floor("D") == log["timestamp"].max().floor("D")]
    pairs = tables["candidates"].merge(last[["impression_id"]])
    earned = pairs.assign(p=truth(card.simulator, tables)(pairs))
    shown = float((earned["p"] * earned["propensity"]).sum() / len(last))
    uniform = float(earned.groupby("impression_id")["p"].mean().mean())
    return shown, uniform, float(last["click"].mean())


if __name__ == "__main__":  # the scheduler of `python -m benchmarks.nights`: FOLDER SECONDS
    from prefect.client.schemas.objects import ConcurrencyLimitConfig

    one = ConcurrencyLimitConfig(limit=1, collision_strategy="CANCEL_NEW")
    night.serve(
        name="every-night", interval=float(sys.argv[2]), parameters={"folder": sys.argv[1]}, global_limit=one, limit=1
    )

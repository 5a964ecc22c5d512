"""One night: the champion shows a day's ads, the pipeline trains on them, and the figures are recorded."""

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
    """The figures of one night. Values are clicks per impression; None where the log permits no estimate.

    shown_by: the policy that chose the day's ads; true_value: their expected clicks by the simulator; uniform_value:
    the same if every eligible creative were shown equally often; clicks: the observed clicks. The rest is about the
    night's challenger on the impressions of its evaluation: its estimated value and its lift over the champion (without
    one: the logging policy), and their true values.
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
    """Simulate one more day in `folder`, run the pipeline, and write the night's record."""
    paths = Paths.of(NAME, data=f"{folder}/data/{NAME}", workdir=f"{folder}/artifacts")
    shown_by, day = task(simulate_day, cache_policy=NO_CACHE)(folder, paths)
    outcome = pipeline(NAME, f"{folder}/params.yaml", str(paths.data), f"{folder}/artifacts")
    record = task(record_of, cache_policy=NO_CACHE)(paths, shown_by, day, outcome)
    file = Path(folder) / "nights" / f"{day}.json"
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(dataclasses.asdict(record)), encoding="utf-8")
    partial.rename(file)


def simulate_day(folder: str, paths: Paths) -> tuple[str, str]:
    """(the policy that chose the ads, the day) of one more simulated day."""
    from upath import UPath

    from components.workflow.advance import advance
    from components.workflow.publishing.export import exported_policy

    advanced = advance(NAME, UPath(folder) / "data", 1, exported_policy(paths))
    return advanced.policy, f"{advanced.ends_at:%Y-%m-%d}"


def record_of(paths: Paths, shown_by: str, day: str, outcome: dict) -> Night:
    """The night's figures and the simulator's true values."""
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
    """(true value as shown, true value if shown uniformly, observed clicks) per impression of the log's last day."""
    from components.contract.validation.validate import load_dataset
    from components.simulator import truth

    tables, card = load_dataset(paths.data)
    log = tables["impressions"]
    last = log[log["timestamp"].dt.floor("D") == log["timestamp"].max().floor("D")]
    pairs = tables["candidates"].merge(last[["impression_id"]])
    rates = pairs.assign(p=truth(card.simulator, tables)(pairs))
    shown = float((rates["p"] * rates["propensity"]).sum() / len(last))
    uniform = float(rates.groupby("impression_id")["p"].mean().mean())
    return shown, uniform, float(last["click"].mean())


if __name__ == "__main__":  # the scheduler of `python -m benchmarks.nights`: FOLDER SECONDS
    from prefect.client.schemas.objects import ConcurrencyLimitConfig

    one = ConcurrencyLimitConfig(limit=1, collision_strategy="CANCEL_NEW")
    night.serve(
        name="every-night", interval=float(sys.argv[2]), parameters={"folder": sys.argv[1]}, global_limit=one, limit=1
    )

"""Detection rates of the leakage check on columns computed from the judged clicks, and its false alarms on others.

    python -m benchmarks.ope_leakage [--logs 150] [--large 100] [--processes 2] [--out FILE]

Logs of the marketplace's 28 days, of which the last 14 are judged: `--logs` logs with 50,000 judged rows and `--large`
with 300,000, with different creatives (baseline) and with equal ones (null). Each log is tested without and with an
additional column. Detected: the check names a column that was computed from judged clicks. False alarm: it names any
other column. An interrupted run continues where it stopped. Prints one line of JSON at the end.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.ope_logs import JUDGES, LEARNS, Arena, arena
from benchmarks.ope_parallel import resumed, wilson
from components.evaluation.log_checks.leakage import leakage_findings
from components.simulator.ad_day import NO_EXPOSURES, simulate_ads

RESULTS = Path("benchmarks/results/ope_leakage.jsonl")
SCENARIOS = ("baseline", "null")
SMALL, LARGE = 50_000, 300_000
COLUMNS = ("creative_id", "shopper_id", "timestamp", "click", "propensity", "position", "request_id")
PLANTED = "feature_planted"
HONEST = ("own columns", "ctr of the training half", "rank of the training half's ctr", "shopper's ctr in training")


@cache
def _arena(scenario: str, judged: int) -> Arena:
    return arena(scenario, judged, training=20_000)  # the target policy is not used here


def draw_log(scenario: str, judged: int, seed: int) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, pd.DataFrame]:
    """(tables of creatives, products and shoppers; impressions of the first days; those of the last, judged days)."""
    market, shown, days = _arena(scenario, judged).seeded(seed), NO_EXPOSURES, []
    for day in (*LEARNS, *JUDGES):
        ads = simulate_ads(market, day, shown, market.policy, market.policy.name)
        shown = shown.extended_by(ads.shown)
        days.append(ads.impressions[list(COLUMNS)])
    catalogue = market.catalogue
    tables = {"creatives": catalogue.creatives, "products": catalogue.products, "shoppers": catalogue.shoppers}
    before, after = days[: len(LEARNS)], days[len(LEARNS) :]
    return tables, pd.concat(before, ignore_index=True), pd.concat(after, ignore_index=True)


def ctr(table: pd.DataFrame, key: str, rows: pd.DataFrame) -> pd.Series:
    """Clicks per impression in `rows` of each row of `table`, by the column `key`; null if it was never shown."""
    return table[key].map(rows.groupby(key)["click"].mean())


def plants(
    tables: dict[str, pd.DataFrame], before: pd.DataFrame, judged: pd.DataFrame, random: np.random.Generator
) -> Iterator[tuple[str, str, pd.Series]]:
    """Yields (name, table, values) of every column that is added."""
    whole = pd.concat([before, judged])
    creatives, products, shoppers = tables["creatives"], tables["products"], tables["shoppers"]
    known = ctr(creatives, "creative_id", whole)
    noise = pd.Series(random.normal(size=len(known)), known.index) * known.std()
    product = creatives.set_index("creative_id")["product_id"]
    of_product = whole.assign(product_id=whole["creative_id"].map(product))
    yield "ctr of the whole log", "creatives", known
    yield "ctr of the judged half", "creatives", ctr(creatives, "creative_id", judged)
    yield "ctr of the whole log, noise of half its deviation added", "creatives", known + 0.5 * noise
    yield "ctr of the whole log, noise of its deviation added", "creatives", known + noise
    yield "rank of the whole log's ctr", "creatives", known.rank()
    yield "whole log's ctr in five words", "creatives", pd.qcut(known.rank(method="first"), 5, labels=list("abcde"))
    yield "product's ctr of the whole log", "products", ctr(products, "product_id", of_product)
    yield "shopper's ctr of the whole log", "shoppers", ctr(shoppers, "shopper_id", whole)
    training = ctr(creatives, "creative_id", before)
    yield HONEST[1], "creatives", training
    yield HONEST[2], "creatives", training.rank()
    yield HONEST[3], "shoppers", ctr(shoppers, "shopper_id", before)


def named(tables: dict[str, pd.DataFrame], judged: pd.DataFrame) -> list[str]:
    """The columns with a critical finding."""
    findings = leakage_findings(tables, judged)
    return [finding.message.split()[0] for finding in findings if finding.severity == "critical"]


def run(task: tuple[str, int, int]) -> dict:
    """The row of one log: whether each added column is named, and the columns named without one."""
    scenario, size, seed = task
    tables, before, judged = draw_log(scenario, size, seed)
    row: dict = {"scenario": scenario, "size": size, "seed": seed, "named": {}, HONEST[0]: named(tables, judged)}
    for name, table, values in plants(tables, before, judged, np.random.default_rng([seed, 11])):
        values = values.astype("str") if isinstance(values.dtype, pd.CategoricalDtype) else values
        columns = named({**tables, table: tables[table].assign(**{PLANTED: values})}, judged)
        row["named"][name] = f"{table}.{PLANTED}" in columns
    return row


def _share(hits: list[bool]) -> dict:
    return {"share": float(np.mean(hits)), "interval": wilson(sum(hits), len(hits)), "logs": len(hits)}


def summary(rows: list[dict]) -> dict:
    """Rates of detection and of false alarms by scenario and size."""
    rates = {}
    for scenario, size in sorted({(row["scenario"], row["size"]) for row in rows}):
        group = [row for row in rows if (row["scenario"], row["size"]) == (scenario, size)]
        shares = {name: _share([row["named"][name] for row in group]) for name in group[0]["named"]}
        alarms = {HONEST[0]: _share([bool(row[HONEST[0]]) for row in group])}
        rates[f"{scenario}, {size:,} judged rows"] = {
            "false alarms": alarms | {name: shares.pop(name) for name in HONEST[1:]},
            "detected": shares,
        }
    return rates


def main(show: Callable[[str], None] = print) -> None:
    """Run the logs that the results file lacks and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=int, default=150)
    parser.add_argument("--large", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    sizes = {SMALL: options.logs, LARGE: options.large}
    most = max(sizes.values())
    tasks = [(each, size, seed) for seed in range(most) for size in sizes if seed < sizes[size] for each in SCENARIOS]
    keyed = {task: task for task in tasks}
    rows = resumed(run, keyed, lambda row: (row["scenario"], row["size"], row["seed"]), options.out, options.processes)
    show(json.dumps({"benchmark": "ope_leakage", **summary(rows)}))


if __name__ == "__main__":
    main()

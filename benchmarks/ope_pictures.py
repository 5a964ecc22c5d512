"""Draws the figures of docs/measured-evaluation.md from the benchmarks' --out files.

python -m benchmarks.ope_pictures --gate gate.json --accuracy accuracy.jsonl --folder docs/pictures
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def power(gate: Path, target: Path) -> None:
    """Plot the fraction of promoted runs over the true lift, one line per effective sample size."""
    curve = json.loads(gate.read_text())["power"]
    points = [(*map(float, name.split("/")), *share) for name, share in curve.items()]
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for size in sorted({point[1] for point in points}):
        line = sorted(point for point in points if point[1] == size)
        lifts, _, shares, lows, highs = np.array(line).T
        axes.plot(lifts, shares, "o-", label=f"effective sample size {size:.0%}")
        axes.fill_between(lifts, lows, highs, alpha=0.15)
    axes.axhline(0.8, color="0.7", linewidth=1)
    axes.set_xlabel("true relative lift")
    axes.set_ylabel("share of runs promoted")
    axes.set_xticks(sorted({point[0] for point in points}))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend()
    FigureCanvasAgg(figure).print_png(str(target), metadata={"Software": None})


def errors(accuracy: Path, target: Path) -> None:
    """Plot every estimator's error per replicate, relative to the truth, one panel per scenario."""
    rows = [json.loads(line) for line in accuracy.read_text().splitlines()]
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(scenarios), sharey=True)
    for axes, scenario in zip(np.atleast_1d(panels), scenarios, strict=True):
        group = [row for row in rows if row["scenario"] == scenario]
        names = list(group[0]["error"])
        for line, name in enumerate(names):
            relative = np.clip([row["error"][name] / row["truth"] for row in group], -0.5, 0.5)
            low, high = np.quantile(relative, (0.05, 0.95))
            axes.plot(relative, np.full(len(relative), line), "|", color="0.5", markersize=7, alpha=0.15)
            axes.plot((low, high), (line, line), color="tab:blue", linewidth=2)
            axes.plot(relative.mean(), line, "o", color="tab:blue", markersize=4)
        axes.axvline(0, color="tab:green", linewidth=1)
        axes.set_title(f"{scenario}, {len(group)} logs", fontsize=9)
        axes.set_yticks(range(len(names)), names)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0%}")
        axes.tick_params(axis="x", labelsize=7)
    figure.supxlabel(
        "estimate over truth, less 1 (line: 90 % of the logs, dot: their mean; beyond +-50 % drawn at the edge)",
        fontsize=9,
    )
    FigureCanvasAgg(figure).print_png(str(target), metadata={"Software": None})


def main() -> None:
    """Draw the figures whose input is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", type=Path)
    parser.add_argument("--accuracy", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.gate:
        power(options.gate, options.folder / "evidence_power.png")
    if options.accuracy:
        errors(options.accuracy, options.folder / "evidence_errors.png")


if __name__ == "__main__":
    main()

"""How time and memory of each stage grow with the log, and what a billion impressions would take.

    python -m benchmarks.scale [--impressions 100000,200000,600000] [--stages validation,...] [--seed 999]
                               [--set section.key=value] [--most-gib 16] [--workdir DIR] [--out FILE]

For each size a shop is simulated with 10 candidates and 10 events per impression and a shopper per 30 impressions, and
written day by day. Then `adloom stage` runs each stage in a process of its own. The stage `creatives` does not read the
log: a pool of copied creatives stands in for it. Of each stage: seconds, processor seconds, the largest sum of the
proportional set sizes of its processes (sampled four times a second), bytes passed to storage, and bytes of its output.
A stage whose memory passes `--most-gib` is stopped, and the later ones of that size are not run.

The fitted exponent k is the slope of log(figure) over log(impressions) by least squares: 1 is linear growth. It is
below 1 where the start of a process takes most of the time. A figure of a billion impressions continues the straight
line through the two largest sizes; where it grew faster than linearly between them, the power of that growth.

With `--workdir` data sets and outputs stay there, and a later call uses the data sets again. Ends with one line of
JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil
from upath import UPath

from benchmarks.first_run import INTERVAL, Meter, total
from benchmarks.served_value import NAME, stand_in_pool
from components.contract.card import write_card
from components.contract.files.tables import write_json, write_table
from components.contract.time_window import mask_open_conversions
from components.datasets.fashion_mnist import load_photos
from components.datasets.marketplace import SHOP
from components.settings.params_file import load_settings
from components.settings.paths import ROOT, Paths
from components.simulator.market import open_market
from components.simulator.simulate import ad_days, ends_at, event_days, undated_tables
from components.workflow import run_stage

STAGES = ("validation", "features", "interest", "evaluation", "promotion")
PER_IMPRESSION, PER_SHOPPER = 10, 30  # events per impression, impressions per shopper
BILLION = 1_000_000_000
NIGHT_HOURS = 8.0
FIGURES = {"seconds": "s", "processor_seconds": "CPU s", "peak_gib": "GiB", "written_gib": "GiB written"}
Figures = Mapping[str, float] | None  # of one stage; None: it was stopped, or not run


def build_by_days(overrides: Sequence[str], folder: Path) -> None:
    """Write the marketplace of these settings to `folder`, with one day of it in memory at a time."""
    config = load_settings(ROOT / "params.yaml", NAME, tuple(overrides)).simulator
    scenario = SHOP.scenario(config)
    market = open_market(config, scenario, load_photos(cache=ROOT / ".adloom" / "cache"))
    fresh = UPath(folder.with_name(folder.name + "-unfinished"))
    shutil.rmtree(fresh.path, ignore_errors=True)
    for name, table in undated_tables(market).items():
        write_table(table, fresh / f"{name}.parquet")
    for events in event_days(market):
        write_table(events, _partition(fresh, "events", events["timestamp"].iloc[0]))
    for ads in ad_days(market):
        known = mask_open_conversions(ads.impressions, ends_at(config), scenario.conversion.window_days)
        day = known["timestamp"].iloc[0]
        write_table(known, _partition(fresh, "impressions", day))
        write_table(ads.candidates, _partition(fresh, "candidates", day))
    write_card(SHOP.card(config), fresh)
    Path(fresh.path).rename(folder)


def _partition(folder: UPath, table: str, moment) -> UPath:
    return folder / table / f"day={moment:%Y-%m-%d}" / "part-0.parquet"


def run_size(impressions: int, folder: Path, options: argparse.Namespace) -> dict[str, Figures]:
    """The figures of each stage on a shop of this size, and of building it (`build`; None if it was there)."""
    overrides = (*_shop(impressions, options.seed), *options.set)
    data, answer = folder / "data" / NAME, {"build": None}
    if not data.exists():
        data.parent.mkdir(parents=True)
        build = [sys.executable, "-c", "import sys; from benchmarks import scale; scale.built_in_process(sys.argv[1:])"]
        answer["build"] = metered([*build, str(data), *overrides], Path.cwd(), folder / "build.log", options.most_gib)
        report(impressions, "build", answer["build"])
        if answer["build"] is None:
            return answer
    stages = dict.fromkeys(options.stages)
    for stage in options.stages:
        if stage == "evaluation":
            _prepare_evaluation(overrides, folder)
        stages[stage] = run_one_stage(stage, overrides, folder, options.most_gib)
        report(impressions, stage, stages[stage])
        if stages[stage] is None:
            break
    return {**answer, **stages}


def built_in_process(arguments: Sequence[str]) -> None:
    """`build_by_days` with a folder and settings from a command line."""
    build_by_days(arguments[1:], Path(arguments[0]))


def _shop(impressions: int, seed: int) -> tuple[str, ...]:
    """The settings of a shop with this many impressions."""
    return (
        f"simulator.seed={seed}",
        f"simulator.impressions={impressions}",
        f"simulator.events={impressions * PER_IMPRESSION}",
        f"simulator.shoppers={max(impressions // PER_SHOPPER, 100)}",
    )


def run_one_stage(stage: str, overrides: Sequence[str], folder: Path, most_gib: float) -> Figures:
    """The figures of `adloom stage`, run in `folder`, with the bytes of its output."""
    settings = [part for setting in overrides for part in ("--set", setting)]
    params = str(Path("params.yaml").resolve())
    command = [sys.executable, "-m", "components", "--params", params, "stage", stage, "--dataset", NAME, "--force"]
    figures = metered([*command, *settings], folder, folder / f"{stage}.log", most_gib)
    if figures is None:
        return None
    output = sum(file.stat().st_size for file in (folder / "artifacts" / NAME / stage).rglob("*") if file.is_file())
    return {**figures, "output_gib": round(output / 2**30, 3)}


def _prepare_evaluation(overrides: Sequence[str], folder: Path) -> None:
    """Write the pool of the stage `creatives`, and charge the ledger, so that the judged rows are evaluated."""
    settings = load_settings("params.yaml", NAME, tuple(overrides))
    paths = Paths.of(NAME, data=str(folder / "data" / NAME), workdir=str(folder / "artifacts"))
    stand_in_pool(settings, paths)
    write_json([run_stage.question(settings, paths)], paths.ledger)


def metered(command: Sequence[str], folder: Path, log: Path, most_gib: float) -> Figures:
    """The figures of `command`, run in `folder`; None if its memory passed `most_gib` GiB and it was stopped."""
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=folder, stdout=lines, stderr=subprocess.STDOUT)
        meter = Meter(psutil.Process(process.pid))
        sampler = threading.Thread(target=meter.run)
        sampler.start()
        stopped = False
        while process.poll() is None:
            stopped = stopped or total(meter.parts).peak_gib > most_gib
            if stopped:
                process.kill()
            time.sleep(INTERVAL)
        meter.stop()
        sampler.join()
    if stopped:
        return None
    if process.returncode != 0:
        sys.exit(f"{' '.join(command[:6])} ended with {process.returncode}; its screen is in {log}")
    return total(meter.parts).rounded()


def report(impressions: int, part: str, figures: Figures) -> None:
    """Show one row of the table."""
    shown = "stopped: too much memory" if figures is None else ""
    for name, unit in FIGURES.items() if figures is not None else ():
        shown += f"{figures[name]:10.2f} {unit}"
    print(f"{impressions:>12,} {part:12} {shown}", file=sys.stderr, flush=True)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The slope of log(values) over log(sizes) by least squares; None with fewer than two positive values."""
    known = [(size, value) for size, value in zip(sizes, values, strict=True) if value > 0]
    if len(known) < 2:
        return None
    slope, _ = np.polyfit(*np.log(np.array(known)).T, deg=1)
    return round(float(slope), 3)


def extrapolated(sizes: Sequence[float], values: Sequence[float], wanted: float) -> dict | None:
    """The figure at `wanted` impressions, and what it rests on; None with fewer than two sizes."""
    if len(sizes) < 2:
        return None
    (n0, y0), (n1, y1) = sorted(zip(sizes, values, strict=True))[-2:]
    measured = f"measured at {n0:,} and {n1:,} impressions"
    slope = (y1 - y0) / (n1 - n0)
    power = exponent((n0, n1), (y0, y1))
    if power is not None and power > 1:
        return {"value": y1 * (wanted / n1) ** power, "rests_on": f"{measured}, growth to the power {power}"}
    return {"value": y1 + max(slope, 0.0) * (wanted - n1), "rests_on": f"{measured}, a straight line"}


def summary(runs: Mapping[int, Mapping[str, Figures]], stages: Sequence[str]) -> dict[str, dict]:
    """By stage, the fitted exponents, and the figures of a billion impressions."""
    answer = {}
    for stage in stages:
        sized = {size: run[stage] for size, run in sorted(runs.items()) if run.get(stage) is not None}
        sizes = list(sized)
        series = {name: [figures[name] for figures in sized.values()] for name in FIGURES}
        of_billion = {name: extrapolated(sizes, values, BILLION) for name, values in series.items()}
        answer[stage] = {
            "exponents": {name: exponent(sizes, values) for name, values in series.items()},
            "billion": of_billion,
        }
        if of_billion["processor_seconds"] is not None:  # if the work divides evenly, which is not measured
            hours = of_billion["processor_seconds"]["value"] / 3600
            answer[stage]["billion"]["core_hours"] = round(hours, 1)
            answer[stage]["billion"]["cores_for_one_night"] = int(np.ceil(hours / NIGHT_HOURS))
    return answer


def show_summary(of_stages: Mapping[str, dict]) -> None:
    """Show the exponents and the figures of a billion impressions."""
    print(f"\n{'stage':12} exponents: CPU s, GiB   a billion impressions", file=sys.stderr)
    for stage, found in of_stages.items():
        exponents, billion = found["exponents"], found["billion"]
        if billion["processor_seconds"] is None:
            continue
        print(
            f"{stage:12} {exponents['processor_seconds']!s:>10} {exponents['peak_gib']!s:>9}   "
            f"{billion['core_hours']:,.1f} core hours ({billion['cores_for_one_night']} cores for {NIGHT_HOURS:.0f} h "
            f"if the work divides evenly), {billion['peak_gib']['value']:,.0f} GiB, "
            f"{billion['written_gib']['value']:,.0f} GiB written; memory {billion['peak_gib']['rests_on']}",
            file=sys.stderr,
        )


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impressions", default="100000,200000,600000", help="sizes, with commas")
    parser.add_argument("--stages", default=",".join(STAGES), help="with commas; a stage reads those before it")
    parser.add_argument("--seed", type=int, default=999, help="of the simulator")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--most-gib", type=float, default=16.0, help="memory above which a stage is stopped")
    parser.add_argument("--workdir", type=Path, help="folder for data sets and outputs, which is not deleted")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args(arguments)
    options.stages = tuple(options.stages.split(","))
    unknown = [stage for stage in options.stages if stage not in STAGES]
    if unknown:
        parser.error(f"--stages: {', '.join(unknown)}: not among {', '.join(STAGES)}")
    try:
        options.impressions = sorted({int(size) for size in options.impressions.split(",")})
    except ValueError:
        parser.error(f"--impressions: {options.impressions}: not whole numbers with commas")
    if options.impressions[0] < 1:
        parser.error(f"--impressions: {options.impressions[0]}: a log has at least one")
    return options


def main() -> None:
    """Measure the sizes and print the line of JSON."""
    options, runs = options_of(), {}
    with tempfile.TemporaryDirectory() as temporary:
        base = (options.workdir or Path(temporary)).resolve()
        for impressions in options.impressions:
            runs[impressions] = run_size(impressions, base / f"{impressions}", options)
    of_stages = summary(runs, options.stages)
    show_summary(of_stages)
    line = json.dumps({"benchmark": "scale", "runs": runs, "stages": of_stages})
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

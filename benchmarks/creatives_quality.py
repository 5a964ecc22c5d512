"""Image quality over CPU-seconds of training: Adloom's generators and three baselines, at equal budgets.

    python -m benchmarks.creatives_quality [--budget 600] [--seeds 1] [--models flow,gaussian,...] [--samples 60000]
                                          [--precision float32]

CPU-seconds are process time of training, including compilation and excluding evaluation. Each model is stopped at the
budget; where its learning rate follows a schedule, the schedule's length is computed from the speed of the first steps.
Features are those of a classifier trained here on all real photos (not Inception's). --precision applies to Adloom's
models; the baselines use float32. Each model's figures are stored in --results, and a call with the same budget,
samples and precision reuses them. Prints one line of JSON at the end.
"""

import argparse
import json
import os
from pathlib import Path

from components.settings.environment import prepare

OURS = "flow"


def run(name: str, course, budget: float, *, seed: int, precision: str, folder: Path, grid: Path | None) -> dict:
    """The curve and final figures of one model and seed. The trained model is stored in `folder` and reused from it."""
    from benchmarks.creatives.grid import write_grid
    from benchmarks.creatives.race import generators
    from components.generators.keras_generator import NetworkGenerator

    card = folder / "training.json"
    if card.exists():
        training = json.loads(card.read_text())
        generator = NetworkGenerator.from_files({file.name: file.read_bytes() for file in folder.iterdir()})
    else:
        training = {"curve": [], "onednn": os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"}
        for spent, generator in generators(name, course.photos, budget, seed, precision):
            training["curve"].append({"cpu_seconds": round(spent, 1), **course.distance(generator, seed)})
            print(f"{name} seed {seed}: {training['curve'][-1]}", flush=True)
        if isinstance(generator, NetworkGenerator):
            folder.mkdir(exist_ok=True)
            for file, content in generator.files().items():
                (folder / file).write_bytes(content)
            card.write_text(json.dumps(training))
    final = course.judge(generator, seed)
    print(f"{name} seed {seed}: {final}", flush=True)
    if grid is not None:
        write_grid(generator, grid)
    return {"model": name, "seed": seed, "cpu_seconds": training["curve"][-1]["cpu_seconds"], **training, **final}


def reached(rows: list[dict]) -> dict[str, float | None]:
    """Baseline -> CPU-seconds after which OURS first had at most the baseline's final Frechet distance; None: never."""
    ours = next((row for row in rows if row["model"] == OURS), None)
    others = [row for row in rows if row["model"] != OURS] if ours else []
    seconds = {}
    for row in others:
        final = row["curve"][-1]["frechet"]
        points = (point["cpu_seconds"] for point in ours["curve"] if point["frechet"] <= final)
        seconds[row["model"]] = next(points, None)
    return seconds


def summary(rows: list[dict], floor: dict, budget: float) -> dict:
    """Mean CAS by model, the CPU-seconds after which OURS reached each baseline, and the runs."""
    by_model: dict[str, list[float]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row["cas"])
    cas = {name: sum(values) / len(values) for name, values in by_model.items()}
    return {"budget": budget, "floor": floor, "cas": cas, "reached": reached(rows), "rows": rows}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=600.0, help="CPU-seconds of training per model")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--models", default="flow,keras-wgan-gp,plain-vae,gaussian")
    parser.add_argument("--samples", type=int, default=60_000, help="images assessed per model; CAS is trained on them")
    parser.add_argument(
        "--precision", default="float32", choices=("float32", "mixed_bfloat16"), help="of Adloom's models"
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/creatives"))
    parser.add_argument("--grids", type=Path, help="folder for a grid of samples per model")
    parser.add_argument("--plot", type=Path, help="PNG file for Frechet distance over CPU-seconds")
    arguments = parser.parse_args()
    prepare()
    from benchmarks.creatives.course import lay_out

    folder = arguments.results / f"{int(arguments.budget)}s-{arguments.samples}-{arguments.precision}"
    names = arguments.models.split(",")
    runs = {folder / f"{name}-{seed}.json": (name, seed) for seed in range(arguments.seeds) for name in names}
    floor = folder / "floor.json"
    course = None if all(path.exists() for path in (floor, *runs)) else lay_out(arguments.samples, folder)
    if not floor.exists():
        floor.write_text(json.dumps(course.real_photo_quality(), sort_keys=True))
    for path, (name, seed) in runs.items():
        if not path.exists():
            grid = arguments.grids / f"{name}-{int(arguments.budget)}s.png" if arguments.grids else None
            stored, precision = path.with_suffix(""), arguments.precision
            figures = run(name, course, arguments.budget, seed=seed, precision=precision, folder=stored, grid=grid)
            path.write_text(json.dumps(figures, sort_keys=True))
    rows = [json.loads(path.read_text()) for path in runs]
    if arguments.plot:
        from benchmarks.creatives.curves import draw

        draw(rows, json.loads(floor.read_text()), arguments.plot)
    print(json.dumps(summary(rows, json.loads(floor.read_text()), arguments.budget), sort_keys=True))


if __name__ == "__main__":
    main()

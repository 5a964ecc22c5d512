"""Do corrupted inputs cause a traceback, a changed figure without a message, or a write outside the command's folders?

    python -m benchmarks.corruptions [--trials 2000] [--seed 0] [--only KIND] [--out FILE]

Each trial corrupts valid inputs in one seeded way (corruption_kinds.py) and passes them to one of three commands:
`evaluate`, `data add`, or `run` up to features. It runs in a forked process with a time limit. Permitted outcomes:

- `refused`: a UserError; earlier outputs are unchanged.
- `same`: every figure equals that of the valid inputs. The figures are its JSON for `evaluate`, every cell of the
  features of impressions and creatives for `run`, and for `data add` whether every row was stored unchanged.
- `reported`: figures differ, and the outputs report it: rows in quarantine or duplicate rows in the report, a rule that
  could not be checked, a message of the features, or another reason of the evaluation.
- `undetectable`: figures differ because the corrupted file is a valid file with another content, which no program can
  detect: a byte changed to another digit, an absent optional column, another name throughout. Only kinds whose
  `Corruption.may_be_valid` is true may have this outcome.

Failures: `traceback` (any other exception), `silent` (figures differ and nothing reports it), `outside` (a file outside
the command's folders was created, changed or removed), `lost` (an earlier output is missing after a refusal), `hang`.
An interrupted run continues where it stopped. Prints one line of JSON at the end.
"""

import argparse
import json
import logging
import os
import pickle
import shutil
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before NumPy is imported: its threads deadlock in a forked process
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from upath import UPath

from benchmarks.corruption_inputs import make_inputs
from benchmarks.corruption_kinds import KINDS, Corruption
from components import datasets
from components.contract.card import read_card
from components.contract.files.tables import read_frame, read_json, read_table
from components.evaluation import evaluate_files
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import EvaluationConfig, Settings
from components.workflow import run_stage

RESULTS = Path("benchmarks/results/corruptions.jsonl")
TIME_LIMIT = 120  # seconds of one trial
COMMANDS = ("evaluate", "data add", "run")
SMALL_EVALUATION = EvaluationConfig(bootstrap=20, clones=2, clone_impressions=200, reward_models=(), min_ess=10.0)
FAILURES = ("traceback", "silent", "outside", "lost", "hang")


@dataclass(frozen=True)
class Result:
    """One trial: what was corrupted and the outcome; `message`: the command's message or the traceback's last lines."""

    trial: int
    command: str
    kind: str
    where: str
    outcome: str
    message: str = ""


@dataclass(frozen=True)
class Figures:
    """`digest`: of every figure; `messages`: everything that the outputs report as dropped or unchecked."""

    digest: str
    messages: str


def figures_of(command: str, inputs: Path, project: Path, form: str) -> Figures:
    """The figures of `command` on the inputs in `inputs`; it writes below `project`. `form` is parquet or csv."""
    if command == "evaluate":
        names = [str(inputs / "evaluate" / f"{name}.{form}") for name in ("log", "target", "actions")]
        result = evaluate_files(*names, (0.0, 1.0), SMALL_EVALUATION).to_dict()
        return Figures(_digest({**result, "reasons": None}), "\n".join(result["reasons"]))
    if command == "data add":
        folder = datasets.add("own", UPath(inputs / "shop"), UPath(project / "data"))
        before, after = (
            {name: _rows(table) for name, table in _tables(each).items()} for each in (inputs / "shop", folder)
        )
        return Figures(f"stored unchanged: {before == after}", "")
    return _features(inputs, project)


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: read_table(UPath(folder), name) for name in read_card(UPath(folder)).tables}


def _features(inputs: Path, project: Path) -> Figures:
    paths = Paths.of("shop", str(inputs / "shop"), str(project / "artifacts"))
    for stage in ("validation", "features"):
        run_stage.run(stage, Settings(), paths)
    report = read_json(paths.stage("validation") / "report.json")
    built = {
        name: _rows(read_frame(paths.stage("features") / f"{name}.parquet")) for name in ("impressions", "creatives")
    }
    messages = read_json(paths.stage("features") / "messages.json")
    reported = [report["absent"], report["unchecked"], messages, read_card(paths.stage("validation")).name]
    reported += [[table[key] for key in ("table", "duplicates", "quarantined", "broken")] for table in report["tables"]]
    return Figures(_digest(built), json.dumps(reported, sort_keys=True))


def _rows(table: pd.DataFrame) -> str:
    content = table.to_csv(index=False)
    return sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


# One trial.


def trial(number: int, seed: int, valid: Path, baselines: Mapping[str, Figures], only: str | None = None) -> Result:
    """The result of trial `number`: corrupt a copy of `valid`, run the command in this process, compare its figures.

    baselines: the figures on the valid inputs by command and form; only: the kind of corruption, None for a random one.
    """
    random = np.random.default_rng((seed, number))
    command, form = COMMANDS[number % 3], ("parquet", "csv")[number // 3 % 2]
    kind = only or list(KINDS)[random.integers(len(KINDS))]
    with tempfile.TemporaryDirectory(prefix="adloom-corruptions-") as scratch:
        base = Path(scratch)
        inputs, project = base / "inputs", base / "project"
        part = "evaluate" if command == "evaluate" else "shop"
        shutil.copytree(valid / part, inputs / part)
        (project / "artifacts" / "shop" / "validation").mkdir(parents=True)
        (project / "artifacts" / "shop" / "validation" / "earlier.txt").write_text("earlier")
        (project / "artifacts" / "other.txt").write_text("another data set's")
        corruption = KINDS[kind](inputs / part, random)
        before = _files(base)
        os.chdir(project)
        run = partial(figures_of, command, inputs, project, form)
        outcome, message = _outcome_of(run, baselines[f"{command} {form}"], corruption)
        after = _files(base)
        if _outside(before, after):
            outcome, message = "outside", ", ".join(_outside(before, after))
        elif outcome == "refused" and any(name not in after for name in before):
            outcome = "lost"
        os.chdir("/")
    return Result(number, command, kind, corruption.where, outcome, message[-600:])


def _outcome_of(run: Callable[[], Figures], baseline: Figures, corruption: Corruption) -> tuple[str, str]:
    """(outcome, message) of `run`, before changes of files are considered."""
    try:
        figures = run()
    except UserError as error:
        message = str(error)
        if message.strip() and "Traceback" not in message:
            return "refused", message
        return "traceback", f"no message: {message!r}"
    except Exception:
        return "traceback", traceback.format_exc()
    if figures.digest == baseline.digest:
        return "same", ""
    if figures.messages != baseline.messages:
        return "reported", ""
    return ("undetectable", "") if corruption.may_be_valid else ("silent", "figures differ and nothing reports it")


def _files(base: Path) -> dict[str, str]:
    return {
        path.relative_to(base).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in base.rglob("*")
        if path.is_file()
    }


def _outside(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Files that changed outside the project's `data/own` and `artifacts/shop`."""
    permitted = ("project/data/own/", "project/artifacts/shop/")
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return sorted(name for name in changed if not name.startswith(permitted))


def baselines_of(valid: Path) -> dict[str, Figures]:
    """The figures on the valid inputs, by command and form of its files: `evaluate csv`."""
    baselines = {}
    for command in COMMANDS:
        for form in ("parquet", "csv"):
            with tempfile.TemporaryDirectory() as scratch:
                baselines[f"{command} {form}"] = figures_of(command, valid, Path(scratch), form)
    return baselines


def forked(work: Callable[[], Result], failed: Callable[[str, str], Result]) -> Result:
    """The result of `work` in a forked process; `failed`(outcome, message) if it dies or exceeds TIME_LIMIT."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            signal.alarm(TIME_LIMIT)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(work(), pipe)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if content:
        return pickle.loads(content)
    code = os.waitstatus_to_exitcode(status)
    return failed("hang" if code == -signal.SIGALRM else "traceback", f"the process ended with {code}")


def run_trials(numbers: list[int], seed: int, only: str | None, out: Path) -> dict[int, dict]:
    """The rows of trials `numbers`, by number; each is appended to `out` when it ends."""
    rows = {}
    with tempfile.TemporaryDirectory() as scratch, out.open("a") as file:
        valid = Path(scratch) / "valid"
        make_inputs(valid)
        baselines = baselines_of(valid)
        for number in numbers:
            work = partial(trial, number, seed, valid, baselines, only)
            rows[number] = asdict(forked(work, partial(Result, number, COMMANDS[number % 3], "", "")))
            file.write(json.dumps(rows[number]) + "\n")
            file.flush()
    return rows


def main(arguments: list[str] | None = None) -> dict:
    """Run the trials that the results file lacks; their summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(KINDS), default=None, help="one kind of corruption alone")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    out = options.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    done = {row["trial"]: row for row in map(json.loads, out.read_text().splitlines())} if out.exists() else {}
    missing = [number for number in range(options.trials) if number not in done]
    if missing:
        done |= run_trials(missing, options.seed, options.only, out)
    return summary([done[number] for number in sorted(done) if number < options.trials])


def summary(rows: list[dict]) -> dict:
    """Counts of trials by outcome, in all and by command; and the first 20 failures."""
    failed = [row for row in rows if row["outcome"] in FAILURES]
    return {
        "trials": len(rows),
        "outcomes": dict(sorted(Counter(row["outcome"] for row in rows).items())),
        **{
            command: dict(sorted(Counter(row["outcome"] for row in rows if row["command"] == command).items()))
            for command in COMMANDS
        },
        "failures": len(failed),
        "failed": [{key: row[key] for key in ("trial", "command", "kind", "where", "outcome")} for row in failed[:20]],
    }


if __name__ == "__main__":
    print(json.dumps(main(), ensure_ascii=False))

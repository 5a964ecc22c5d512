"""Does bad input ever end in a traceback, change a figure without a word, or leave its folder?

    python -m benchmarks.corruptions [--trials 2000] [--seed 0] [--only KIND] [--out FILE]

Each trial takes valid inputs, spoils them in one seeded way and gives them to one of three commands: `evaluate`,
`data add`, or `run` up to features. Imports are done once; each trial is a forked process with a time limit. What may
come of it:

- `refused`: a UserError, which is one message in words; what an earlier command left is untouched.
- `same`: every figure equals that of the unspoiled inputs. Figures are: of `evaluate` its whole JSON; of `run` every
  cell of the features of impressions and creatives. `data add` judges nothing: it keeps every row of every table as it
  was given.
- `told`: figures differ, and the outputs say so: rows in quarantine or repeated rows in the report, a rule that could
  not be asked, a message of the features, or another reason of the evaluation.
- `otherwise`: figures differ because the spoiled file, read by itself, is a valid one that says something else, and
  nothing in it tells: a byte that became another digit, a column that may be null and is now absent, another name
  throughout. No program could tell. Only kinds that are marked `legal` may end so.

Everything else is a failure: `traceback` (any other exception), `silent` (figures differ without a word), `outside` (a
file beyond the command's own folders was made, changed or removed), `lost` (an earlier output is gone after a refusal),
`hang`. A run that was cut off goes on where it stopped. Ends with one line of JSON.
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

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: threads of a forked process wait for ever
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from upath import UPath

from components import datasets
from components.contract.card import read_card, write_card
from components.contract.files.tables import read_frame, read_json, read_table, write_table
from components.datasets.marketplace import build_tables
from components.evaluation import evaluate_files
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import EvaluationConfig, Settings, SimulatorConfig
from components.simulator import Photos
from components.workflow import run_stage

RESULTS = Path("benchmarks/results/corruptions.jsonl")
SECONDS = 120  # of one trial
COMMANDS = ("evaluate", "data add", "run")
SIZE = SimulatorConfig(shoppers=60, campaigns=2, creatives_per_campaign=6, events=500, impressions=300, days=8)
QUICK = EvaluationConfig(bootstrap=20, clones=2, clone_impressions=200, reward_models=(), min_ess=10.0)
FAILURES = ("traceback", "silent", "outside", "lost", "hang")
HOSTILE_TEXTS = [
    *("../escaped", "/tmp/escaped", "..", ".", "con", "a\x00b", "a\nb", "x" * 300, "品" * 100, "=1+1", "[/v2]"),
    *("<script>alert(1)</script>", "x' OR '1'='1", "$name", "{0}", "\x1b[2J", "\u202e", "", " ", "null", "NaN", "None"),
]
ODD_NUMBERS = [float("nan"), float("inf"), float("-inf"), 1e300, -1.0, -0.5, 2.0, 1e-300]
# what the contract allows in a number that nothing else in the data can check
WITHIN: dict[str, Callable[[float | None], bool]] = {
    "position": lambda value: value is not None and value >= 1,
    **dict.fromkeys(
        ("value", "dwell_seconds", "price", "cost", "revenue"),
        lambda value: value is None or (np.isfinite(value) and value >= 0),
    ),
}
ODD_TIMES = ["1677-09-22", "1900-01-01", "2261-12-31", "2150-06-01"]


@dataclass(frozen=True)
class Result:
    """One trial: what was spoiled and how it ended; `said` is the message, or the traceback's last lines."""

    trial: int
    command: str
    kind: str
    where: str
    ended: str
    said: str = ""


@dataclass(frozen=True)
class Spoiled:
    """Where a kind of corruption struck, and whether the files may by themselves say something else now."""

    where: str
    legal: bool = False


Spoil = Callable[[Path, np.random.Generator], Spoiled]


# The valid inputs.


def make_inputs(folder: Path) -> None:
    """A small shop in `folder`/shop, and a log, a target and actions for `evaluate` in `folder`/evaluate."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    photos = Photos(tuple(f"photo-{row:02d}" for row in range(20)), pictures, np.arange(20) % 10, np.repeat([0, 1], 10))
    tables, card = build_tables(SIZE, photos)
    shop = folder / "shop"
    for name, table in tables.items():
        write_table(table, UPath(shop / f"{name}.parquet"))
    write_card(card.model_copy(update={"name": "shop", "simulator": None}), UPath(shop))
    _make_log(folder / "evaluate", random)


def _make_log(folder: Path, random: np.random.Generator, n: int = 300) -> None:
    folder.mkdir(parents=True)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    names = np.array([f"arm {code}" for code in range(4)], dtype=object)
    shown, ids = random.choice(4, n, p=shares), [f"i{row}" for row in range(n)]
    log = pd.DataFrame(
        {
            "impression_id": ids,
            "action": names[shown],
            "propensity": shares[shown],
            "reward": (random.random(n) < 0.2).astype(float),
            "timestamp": pd.date_range("2026-01-01", periods=n, freq="61s", tz="UTC"),
            "shopper_id": [f"s{row % 97}" for row in range(n)],
            "position": 1 + np.arange(n) % 3,
            "campaign": np.where(np.arange(n) % 2, "sale", "brand"),
            "context_hour": np.arange(n) % 24,
            "context_device": np.where(np.arange(n) % 3, "phone", "web"),
        }
    )
    target = pd.DataFrame(
        {
            "impression_id": np.repeat(ids, 4),
            "action": np.tile(names, n),
            "probability": np.tile([0.1, 0.2, 0.3, 0.4], n),
        }
    )
    actions = pd.DataFrame(
        {"action": names, "feature_size": [1.0, 2.0, 3.0, 4.0], "feature_tone": ["a", "b", "a", "b"]}
    )
    for name, frame in (("log", log), ("target", target), ("actions", actions)):
        frame.to_parquet(folder / f"{name}.parquet", write_page_checksum=True)
        frame.to_csv(folder / f"{name}.csv", index=False)


# What can be spoiled. Each function changes files in a folder, and says where.


def _some_file(folder: Path, random: np.random.Generator) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return files[random.integers(len(files))]


def _some_table(folder: Path, random: np.random.Generator) -> Path:
    files = sorted(folder.rglob("*.parquet"))
    return files[random.integers(len(files))]


def flip_bytes(folder: Path, random: np.random.Generator) -> Spoiled:
    """1 to 20 bytes become others."""
    path = _some_file(folder, random)
    content = bytearray(path.read_bytes())
    for place in random.integers(0, len(content), random.integers(1, 21)):
        content[place] ^= int(random.integers(1, 256))
    path.write_bytes(content)
    return Spoiled(path.name, legal=True)


def truncate(folder: Path, random: np.random.Generator) -> Spoiled:
    """The file ends somewhere."""
    path = _some_file(folder, random)
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))])
    return Spoiled(path.name, legal=path.suffix in (".csv", ".yaml"))  # a text may end anywhere


def blank_bytes(folder: Path, random: np.random.Generator) -> Spoiled:
    """A stretch of zeros, as a lost block leaves it."""
    path = _some_file(folder, random)
    content = bytearray(path.read_bytes())
    begin = int(random.integers(len(content)))
    end = min(len(content), begin + int(random.integers(1, 4096)))
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return Spoiled(path.name, legal=True)


def append_bytes(folder: Path, random: np.random.Generator) -> Spoiled:
    """More bytes at the end."""
    path = _some_file(folder, random)
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 200))))
    return Spoiled(path.name, legal=path.suffix in (".csv", ".yaml"))


def foreign_file(folder: Path, random: np.random.Generator) -> Spoiled:
    """Something else under the file's name."""
    path = _some_file(folder, random)
    contents = [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"{}",
        b"PAR1PAR1",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"a,b\n1,2\n",
        b"- " * 50_000,
    ]
    path.write_bytes(contents[random.integers(len(contents))])
    return Spoiled(path.name)


def another_tables_file(folder: Path, random: np.random.Generator) -> Spoiled:
    """One table's file under another's name."""
    files = sorted(folder.rglob("*.parquet"))
    one, other = (files[place] for place in random.choice(len(files), 2, replace=False))
    shutil.copyfile(one, other)
    return Spoiled(f"{one.name} as {other.name}")


def missing_file(folder: Path, random: np.random.Generator) -> Spoiled:
    """A file is gone."""
    path = _some_file(folder, random)
    path.unlink()
    return Spoiled(path.name)


def _rewrite(path: Path, table: pa.Table, random: np.random.Generator) -> None:
    """Write `table`, in one of the forms that writers use; the CSV beside it follows."""
    pq.write_table(
        table,
        path,
        compression=str(random.choice(["zstd", "snappy", "none"])),
        use_dictionary=bool(random.integers(2)),
        row_group_size=int(random.choice([50, 1_000_000])),
    )
    beside = path.with_suffix(".csv")
    if not beside.exists():
        return
    names = table.column_names
    try:
        frame = pd.DataFrame({at: table.column(at).to_pandas() for at in range(len(names))})
        frame.to_csv(beside, index=False, header=names)
    except (pa.ArrowException, UnicodeError):  # texts that are none
        beside.write_bytes(beside.read_bytes().replace(b"a", b"\xff"))


def _of(folder: Path, random: np.random.Generator, change: Callable) -> Spoiled:
    """`change`(table, column name, random) -> (table, legal) on some column of some table."""
    path = _some_table(folder, random)
    table = pq.read_table(path).replace_schema_metadata(None)
    name = table.column_names[random.integers(table.num_columns)]
    changed, legal = change(table, name, random)
    _rewrite(path, changed, random)
    return Spoiled(f"{path.name}: {name}", legal)


def _with(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _dropped(table, name, random):
    return table.drop_columns([name]), True  # a column that may be null, or that nobody needs


def _renamed(table, name, random):
    ways = [
        name.upper(),
        f"{name} ",
        f"\ufeff{name}",
        f" {name}",
        name[:-1],
        f"{name}\x00",
        "",
        "context_x",
        "feature_x",
        "é",
    ]
    new = ways[random.integers(len(ways))]
    return table.rename_columns([new if each == name else each for each in table.column_names]), True


def _doubled(table, name, random):
    return table.append_column(name, table.column(name)), False


def _added(table, name, random):
    extra = [("surprise", 1.0), ("context_", 1.0), ("feature_new", float("inf")), ("context_new", None), ("index", 3)]
    new, value = extra[random.integers(len(extra))]
    if new in table.column_names:
        return table, False
    return table.append_column(new, pa.array([value] * table.num_rows)), False


def _retyped(table, name, random):
    """Another type: some mean the same, some are refused, and a text of digits is taken for a name."""
    column, frame = table.column(name), table.column(name).to_pandas()
    ways = [
        lambda: pa.array(frame.astype(str).tolist()),
        lambda: pa.array([[value] for value in frame.astype(str)]),
        lambda: pa.array([{"value": value} for value in frame.astype(str)]),
        lambda: pa.array([str(value).encode("utf-16") for value in frame]),
        lambda: pa.array(pd.to_numeric(frame, errors="coerce").astype(float)),
        lambda: pa.array(pd.factorize(frame)[0] + 0.5),
        lambda: pa.array(pd.factorize(frame)[0].astype(np.int8)),
        lambda: pa.array([True] * len(frame)),
        lambda: pa.array([None] * len(frame)),
        lambda: column.combine_chunks().dictionary_encode(),
        lambda: column.cast(pa.timestamp("us")),
        lambda: column.cast(pa.timestamp("us", "Asia/Shanghai")),
        lambda: column.cast(pa.date32()),
        lambda: column.cast(pa.float32()),
        lambda: column.cast(pa.large_string()),
        lambda: column.cast(pa.decimal128(38, 10)),
    ]
    for place in random.permutation(len(ways)):
        try:
            return _with(table, name, ways[place]()), True
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
    return table, False


def _valued(table, name, random):
    """Some cells hold what the contract has no place for."""
    values = table.column(name).to_pylist()
    kind, within = table.schema.field(name).type, WITHIN.get(name, lambda value: False)
    legal = name == "context_device" or _is_free(kind, name)
    rows = random.choice(len(values), min(len(values), int(random.choice([1, 1, 2, 5, 1000]))), replace=False)
    for row in rows:
        values[row] = _odd(kind, values[row], random)
    try:
        return _with(table, name, pa.array(values, kind)), legal or all(within(values[row]) for row in rows)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _with(table, name, pa.array([None if value is None else str(value) for value in values])), True


def _is_free(kind: pa.DataType, name: str) -> bool:
    """A text or category of the user's own may be any text: another one is another valid file."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or name.startswith(("feature_", "context_"))


def _odd(kind: pa.DataType, value, random):
    if random.random() < 0.3:
        return None
    if pa.types.is_floating(kind):
        return float(random.choice(ODD_NUMBERS))
    if pa.types.is_integer(kind):
        return int(random.choice([-1, 2, 10**9, -(2**62), 2**62]))
    if pa.types.is_timestamp(kind):
        return pd.Timestamp(str(random.choice(ODD_TIMES)), tz="UTC").to_pydatetime()
    if pa.types.is_boolean(kind):
        return None
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [b"", b"\x89PNG", bytes(random.bytes(64)), value[: len(value) // 2]][random.integers(4)]
    return HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))]


def _no_text(table, name, random):
    """A text column whose bytes are no UTF-8."""
    bad = pa.array([b"\xff\xfe" + str(row).encode() for row in range(table.num_rows)], pa.binary())
    return _with(table, name, pa.Array.from_buffers(pa.string(), len(bad), bad.buffers())), False


def _no_rows(table, name, random):
    return table.slice(0, 0), False


def _repeated_rows(table, name, random):
    rows = random.choice(table.num_rows, min(3, table.num_rows), replace=False)
    return pa.concat_tables([table, table.take(rows)]), False


def _shuffled(table, name, random):
    return table.take(random.permutation(table.num_rows)), True  # the order of rows of one moment is the file's


def _conflicting_rows(table, name, random):
    """Rows that share their id with another one and differ from it."""
    row = table.slice(int(random.integers(table.num_rows)), 1)
    kind = table.schema.field(name).type
    try:
        return pa.concat_tables([table, _with(row, name, pa.array([_odd(kind, b"x", random)], kind))]), True
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.concat_tables([table, row]), False


def hostile_names(folder: Path, random: np.random.Generator) -> Spoiled:
    """One campaign, creative, policy, shopper or action is called something hostile, in every table."""
    column = str(
        random.choice(["campaign", "creative_id", "logging_policy", "shopper_id", "category", "action", "placement"])
    )
    new, old = HOSTILE_TEXTS[random.integers(len(HOSTILE_TEXTS))], None
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path).replace_schema_metadata(None)
        if column in table.column_names:
            values = table.column(column).to_pylist()
            old = next((value for value in values if value), None) if old is None else old
            changed = pa.array([new if value == old else value for value in values], table.schema.field(column).type)
            _rewrite(path, _with(table, column, changed), random)
    return Spoiled(f"{column} {new[:20]!r}", legal=True)


def spoiled_card(folder: Path, random: np.random.Generator) -> Spoiled:
    """dataset.yaml lacks a field, has another one, or holds a wrong value; where there is none, a file is missing."""
    path = folder / "dataset.yaml"
    if not path.exists():
        return missing_file(folder, random)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    field = str(random.choice(list(document)))
    values = [
        None,
        "",
        [],
        {},
        float("nan"),
        -1,
        10**400,
        "../escaped",
        "x" * 300,
        [[[]]],
        {"a": {"b": 1}},
        "2026-13-45",
        True,
    ]
    if random.random() < 0.2:
        document.pop(field)
    elif random.random() < 0.1:
        document["surprise"] = 1
    else:
        document[field] = values[random.integers(len(values))]
    text = yaml.safe_dump(document, allow_unicode=True)
    if random.random() < 0.15:  # each line names the one before it nine times
        levels = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30))
        text = f"a0: &a0 [lol]\n{levels}{text}"
    path.write_text(text, encoding="utf-8")
    return Spoiled(
        f"dataset.yaml: {field}",
        legal=field in ("source", "licence", "ends_at", "conversion_window_days", "currency", "name"),
    )


KINDS: dict[str, Spoil] = {
    **{
        kind.__name__: kind
        for kind in (
            *(flip_bytes, truncate, blank_bytes, append_bytes, foreign_file, another_tables_file, missing_file),
            *(hostile_names, spoiled_card),
        )
    },
    "column_dropped": partial(_of, change=_dropped),
    "column_renamed": partial(_of, change=_renamed),
    "column_doubled": partial(_of, change=_doubled),
    "column_added": partial(_of, change=_added),
    "column_retyped": partial(_of, change=_retyped),
    "values": partial(_of, change=_valued),
    "more_values": partial(_of, change=_valued),
    "no_text": partial(_of, change=_no_text),
    "no_rows": partial(_of, change=_no_rows),
    "repeated_rows": partial(_of, change=_repeated_rows),
    "shuffled_rows": partial(_of, change=_shuffled),
    "conflicting_rows": partial(_of, change=_conflicting_rows),
}


# The commands, and the figures that they end in.


@dataclass(frozen=True)
class Figures:
    """`numbers`: a digest of every figure; `words`: all that the outputs say of what was dropped or not asked."""

    numbers: str
    words: str


def figures_of(command: str, inputs: Path, project: Path, form: str) -> Figures:
    """What `command` ends in on the inputs in `inputs`, its outputs below `project`."""
    if command == "evaluate":
        names = [str(inputs / "evaluate" / f"{name}.{form}") for name in ("log", "target", "actions")]
        found = evaluate_files(*names, (0.0, 1.0), QUICK).to_dict()
        return Figures(_digest({**found, "reasons": None}), "\n".join(found["reasons"]))
    if command == "data add":
        folder = datasets.add("own", UPath(inputs / "shop"), UPath(project / "data"))
        given, kept = (
            {name: _rows(table) for name, table in _tables(each).items()} for each in (inputs / "shop", folder)
        )
        return Figures(f"kept as given: {given == kept}", "")
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
    told = [report["absent"], report["unchecked"], messages, read_card(paths.stage("validation")).name]
    told += [[table[key] for key in ("table", "duplicates", "quarantined", "broken")] for table in report["tables"]]
    return Figures(_digest(built), json.dumps(told, sort_keys=True))


def _rows(table: pd.DataFrame) -> str:
    content = table.to_csv(index=False)
    return sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


# One trial.


def trial(number: int, seed: int, valid: Path, baselines: Mapping[str, Figures], only: str | None = None) -> Result:
    """Spoil, run and judge: in this process, in a folder of its own."""
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
        struck = KINDS[kind](inputs / part, random)
        before = _files(base)
        os.chdir(project)
        ended, said = _judged(command, inputs, project, form, baselines[f"{command} {form}"], struck)
        after = _files(base)
        if _outside(before, after):
            ended, said = "outside", ", ".join(_outside(before, after))
        elif ended == "refused" and any(name not in after for name in before):
            ended = "lost"
        os.chdir("/")
    return Result(number, command, kind, struck.where, ended, said[-600:])


def _judged(
    command: str, inputs: Path, project: Path, form: str, baseline: Figures, struck: Spoiled
) -> tuple[str, str]:
    try:
        found = figures_of(command, inputs, project, form)
    except UserError as error:
        said = str(error)
        return ("refused", said) if said.strip() and "Traceback" not in said else ("traceback", f"no message: {said!r}")
    except Exception:
        return "traceback", traceback.format_exc()
    if found.numbers == baseline.numbers:
        return "same", ""
    if found.words != baseline.words:
        return "told", ""
    return ("otherwise", "") if struck.legal else ("silent", "figures differ and nothing says why")


def _files(base: Path) -> dict[str, str]:
    return {
        path.relative_to(base).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in base.rglob("*")
        if path.is_file()
    }


def _outside(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Files that changed beyond `data/own` and `artifacts/shop` of the project."""
    own = ("project/data/own/", "project/artifacts/shop/")
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return sorted(name for name in changed if not name.startswith(own))


def baselines_of(valid: Path) -> dict[str, Figures]:
    """What each command ends in on the unspoiled inputs, by command and form of its files."""
    found = {}
    for command in COMMANDS:
        for form in ("parquet", "csv"):
            with tempfile.TemporaryDirectory() as scratch:
                found[f"{command} {form}"] = figures_of(command, valid, Path(scratch), form)
    return found


def forked(work: Callable[[], Result], failed: Callable[[str, str], Result]) -> Result:
    """`work` in a process of its own; what ends it without a result, or after SECONDS, is a result, too."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            signal.alarm(SECONDS)
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
    ended = os.waitstatus_to_exitcode(status)
    return failed("hang" if ended == -signal.SIGALRM else "traceback", f"the process ended with {ended}")


def main(arguments: list[str] | None = None) -> dict:
    """Run the trials that are not in the file yet; what they ended in, counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(KINDS), default=None, help="one kind of corruption alone")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    out = asked.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    done = {row["trial"]: row for row in map(json.loads, out.read_text().splitlines())} if out.exists() else {}
    with tempfile.TemporaryDirectory() as scratch, out.open("a") as file:
        valid = Path(scratch) / "valid"
        make_inputs(valid)
        baselines = baselines_of(valid)
        for number in range(asked.trials):
            if number in done:
                continue
            work = partial(trial, number, asked.seed, valid, baselines, asked.only)
            result = forked(
                work, lambda ended, said, number=number: Result(number, COMMANDS[number % 3], "", "", ended, said)
            )
            done[number] = asdict(result)
            file.write(json.dumps(done[number]) + "\n")
            file.flush()
    return summary([done[number] for number in sorted(done) if number < asked.trials])


def summary(rows: list[dict]) -> dict:
    """Trials by how they ended, by command; and those that failed."""
    failed = [row for row in rows if row["ended"] in FAILURES]
    return {
        "trials": len(rows),
        "ended": dict(sorted(Counter(row["ended"] for row in rows).items())),
        **{
            command: dict(sorted(Counter(row["ended"] for row in rows if row["command"] == command).items()))
            for command in COMMANDS
        },
        "failures": len(failed),
        "failed": [{key: row[key] for key in ("trial", "command", "kind", "where", "ended")} for row in failed[:20]],
    }


if __name__ == "__main__":
    print(json.dumps(main(), ensure_ascii=False))

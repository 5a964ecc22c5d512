"""`adloom evaluate` on files: what works, and one sentence for everything that does not."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.evaluation import evaluate_files
from components.evaluation.log_files import read_decisions, read_files
from components.settings.errors import UserError
from components.settings.sections import EvaluationConfig
from tests.components.evaluation.logs import known_log

QUICK = EvaluationConfig(bootstrap=100, clones=2, clone_impressions=500, reward_models=(), min_ess=100.0)


def frames() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    known = known_log(0, n=3000)
    log, names = known.log, known.log.action_names
    rows = pd.DataFrame(
        {
            "impression_id": log.impression,
            "action": names[log.action[log.logged]],
            "propensity": log.propensity,
            "reward": log.reward,
            "shopper_id": log.cluster,
            "position": 1,
            "timestamp": pd.Timestamp("2026-01-01T00:00:00Z") + pd.to_timedelta(np.arange(log.n), unit="s"),
            "context_a": log.context[:, 0],
        }
    )
    owner = np.repeat(log.impression, np.diff(log.offsets))
    target = pd.DataFrame({"impression_id": owner, "action": names[log.action], "probability": known.target})
    features = pd.DataFrame({"action": names, "feature_x": log.action_features[:, 0]})
    return rows, target, features


def written(folder, rows, target, features=None, suffix="parquet"):
    paths = []
    for name, frame in (("log", rows), ("target", target), ("actions", features)):
        path = folder / f"{name}.{suffix}"
        if frame is not None:
            frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        paths.append(str(path) if frame is not None else None)
    return paths


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_reads_both_formats_to_the_same_numbers(tmp_path, suffix):
    paths = written(tmp_path, *frames(), suffix=suffix)
    decisions, probability = read_decisions(*paths, (0.0, 1.0))
    known = known_log(0, n=3000)
    weight = decisions.weight(probability)
    assert weight @ decisions.reward == pytest.approx(known.log.weight(known.target) @ known.log.reward)
    assert evaluate_files(*paths, (0.0, 1.0), QUICK).estimate("mips").interval is not None


def test_names_that_look_like_no_value_are_names(tmp_path):
    rows, target, features = (
        frame.replace({"action": {"a0": "None", "a1": "NA"}, "impression_id": {"7": "null"}}) for frame in frames()
    )
    paths = written(tmp_path, rows, target, features, suffix="csv")
    decisions, _ = read_decisions(*paths, (0.0, 1.0))
    assert {"None", "NA"} <= set(decisions.action_names) and len(decisions.action_names) == 12
    assert decisions.impression[7] == "null"
    for column in ("impression_id", "action"):
        empty = rows.assign(**{column: rows[column].where(rows.index != 2, "")})
        with pytest.raises(UserError, match=rf"log\.csv: column {column} is empty, such as in row 3"):
            read_decisions(*written(tmp_path, empty, target, suffix="csv"), (0.0, 1.0))


def test_without_actions_mips_says_why(tmp_path):
    rows, target, _ = frames()
    evaluation = evaluate_files(*written(tmp_path, rows, target), (0.0, 1.0), QUICK)
    assert evaluation.estimate("mips").interval is None
    assert any("mips" in reason for reason in evaluation.reasons)


@pytest.mark.parametrize("two_kinds", [False, True])
def test_with_features_that_tell_no_actions_apart_mips_says_why(tmp_path, two_kinds):
    """All actions alike, or told apart by a feature that is the same for all that an impression could show."""
    rows, target, features = frames()
    features = features.assign(feature_x=1.0)
    if two_kinds:
        half = [frame.assign(action=frame["action"] + "'") for frame in (rows, target, features)]
        features = pd.concat([features, half[2].assign(feature_x=2.0)])
        odd = [frame["impression_id"].astype(int) % 2 == 1 for frame in (rows, target)]
        rows, target = rows.where(~odd[0], half[0]), target.where(~odd[1], half[1])
    evaluation = evaluate_files(*written(tmp_path, rows, target, features), (0.0, 1.0), QUICK)
    assert evaluation.estimate("mips").interval is None
    assert "all actions have the same features" in evaluation.estimate("mips").why_not
    assert any("all actions have the same features" in reason for reason in evaluation.reasons)


def test_a_logged_action_outside_the_target_has_probability_zero(tmp_path):
    rows, target, _ = frames()
    shown = target["action"].to_numpy() == np.repeat(rows["action"].to_numpy(), 6)
    first = np.repeat(np.arange(3000) < 5, 6)
    target = target[~(shown & first)]
    total = target.groupby("impression_id")["probability"].transform("sum")
    target = target.assign(probability=target["probability"] / total)
    decisions, probability = read_decisions(*written(tmp_path, rows, target), (0.0, 1.0))
    assert (probability[decisions.logged][:5] == 0).all() and (np.diff(decisions.offsets) == 6).all()


MISTAKES = {
    "propensity zero": ("log", "propensity", 0.0, "propensity must be above 0"),
    "propensity negative": ("log", "propensity", -0.1, "propensity must be above 0"),
    "propensity above one": ("log", "propensity", 1.5, "propensity must be above 0 and at most 1"),
    "propensity absent": ("log", "propensity", None, "propensity is not a finite number"),
    "propensity text": ("log", "propensity", "often", "propensity is not a number"),
    "reward text": ("log", "reward", "bought", "reward is not a number"),
    "reward absent": ("log", "reward", None, "reward is not a finite number"),
    "position below 0": ("log", "position", -1, "position is below 0"),
    "position text": ("log", "position", "top", "position is not a number"),
    "time that is none": ("log", "timestamp", "soon", "timestamp is not a time"),
    "reward outside": ("log", "reward", 3.0, "reward is outside the reward range"),
    "reward infinite": ("log", "reward", np.inf, "reward is not a finite number"),
    "duplicate id": ("log", "impression_id", "7", "impression_id repeats an id"),
    "empty id": ("log", "impression_id", None, "impression_id is empty"),
    "sum": ("target", "probability", 0.99, "must sum to 1"),
    "probability text": ("target", "probability", "half", "probability is not a number"),
    "probability absent": ("target", "probability", None, "probability is not a finite number"),
    "probability negative": ("target", "probability", -0.1, "probability must be between 0 and 1"),
    "probability above one": ("target", "probability", 2.0, "probability must be between 0 and 1"),
    "unknown impression": ("target", "impression_id", "elsewhere", "names an impression"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_name_column_and_row(tmp_path, mistake):
    table, column, value, words = MISTAKES[mistake]
    rows, target, _ = frames()
    faulty = rows if table == "log" else target
    values = faulty[column].astype(object).tolist()
    values[2] = value
    mixed = faulty.assign(**{column: values})
    if column != "impression_id" and not isinstance(value, str):
        mixed[column] = mixed[column].astype(float)
    rows, target = (mixed, target) if table == "log" else (rows, mixed)
    suffix = "csv" if isinstance(value, str) and column != "impression_id" else "parquet"
    with pytest.raises(UserError) as error:
        evaluate_files(*written(tmp_path, rows, target, suffix=suffix), (0.0, 1.0), QUICK)
    assert words in str(error.value) and f"{table}." in str(error.value) and "in row" in str(error.value)


def test_an_impression_without_target_rows(tmp_path):
    rows, target, _ = frames()
    with pytest.raises(UserError, match="without rows in"):
        evaluate_files(*written(tmp_path, rows, target[target["impression_id"] != "4"]), (0.0, 1.0), QUICK)


def test_an_action_missing_from_actions(tmp_path):
    rows, target, features = frames()
    with pytest.raises(UserError, match=r"column action lacks 1 actions.* such as a0"):
        evaluate_files(*written(tmp_path, rows, target, features.iloc[1:]), (0.0, 1.0), QUICK)


def test_missing_column_file_and_format(tmp_path):
    rows, target, _ = frames()
    with pytest.raises(UserError, match="column reward is missing"):
        evaluate_files(*written(tmp_path, rows.drop(columns="reward"), target), (0.0, 1.0), QUICK)
    with pytest.raises(UserError, match="no such file"):
        evaluate_files(str(tmp_path / "gone.csv"), str(tmp_path / "gone.csv"), None, (0.0, 1.0), QUICK)
    with pytest.raises(UserError, match=r"must end in \.parquet or \.csv"):
        evaluate_files(str(tmp_path / "log.xlsx"), str(tmp_path / "t.csv"), None, (0.0, 1.0), QUICK)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing more")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        evaluate_files(str(broken), str(broken), None, (0.0, 1.0), QUICK)


def test_reward_range_must_be_one(tmp_path):
    with pytest.raises(UserError, match="--reward-range 1 0"):
        evaluate_files("log.csv", "target.csv", None, (1.0, 0.0), QUICK)


def test_a_damaged_page_is_found_by_its_checksum(tmp_path):
    names = [f"arm {row % 3}" for row in range(300)]
    log = pd.DataFrame(
        {"impression_id": [f"i{row}" for row in range(300)], "action": names, "propensity": 1 / 3, "reward": 0.0}
    )
    log.to_parquet(tmp_path / "log.parquet", compression=None, write_page_checksum=True)
    content = (tmp_path / "log.parquet").read_bytes()
    (tmp_path / "log.parquet").write_bytes(content.replace(b"i123", b"i99x", 1))
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_decisions(str(tmp_path / "log.parquet"), "nowhere.parquet", None, (0.0, 1.0))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["position", "context_hour"])
def test_an_infinite_context_is_refused_and_an_empty_one_is_told_of(tmp_path, column, suffix):
    ids = {"impression_id": ["a", "b"], "action": "x"}
    target, path = tmp_path / "target.csv", tmp_path / f"log.{suffix}"
    pd.DataFrame({**ids, "probability": 1.0}).to_csv(target, index=False)

    def read(values):
        rows = pd.DataFrame({**ids, "propensity": 1.0, "reward": 0.0, column: values})
        rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
        return read_files(str(path), str(target), None, (0.0, 1.0))

    with pytest.raises(UserError, match=f"column {column} is not a finite number"):
        read([1.0, np.inf])
    assert [finding.message for finding in read([1.0, np.nan]).findings if finding.kind == "absent_context"] == [
        f"context is empty in some of the 2 impressions, and counts as 0 or as unknown: {column} in 1"
    ]


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "log.csv").write_text("impression_id,action,propensity,reward,reward\na,x,1.0,0,1\n")
    with pytest.raises(UserError, match="has two columns called reward"):
        read_files(str(tmp_path / "log.csv"), "nowhere.csv", None, (0.0, 1.0))


def test_two_columns_of_one_name_are_refused_in_parquet_too(tmp_path):
    columns = [pa.array(["a"]), pa.array(["x"]), pa.array([1.0]), pa.array([0.0]), pa.array(["x"])]
    pq.write_table(
        pa.table(columns, ["impression_id", "action", "propensity", "reward", "action"]), tmp_path / "l.parquet"
    )
    with pytest.raises(UserError, match="has two columns called action"):
        read_files(str(tmp_path / "l.parquet"), "nowhere.parquet", None, (0.0, 1.0))


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"{}", b'{"index_columns": 3, "columns": [], "column_indexes": []}'])
def test_damaged_metadata_of_pandas_are_no_traceback(tmp_path, metadata):
    table = pa.table({"impression_id": ["a"], "action": ["x"], "propensity": [1.0], "reward": [0.0]})
    pq.write_table(table.replace_schema_metadata({b"pandas": metadata}), tmp_path / "log.parquet")
    with pytest.raises(UserError, match=r"cannot be read as parquet|no such file"):
        read_files(str(tmp_path / "log.parquet"), str(tmp_path / "nowhere.parquet"), None, (0.0, 1.0))


@pytest.mark.parametrize("name", ["log", "target", "actions"])
def test_text_that_is_no_text_is_refused_by_file(tmp_path, name):
    ids = pa.array(["a", "b"])
    bad = pa.array([b"\xff\xfe1", b"\xff\xfe2"], pa.binary())
    tables = {
        "log": {"impression_id": ids, "action": ["x", "y"], "propensity": [0.5, 0.5], "reward": [0.0, 1.0]},
        "target": {"impression_id": ids, "action": ["x", "y"], "probability": [1.0, 1.0]},
        "actions": {"action": ["x", "y"], "feature_size": [1.0, 2.0]},
    }
    tables[name]["action"] = pa.Array.from_buffers(pa.string(), 2, bad.buffers())
    for file, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{file}.parquet")
    with pytest.raises(UserError, match=f"{name}.parquet: cannot be read as parquet: .*UTF8"):
        read_files(*(str(tmp_path / f"{file}.parquet") for file in tables), (0.0, 1.0))

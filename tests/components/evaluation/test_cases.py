"""Logs of kinds met in public reports (tests/cases/*/EXPECT.md), and what varies within each kind."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.evaluation import evaluate_files
from components.evaluation.log_files import read_decisions
from components.evaluation.result import Evaluation
from components.settings.errors import UserError
from components.settings.sections import EvaluationConfig

CASES = Path(__file__).parents[2] / "cases"
QUICK = EvaluationConfig(bootstrap=100, clones=4, clone_impressions=1000, reward_models=(), min_ess=100.0)
N = 6000


def judged(case: str, actions: str | None = None) -> Evaluation:
    folder = CASES / case
    paths = [str(folder / f"{name}.parquet") for name in ("log", "target")]
    return evaluate_files(*paths, None if actions is None else str(folder / actions), (0.0, 1.0), QUICK)


def critical(evaluation: Evaluation) -> set[str]:
    return {finding.kind for finding in evaluation.findings if finding.severity == "critical"}


def made(
    share: np.ndarray, claimed: np.ndarray, seed: int = 0, n: int = N, target: np.ndarray | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """LOG and TARGET: actions shown with probability `share`, logged as if with `claimed`, both [actions]."""
    generator = np.random.default_rng(seed)
    shown = generator.choice(len(share), n, p=share)
    names = np.array([f"arm {code}" for code in range(len(share))], dtype=object)
    ids = np.array([f"i{row}" for row in range(n)], dtype=object)
    reward = (generator.random(n) < 0.08).astype(float)
    log = pd.DataFrame({"impression_id": ids, "action": names[shown], "propensity": claimed[shown], "reward": reward})
    policy = np.full(len(share), 1 / len(share)) if target is None else target
    pairs = {"impression_id": np.repeat(ids, len(share)), "action": np.tile(names, n)}
    return log, pd.DataFrame({**pairs, "probability": np.tile(policy, n)})


def evaluated(
    folder: Path, log: pd.DataFrame, target: pd.DataFrame, suffix: str = "parquet", actions: pd.DataFrame | None = None
) -> Evaluation:
    paths = []
    for name, frame in (("log", log), ("target", target), ("actions", actions)):
        path = folder / f"{name}.{suffix}"
        if frame is not None:
            frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        paths.append(None if frame is None else str(path))
    return evaluate_files(*paths, (0.0, 1.0), QUICK)


UNEVEN = np.array([0.30, 0.25, 0.20, 0.15, 0.10])


def test_uniform_propensities_of_a_log_that_shows_arms_unevenly_are_refused_by_name():
    evaluation = judged("claimed_uniform_trusted")
    assert evaluation.verdict == "abstain" and evaluation.lift is None
    words = evaluation.reasons[0]
    assert "red 3,596 times, 2,400 expected (30.0% of the 12,000 impressions at which it was eligible" in words
    assert "its propensity says 20.0%" in words and "grey 1,235 times" in words


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("written", ["float64", "float32", "float16"])
def test_a_false_claim_is_seen_in_every_type(tmp_path, suffix, written):
    claimed = np.full(5, 0.2).astype(written)
    assert "sample_ratio" in critical(evaluated(tmp_path, *made(UNEVEN, claimed), suffix=suffix))


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_a_false_claim_is_seen_in_rounded_propensities(tmp_path, decimals):
    share = np.array([0.24, 0.16, 0.12, 0.12, 0.12, 0.12, 0.12])
    log, target = made(share, np.full(7, round(1 / 7, decimals)))
    evaluation = evaluated(tmp_path, log.assign(other=1, note="x")[[*log.columns[::-1], "other", "note"]], target)
    assert "sample_ratio" in critical(evaluation) and "arm 0" in evaluation.reasons[0]


def test_a_claim_that_depends_on_contexts_is_held_to_what_it_allows(tmp_path):
    """No distribution is implied, so only what is shown too often is seen: arm 0, and by name."""
    log, target = made(UNEVEN, np.full(5, 0.2), n=12_000)
    noise = np.random.default_rng(1).uniform(0.9, 1.1, len(log))
    evaluation = evaluated(tmp_path, log.assign(propensity=log["propensity"] * noise), target)
    assert "propensity_bound" in critical(evaluation)
    words = next(finding.message for finding in evaluation.findings if finding.kind == "propensity_bound")
    assert "arm 0 in 29." in words and "arm 1 in " in words and "arm 4" not in words
    assert "with a propensity of 0.18 to 0.22" in words


@pytest.mark.parametrize("listed", ["all", "with a chance", "chosen and shown"])
def test_action_sets_that_depend_on_what_was_shown_raise_no_alarm(tmp_path, listed):
    """A target that always chooses arm 1, whose file lists every arm, that one alone, or it and the shown one."""
    log, target = made(UNEVEN, UNEVEN * 1.0, target=np.array([0, 1.0, 0, 0, 0]))
    shown = np.repeat(log["action"].to_numpy(), 5) == target["action"].to_numpy()
    rows = {"all": target["probability"] >= 0, "with a chance": target["probability"] > 0}
    rows["chosen and shown"] = (target["probability"] > 0) | shown
    assert not critical(evaluated(tmp_path, log, target[rows[listed]]))


def test_an_honest_uniform_log_of_float32_is_trusted():
    evaluation = judged("uniform_float32_false_alarm")
    assert evaluation.verdict == "trust" and not critical(evaluation)


@pytest.mark.parametrize(("actions", "suffix"), [(3, "csv"), (7, "parquet"), (13, "csv")])
@pytest.mark.parametrize("written", ["float16", "float32", "float64", 2, 3, 4, 6])
def test_rounding_is_no_evidence(tmp_path, written, actions, suffix):
    exact = np.full(actions, 1 / actions)
    claimed = exact.astype(written) if isinstance(written, str) else np.round(exact, written)
    assert not critical(evaluated(tmp_path, *made(exact, claimed), suffix=suffix))


@pytest.mark.parametrize("written", ["float16", "float32", 2, 3, 4, 6])
def test_rounding_of_unequal_propensities_is_no_evidence(tmp_path, written):
    share = np.random.default_rng(3).dirichlet(np.full(6, 6.0))
    claimed = share.astype(written) if isinstance(written, str) else np.round(share, written)
    evaluation = evaluated(tmp_path, *made(share, claimed, target=share[::-1].copy()))
    assert not critical(evaluation)
    rounding = [reason for reason in evaluation.reasons if "look rounded" in reason]
    assert bool(rounding) == (written == 2)


def test_the_reader_is_told_what_was_not_checked(tmp_path):
    log, target = made(UNEVEN, UNEVEN)
    assert not any("check" in reason for reason in evaluated(tmp_path, log, target).reasons)
    vague = log.assign(propensity=log["propensity"] * np.random.default_rng(1).uniform(0.99, 1.0, N))
    assert any("one direction only" in reason for reason in evaluated(tmp_path, vague, target).reasons)
    few = vague.head(40), target.head(200)
    evaluation = evaluated(tmp_path, *few)
    assert any("nothing in the log can check its propensities" in reason for reason in evaluation.reasons)
    assert "nothing in the log can check" in evaluation.to_text()
    assert any("nothing in the log can check" in reason for reason in evaluation.to_dict()["reasons"])


def test_rows_without_a_shopper_are_no_shopper_of_many_rows():
    evaluation = judged("anonymous_shopper_empty_parquet")
    assert evaluation.verdict == "trust"
    assert any(
        "3,671 of 6,000 impressions have no known shopper (shopper_id is '')" in reason for reason in evaluation.reasons
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("unknown", [None, "", "  ", "nan", "None", "NULL", "unknown", "<NA>", np.nan, "N/A"])
def test_unknown_shoppers_stand_alone_however_they_are_written(tmp_path, unknown, suffix):
    log, target = made(UNEVEN, UNEVEN)
    known = pd.Series([f"s{row % 900}" for row in range(N)], dtype=object)
    mixed = known.where(np.arange(N) % 2 == 0, unknown)
    evaluation = evaluated(tmp_path, log.assign(shopper_id=mixed), target, suffix=suffix)
    assert any("3,000 of 6,000 impressions have no known shopper" in reason for reason in evaluation.reasons)
    assert evaluation.verdict == "trust"
    decisions, _ = read_decisions(str(tmp_path / f"log.{suffix}"), str(tmp_path / f"target.{suffix}"), None, (0.0, 1.0))
    assert len(np.unique(decisions.cluster[1::2])) == 3000 and len(np.unique(decisions.cluster[::2])) == 450


@pytest.mark.parametrize("name", ["crawler", "0", 0])
def test_one_shopper_with_many_rows_is_named_and_limited(tmp_path, name):
    log, target = made(UNEVEN, UNEVEN)
    mine = np.arange(N) % 5 == 0
    shoppers = pd.Series([row % 900 + 1 if name == 0 else f"s{row % 900}" for row in range(N)]).where(~mine, name)
    evaluation = evaluated(tmp_path, log.assign(shopper_id=shoppers), target)
    assert evaluation.verdict == "abstain" and f"shopper '{name}' has 20.0% of the impressions" in evaluation.reasons[0]
    assert "at most 10.0% may (evaluation.max_shopper_share)" in evaluation.reasons[0]


def test_one_shopper_with_a_good_many_rows_is_told_of(tmp_path):
    log, target = made(UNEVEN, UNEVEN)
    shoppers = pd.Series([f"s{row % 900}" for row in range(N)]).where(np.arange(N) % 14 != 0, "crawler")
    evaluation = evaluated(tmp_path, log.assign(shopper_id=shoppers), target)
    assert evaluation.verdict == "trust"
    assert "notice: shopper 'crawler' has 7.1% of the impressions" in evaluation.reasons


def test_actions_that_never_meet_are_shown_from_both_sides_with_the_cause():
    with pytest.raises(UserError) as error:
        judged("no_action_in_common_float_actions")
    words = str(error.value)
    assert "none of its 5 actions" in words and "'11'" in words and "'11.0'" in words and "11 and 11.0" in words
    with pytest.raises(UserError, match=r"'blue '.*differ in blanks around them only"):
        judged("no_action_in_common_trailing_blank_actions")


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [("ARM 1", "capital letters"), (" arm 1", "blanks"), ("'arm 1'", "quotation"), ("ａｒｍ 1", "Unicode")],
)
def test_some_actions_written_otherwise_are_refused_by_name(tmp_path, wrong, cause):
    log, target = made(UNEVEN, UNEVEN)
    log = log.assign(action=log["action"].replace("arm 1", wrong))
    with pytest.raises(UserError) as error:
        evaluated(tmp_path, log, target)
    assert "'arm 1'" in str(error.value) and cause in str(error.value)


def test_actions_that_the_target_never_names_are_told(tmp_path):
    log, target = made(UNEVEN, UNEVEN, target=np.array([0.25, 0.25, 0.25, 0.25, 0.0]))
    evaluation = evaluated(tmp_path, log, target[target["action"] != "arm 4"])
    assert evaluation.verdict == "trust"
    assert any(
        "1 of the log's 5 actions, such as 'arm 4', are in no row of the target" in reason
        for reason in evaluation.reasons
    )


def test_float_noise_beyond_0_and_1_is_within_the_tolerance_of_sums(tmp_path):
    assert judged("float_noise_outside_0_1").estimate("ips").interval is not None
    log, target = made(UNEVEN, UNEVEN, target=np.array([1.0, 0, 0, 0, 0]))
    noisy = target.assign(probability=target["probability"] + np.tile([2e-16, -1e-12, 0, 0, 1e-12], N))
    assert evaluated(tmp_path, log, noisy).estimate("ips").interval is not None
    with pytest.raises(UserError, match="propensity must be above 0 and at most 1"):
        evaluated(tmp_path, log.assign(propensity=1.001), target)


def test_target_probabilities_of_few_digits(tmp_path):
    """Six decimals and float32 explain what a sum is off by; two decimals are for the target's author to mend."""
    share = np.random.default_rng(0).dirichlet(np.full(5, 5.0))
    for written in (np.round(share, 6), np.round(share, 4), share.astype("float32"), share.astype("float16")):
        assert not critical(evaluated(tmp_path, *made(UNEVEN, UNEVEN, target=written)))
    with pytest.raises(UserError, match=r"must sum to 1.*rounded to 2 decimals"):
        evaluated(tmp_path, *made(np.full(3, 1 / 3), np.full(3, 1 / 3), target=np.full(3, 0.33)))


def test_lists_of_numbers_are_features():
    evaluation = judged("unhashable_actions_embedding", "actions.parquet")
    assert evaluation.estimate("mips").interval is not None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0, 2.0], [1.0], [0.0, 1.0], [3.0, 4.0], [5.0, 6.0]], "list of another length than 2"),
        ([["a"], ["b"], ["c"], ["d"], ["e"]], "not of finite numbers"),
        ([[1.0], None, [2.0], [3.0], [4.0]], "has no list of numbers"),
        ([{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, {"x": 5}], "type dict"),
    ],
)
def test_features_that_are_no_numbers_are_named(tmp_path, values, words):
    log, target = made(UNEVEN, UNEVEN)
    actions = pd.DataFrame({"action": [f"arm {code}" for code in range(5)], "feature_vector": values})
    with pytest.raises(UserError, match=rf"column feature_vector .*{words}"):
        evaluated(tmp_path, log, target, actions=actions)


@pytest.mark.parametrize("column", ["reward", "context_tags", "shopper_id", "position", "timestamp"])
def test_a_list_in_a_column_of_the_log_is_named(tmp_path, column):
    log, target = made(UNEVEN, UNEVEN)
    with pytest.raises(UserError, match=f"column {column} holds values of type ndarray"):
        evaluated(tmp_path, log.assign(**{column: [[0.0, 1.0]] * N}), target)


def test_ids_in_the_index_are_read(tmp_path):
    assert judged("id_is_the_index").verdict == "trust"
    log, target = made(UNEVEN, UNEVEN)
    both = evaluated(tmp_path, log.set_index(["impression_id", "action"]), target.set_index("impression_id"))
    assert both.estimate("ips").interval == evaluated(tmp_path, log, target).estimate("ips").interval


def test_epoch_times_of_two_units_are_refused_with_an_example_of_each():
    with pytest.raises(UserError) as error:
        judged("epoch_mixed_units")
    words = str(error.value)
    assert "1767405600 in row 3001 is in seconds" in words and "1767225600000 in row 1 is in milliseconds" in words

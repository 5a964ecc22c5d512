"""One contract for every policy that can be chosen, then what each promises beyond it."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.policies import (
    POLICIES,
    ChiSquare,
    Choices,
    EpsilonGreedy,
    Softmax,
    Uniform,
    eligible_pairs,
    pair_offsets,
)
from components.policies.kinds.epsilon_greedy import Ranked
from components.policies.kinds.learned_scores import LearnedScores
from components.policies.kinds.seeded_draws import seeded_normals
from components.policies.kinds.softmax import BoundedSoftmax
from components.policies.kinds.thompson import Thompson, ThompsonConfig
from components.policies.policy_package import PARAMETERS_FILE, PolicyPackage
from components.policies.ragged_rows import draw_per_row, row_sums
from components.settings.errors import EarlierFormat, UserError
from tests.components.policies.packages import package


def ragged_scores(seed: int) -> Choices:
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 9, 200)
    offsets, scores = np.concatenate([[0], np.cumsum(counts)]), generator.random(counts.sum())
    names = np.array([f"c{number}" for count in counts for number in range(count)], dtype=object)
    decisions = np.array([f"i{number}" for number in range(len(counts))], dtype=object)
    return Choices(offsets, scores, decision_ids=decisions, creative_ids=names)


def row(scores, base=None, offsets=None, errors=None) -> Choices:
    """One decision over `scores`, or those that `offsets` tell apart."""
    scores = np.asarray(scores, dtype=float)
    preference = None if base is None else np.log(base, out=np.full(len(base), -np.inf), where=np.asarray(base) > 0)
    offsets = np.array([0, len(scores)] if offsets is None else offsets)
    decisions = np.array([f"i{number}" for number in range(len(offsets) - 1)], dtype=object)
    names = np.array([f"c{number}" for number in range(len(scores))], dtype=object)
    return Choices(offsets, scores, errors, preference, None, decisions, names)


def reordered(choices: Choices, seed: int) -> tuple[Choices, np.ndarray]:
    """The same decisions in another order, their creatives too; and where each pair came from, int64 [n_pairs]."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(choices.offsets) - 1)
    places = [random.permutation(np.arange(*choices.offsets[number : number + 2])) for number in order]
    place = np.concatenate(places)
    moved = {
        name: None if getattr(choices, name) is None else getattr(choices, name)[place]
        for name in ("scores", "score_errors", "preference", "shown", "creative_ids")
    }
    offsets = np.cumsum([0, *(len(places_of_decision) for places_of_decision in places)])
    return replace(choices, offsets=offsets, decision_ids=choices.decision_ids[order], **moved), place


def scores_for(name: str) -> LearnedScores | None:
    """Some scores for a package of the policy `name`, if it learns its own."""
    rows = pd.DataFrame({"segment": ["any", "any"], "creative_id": ["a", "b"], "score": [0.01, 0.02]})
    return None if POLICIES[name].learn is None else LearnedScores(rows)


@pytest.fixture(params=[(form, T) for form in ("per_shopper", "table") for T in (1e-3, 0.1, 1.0)], ids=str)
def made(request):
    """Every policy in one of its two forms, by default settings, at one temperature."""
    form, temperature = request.param

    def make(name: str):
        kind = POLICIES[name]
        return (kind.make if form == "per_shopper" else kind.for_table)(kind.settings(), temperature)

    return make


@pytest.mark.parametrize("name", POLICIES)
class TestEveryPolicy:
    def test_is_a_distribution_over_each_impression(self, name, made):
        choices = ragged_scores(1)
        probabilities = made(name).probabilities(choices)
        assert probabilities.dtype == np.float64 and probabilities.shape == choices.scores.shape
        assert probabilities.min() >= 0 and probabilities.max() <= 1 + 1e-12
        np.testing.assert_allclose(row_sums(probabilities, choices.offsets), 1.0, atol=1e-12)

    def test_survives_scores_at_the_edges(self, name, made):
        probabilities = made(name).probabilities(row([0.0, 1.0, 1e-300], offsets=[0, 2, 3]))
        assert np.isfinite(probabilities).all() and probabilities[2] == pytest.approx(1.0)

    def test_never_prefers_the_worse_creative_unless_its_record_allows_it(self, name, made):
        if not POLICIES[name].prefers_better:
            return
        choices = ragged_scores(2)
        probabilities, scores = made(name).probabilities(choices), choices.scores
        for start, end in itertools.pairwise(choices.offsets):
            assert (np.diff(probabilities[start:end][np.argsort(scores[start:end])]) >= -1e-12).all()

    def test_gives_nothing_to_what_the_base_never_shows(self, name, made):
        choices = ragged_scores(5)
        never = np.random.default_rng(5).random(len(choices.scores)) < 0.4
        never[choices.offsets[:-1]] = False
        preference = np.where(never, -np.inf, np.random.default_rng(6).normal(size=len(never)))
        probabilities = made(name).probabilities(replace(choices, preference=preference))
        assert never.any() and (probabilities[never] == 0).all()
        np.testing.assert_allclose(row_sums(probabilities, choices.offsets), 1.0, atol=1e-12)

    def test_the_order_of_decisions_and_of_creatives_does_not_matter(self, name, made):
        choices, policy = ragged_scores(7), made(name)
        choices = replace(choices, preference=np.random.default_rng(7).normal(size=len(choices.scores)))
        moved, place = reordered(choices, 8)
        np.testing.assert_allclose(
            policy.probabilities(moved), policy.probabilities(choices)[place], rtol=1e-9, atol=1e-12
        )

    def test_a_decision_alone_has_the_probabilities_that_it_has_among_others(self, name, made):
        choices, policy = ragged_scores(9), made(name)
        pair = slice(*choices.offsets[17:19])
        alone = Choices(
            np.array([0, pair.stop - pair.start]), choices.scores[pair], decision_ids=choices.decision_ids[17:18],
            creative_ids=choices.creative_ids[pair],
        )  # fmt: skip
        np.testing.assert_allclose(
            policy.probabilities(alone), policy.probabilities(choices)[pair], rtol=1e-9, atol=1e-12
        )

    def test_leaves_its_arguments_alone_and_repeats_itself(self, name, made):
        choices = ragged_scores(3)
        before = choices.scores.copy()
        first = made(name).probabilities(choices)
        np.testing.assert_array_equal(first, made(name).probabilities(choices))
        np.testing.assert_array_equal(before, choices.scores)

    def test_survives_its_package(self, name):
        """The name and the settings that policy.json records act as the policy did."""
        kind = POLICIES[name]
        parameters = replace(package().parameters, policy=name, policy_settings=kind.settings().model_dump(mode="json"))
        policy, choices = replace(package(), parameters=parameters, scores=scores_for(name)), ragged_scores(4)
        again = PolicyPackage.from_files(policy.files())
        assert again.parameters == parameters and json.loads(policy.files()[PARAMETERS_FILE])["policy"] == name
        for form in parameters.forms:
            first, back = (
                package_parameters.policy_of(form).probabilities(choices)
                for package_parameters in (parameters, again.parameters)
            )
            np.testing.assert_array_equal(first, back)
        direct = kind.make(kind.settings(), parameters.temperatures["per_shopper"]).probabilities(choices)
        np.testing.assert_array_equal(parameters.policy_of("per_shopper").probabilities(choices), direct)

    def test_refuses_settings_that_it_does_not_know(self, name):
        parameters = replace(package().parameters, policy=name, policy_settings={"boldness": 3})
        with pytest.raises(UserError, match=r"policy\.json: policy_settings\.boldness: unknown setting"):
            PolicyPackage.from_files(replace(package(), parameters=parameters).files())


@pytest.mark.parametrize("policy", [ChiSquare(0.1, 0.05), Softmax(0.1, 0.05), EpsilonGreedy(0.1)], ids=repr)
def test_a_policy_that_explores_keeps_its_promises(policy):
    choices = ragged_scores(2)
    probabilities, counts = policy.probabilities(choices), np.diff(choices.offsets)
    np.testing.assert_allclose(row_sums(probabilities, choices.offsets), 1.0, atol=1e-12)
    assert (probabilities >= policy.exploration / np.repeat(counts, counts) - 1e-15).all()
    for start, end in itertools.pairwise(choices.offsets):
        order = np.argsort(choices.scores[start:end])
        assert (np.diff(probabilities[start:end][order]) >= -1e-12).all()


def test_thompson_by_a_general_integral():
    """P(best of three) by quadrature of the density of each against the distribution functions of the others."""
    from scipy.integrate import quad
    from scipy.stats import norm

    scores, errors, temperature = np.array([0.02, 0.03, 0.025]), np.array([0.002, 0.0, 0.006]), 0.2
    choices = row(scores, base=np.array([2.0, 1.0, 1.0]), errors=errors)
    mean = np.log(scores / (1 - scores)) + temperature * np.log([2.0, 1.0, 1.0])
    deviation = np.hypot(temperature, errors / (scores * (1 - scores)))

    def chance(best: int) -> float:
        others = [number for number in range(3) if number != best]
        return quad(
            lambda u: norm.pdf(u, mean[best], deviation[best])
            * np.prod([norm.cdf(u, mean[other], deviation[other]) for other in others]),
            -8, 0, points=[-5, -4, -3],
        )[0]  # fmt: skip

    expected = np.array([chance(best) for best in range(3)])
    probabilities = Thompson(ThompsonConfig(draws=100_000), temperature).probabilities(choices)
    np.testing.assert_allclose(probabilities, expected, atol=0.006)


def test_thompson_is_seeded_by_names_and_seed():
    choices = ragged_scores(11)
    first = Thompson(ThompsonConfig(draws=50), 1.0).probabilities(choices)
    other_seed = Thompson(ThompsonConfig(draws=50, seed=1), 1.0).probabilities(choices)
    other_names = Thompson(ThompsonConfig(draws=50), 1.0).probabilities(
        replace(choices, decision_ids=choices.decision_ids[::-1])
    )
    assert not np.array_equal(first, other_seed) and not np.array_equal(first, other_names)
    with pytest.raises(ValueError, match="needs decision_ids"):
        Thompson(ThompsonConfig(), 1.0).probabilities(Choices(choices.offsets, choices.scores))


def test_seeded_normals_are_normal_and_do_not_depend_on_the_block():
    choices = ragged_scores(12)
    drawn = seeded_normals(choices, 0, range(0, 400))
    np.testing.assert_array_equal(seeded_normals(choices, 0, range(100, 300)), drawn[:, 100:300])
    assert abs(drawn.mean()) < 0.01 and abs(drawn.std() - 1) < 0.01
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.15
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.2


def test_the_softmax_of_a_table_ends_at_a_floor():
    probabilities = BoundedSoftmax(1e-3).probabilities(row([0.01, 0.5]))
    assert probabilities[0] == pytest.approx(np.exp(-25.0), rel=1e-6) and probabilities.sum() == pytest.approx(1.0)
    both = ragged_scores(13)
    np.testing.assert_allclose(
        BoundedSoftmax(0.5).probabilities(both), Softmax(0.5, 0.0).probabilities(both), atol=1e-9
    )


def test_softmax_by_hand():
    scores = 1 / (1 + np.exp(-np.array([0.0, np.log(3.0) * 0.5])))
    probabilities = Softmax(temperature=0.5, exploration=0.2).probabilities(row(scores))
    np.testing.assert_allclose(probabilities, [0.8 * 0.25 + 0.1, 0.8 * 0.75 + 0.1])


def test_softmax_floor_holds_for_the_worst():
    choices = ragged_scores(4)
    probabilities, offsets = Softmax(1e-3, 0.05).probabilities(choices), choices.offsets
    assert (probabilities >= 0.05 / np.repeat(np.diff(offsets), np.diff(offsets)) - 1e-15).all()


def test_greedy_shares_ties():
    np.testing.assert_allclose(EpsilonGreedy(0.3).probabilities(row([0.2, 0.2, 0.1])), [0.45, 0.45, 0.1])


def test_a_ranked_table_shows_the_best_of_whatever_a_server_keeps():
    scores = np.array([0.2, 0.5, 0.5, 0.1, 0.4])
    probabilities = Ranked().probabilities(row(scores))
    np.testing.assert_allclose(probabilities / probabilities[1], [1e-4, 1.0, 1.0, 1e-6, 1e-2])
    for kept in itertools.chain.from_iterable(itertools.combinations(range(5), size) for size in range(1, 6)):
        chosen = list(kept)
        best = scores[chosen] == scores[chosen].max()
        assert probabilities[chosen][best].sum() >= 0.989 * probabilities[chosen].sum()


def test_a_ranked_table_of_many_creatives_has_no_zero():
    probabilities = Ranked().probabilities(row(np.linspace(0.01, 0.5, 400)))
    assert probabilities.min() > 0 and (np.diff(probabilities) >= 0).all() and probabilities[-1] > 0.98


def test_draw_follows_the_probabilities():
    offsets = np.arange(0, 30_001, 3)
    drawn = draw_per_row(np.tile([0.5, 0.2, 0.3], 10_000), offsets, np.random.default_rng(0)) - offsets[:-1]
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 10_000, [0.5, 0.2, 0.3], atol=0.02)


def test_an_impression_without_creatives_is_refused():
    with pytest.raises(ValueError, match="row 1"):
        Uniform().probabilities(row(np.ones(2), offsets=[0, 2, 2]))


def impressions() -> pd.DataFrame:
    times = pd.to_datetime(["2026-01-02", "2026-01-01"], utc=True)
    return pd.DataFrame({"impression_id": ["i2", "i1"], "campaign": ["c", "c"], "timestamp": times})


def creatives() -> pd.DataFrame:
    active_from = pd.to_datetime([None, "2026-01-02"], utc=True)
    until = pd.to_datetime(["2026-01-01 23:59", None], utc=True, format="mixed")
    return pd.DataFrame(
        {"creative_id": ["a", "b"], "campaign": ["c", "c"], "active_from": active_from, "active_until": until}
    )


def test_eligible_are_the_campaigns_active_creatives():
    pairs = eligible_pairs({"creatives": creatives()}, impressions())
    assert pairs.to_dict("list") == {"impression_id": ["i2", "i1"], "creative_id": ["b", "a"]}
    np.testing.assert_array_equal(pair_offsets(pairs, impressions()), [0, 1, 2])


def test_a_creative_is_eligible_from_its_first_moment_to_its_last():
    """What validation accepts can be evaluated: of three impressions the last comes a microsecond too late."""
    times = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02 00:00:00.000001"], utc=True, format="mixed")
    rows = pd.DataFrame({"impression_id": ["i1", "i2", "i3"], "campaign": "c", "timestamp": times})
    shown = creatives().assign(active_from=times[0], active_until=[times[1], times[2]])
    pairs = eligible_pairs({"creatives": shown}, rows)
    assert pairs["impression_id"].tolist() == ["i1", "i1", "i2", "i2", "i3"]
    assert pairs["creative_id"].tolist() == ["a", "b", "a", "b", "b"]


def test_candidates_define_who_was_eligible():
    rows = {"impression_id": ["i1", "i2", "i1", "x"], "creative_id": ["a", "b", "b", "a"], "propensity": 0.5}
    pairs = eligible_pairs({"creatives": creatives(), "candidates": pd.DataFrame(rows)}, impressions())
    assert pairs["creative_id"].tolist() == ["b", "a", "b"]
    np.testing.assert_array_equal(pair_offsets(pairs, impressions()), [0, 1, 3])


def test_no_eligible_creative_names_the_impression():
    late = impressions().assign(campaign=["c", "other"])
    with pytest.raises(UserError, match="i1"):
        eligible_pairs({"creatives": creatives()}, late)


def test_softmax_leans_on_the_base_by_its_equation():
    """Two creatives of odds 1 and 2 at temperature 1, base 3:1 -> weights 3 and 2."""
    scores = np.array([1 / 2, 2 / 3])
    probabilities = Softmax(temperature=1.0, exploration=0.0).probabilities(row(scores, np.array([0.75, 0.25])))
    assert probabilities == pytest.approx([3 / 5, 2 / 5])
    never = Softmax(temperature=1.0, exploration=0.1).probabilities(row(scores, np.array([0.0, 1.0])))
    assert never == pytest.approx([0.05, 0.95])


def test_chi_square_by_hand():
    """Rewards .01 and .02 at T = 1, even base: both have w > 0 at nu = (2 - 1) / 0.75; the weights are 2 - nu / r."""
    scores = np.array([0.01, 0.02])
    nu = 1 / (0.5 / 0.01 + 0.5 / 0.02)
    probabilities = ChiSquare(temperature=1.0, exploration=0.0).probabilities(row(scores))
    assert probabilities == pytest.approx([(2 - nu / 0.01) / 2, (2 - nu / 0.02) / 2])
    # at T = 0.1 the worse one is out, and the better one gets all
    assert ChiSquare(0.1, 0.0).probabilities(row(scores)) == pytest.approx([0.0, 1.0])


def test_chi_square_leans_on_the_base_and_gives_nothing_to_what_the_base_never_shows():
    scores = np.array([0.02, 0.02])
    assert ChiSquare(0.05, 0.0).probabilities(row(scores, np.array([3.0, 1.0]))) == pytest.approx([0.75, 0.25])
    never = ChiSquare(0.05, 0.1).probabilities(row([0.01, 0.02], np.array([1.0, 0.0])))
    assert never == pytest.approx([0.95, 0.05])


@pytest.mark.parametrize("temperature", [0.02, 0.1, 0.5])
def test_no_policy_of_the_same_reward_has_a_lift_of_smaller_variance(temperature):
    """The naive twin: a general solver of min sum base r (w - 1)^2 with the same reward, sum q = 1, q >= 0."""
    from scipy.optimize import minimize

    random = np.random.default_rng(5)
    reward, base = random.uniform(0.005, 0.05, 6), random.dirichlet(np.ones(6))
    probabilities = ChiSquare(temperature, 0.0).probabilities(row(reward, base))

    def variance(w: np.ndarray) -> float:
        return float((base * reward * (w - 1) ** 2).sum() * 100)

    constraints = [
        {"type": "eq", "fun": lambda w: base @ w - 1},
        {"type": "eq", "fun": lambda w: 100 * ((base * reward) @ w - probabilities @ reward)},
    ]
    solved = minimize(
        variance, np.ones(6), bounds=[(0, None)] * 6, constraints=constraints, method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    assert solved.success
    assert variance(probabilities / base) == pytest.approx(solved.fun, rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(probabilities, base * solved.x, atol=2e-3)


@pytest.mark.parametrize(("weighing", "policy"), [({}, "softmax"), ({"weighing": "chi-square"}, "chi_square")])
def test_a_package_from_before_policies_had_names_acts_as_it_did(weighing, policy):
    present = replace(package(), parameters=replace(package().parameters, policy=policy))
    files = present.files()
    stored = json.loads(files["policy.json"])
    del stored["policy"], stored["policy_settings"]
    assert PolicyPackage.from_files({**files, "policy.json": json.dumps(stored | weighing).encode()}).files() == files
    with pytest.raises(EarlierFormat, match="has the layout of an earlier release"):
        PolicyPackage.from_files({**files, "policy.json": json.dumps(stored | {"weighing": "dice"}).encode()})

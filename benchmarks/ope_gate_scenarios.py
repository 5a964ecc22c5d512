"""Scenarios of `benchmarks.ope_gate` in which a challenger that is no better may be promoted: SCENARIOS."""

from collections.abc import Callable

import numpy as np

from benchmarks.ope_gate_logs import ACTIONS, ALPHA, CLICK_RATE, FIRST_ALPHA, MARGIN, draw_clicks
from components.evaluation.gate.evidence import gate_evidence, gate_reasons
from components.evaluation.gate.ledger import Ledger
from components.evaluation.intervals.explained_noise import JudgedRows
from components.evaluation.log_checks.leakage import check_leakage
from components.evaluation.logged_decisions import Covered, LoggedDecisions

LOG_ROWS, SETTINGS = 50_000, 20
CREATIVES = 480  # of a shop, of which an impression may show ACTIONS


def wrong_champion(seed: int) -> bool:
    """A champion with a wrong interest model wrote the log; a random challenger is compared with it.

    The baseline is the logging policy, weight 1 throughout. Click rates differ in each of four contexts, but neither
    policy gains from that.
    """
    generator = np.random.default_rng([seed, 4])
    champion, random_policy = (_softmax(generator.standard_normal((4, ACTIONS)), 1.0) for _ in range(2))
    towards = random_policy - champion
    noise = generator.normal(0, 0.15 * CLICK_RATE, (4, ACTIONS))
    noise -= towards * ((noise * towards).sum(axis=1) / (towards**2).sum(axis=1))[:, None]
    context = generator.integers(0, 4, LOG_ROWS)
    log = _decisions(generator, champion, np.clip(CLICK_RATE + noise, 0.0, 1.0), context)
    return _passes(log, random_policy[context].ravel(), log.logging, FIRST_ALPHA)


def rerolled_settings(seed: int) -> bool:
    """A challenger without lift is tried with twenty seeds and temperatures, each a new question to the ledger."""
    generator = np.random.default_rng([seed, 5])
    uniform = np.full((1, ACTIONS), 1 / ACTIONS)
    rates = np.full((1, ACTIONS), CLICK_RATE)
    log = _decisions(generator, uniform, rates, np.zeros(LOG_ROWS, dtype=np.int64))
    utility, ledger = generator.standard_normal(ACTIONS), Ledger(ALPHA)
    for setting in range(SETTINGS):
        alpha, ledger = ledger.ask(f"setting {setting}")
        policy = _softmax(utility + 0.5 * generator.standard_normal(ACTIONS), 0.5 + 0.05 * setting)
        if _passes(log, np.tile(policy, LOG_ROWS), None, alpha):
            return True
    return False


def planted_leak(seed: int) -> bool:
    """All creatives have the same click rate; the policy uses rates of the whole log, including the judged half."""
    generator = np.random.default_rng([seed, 7])
    shortlist = np.argsort(generator.random((LOG_ROWS, CREATIVES), dtype=np.float32), axis=1)[:, :ACTIONS]
    column = generator.integers(0, ACTIONS, LOG_ROWS)
    shown = shortlist[np.arange(LOG_ROWS), column]
    click = draw_clicks(generator, CLICK_RATE, LOG_ROWS)
    before = np.bincount(
        generator.integers(0, CREATIVES, LOG_ROWS), draw_clicks(generator, CLICK_RATE, LOG_ROWS), CREATIVES
    )
    ctr = (before + np.bincount(shown, click, CREATIVES)) / (2 * LOG_ROWS / CREATIVES)  # over both halves of the log
    rows = JudgedRows(shown, np.arange(LOG_ROWS), np.ones(LOG_ROWS), click, np.ones(LOG_ROWS))
    if any(finding.severity == "critical" for finding in check_leakage(rows, {"feature_ctr": ctr})):
        return False  # the evaluation abstains
    log = LoggedDecisions(
        impression=np.arange(LOG_ROWS).astype(str).astype(object),
        offsets=np.arange(0, LOG_ROWS * ACTIONS + 1, ACTIONS),
        action=shortlist.ravel(),
        logged=np.arange(LOG_ROWS) * ACTIONS + column,
        propensity=np.full(LOG_ROWS, 1 / ACTIONS),
        reward=click,
        cluster=np.arange(LOG_ROWS),
        action_names=np.arange(CREATIVES).astype(str).astype(object),
        context=np.zeros((LOG_ROWS, 0)),
        logging=np.full(LOG_ROWS * ACTIONS, 1 / ACTIONS),
    )
    return _passes(log, _softmax(ctr[shortlist] / CLICK_RATE, 3.0).ravel(), None, FIRST_ALPHA)


SCENARIOS: dict[str, Callable[[int], bool]] = {  # seed -> whether a challenger that is no better was promoted
    "wrong_model_champion": wrong_champion,
    "rerolled_settings": rerolled_settings,
    "planted_leak": planted_leak,
}


def scenario(task: tuple[str, int]) -> bool:
    """Whether the scenario (name, seed) ends in a false promotion."""
    name, seed = task
    return SCENARIOS[name](seed)


def _passes(log: LoggedDecisions, target: np.ndarray, baseline: np.ndarray | None, alpha: float) -> bool:
    """Whether the gate passes."""
    evidence = gate_evidence(Covered(log, target, baseline, 0.0, 0), (), 0.0, 0.1)
    return gate_reasons(evidence, alpha, MARGIN)[0]


def _softmax(utility: np.ndarray, sharpness: float) -> np.ndarray:
    """Probabilities [..., actions] of a softmax policy with 5 % uniform exploration."""
    raised = np.exp(sharpness * utility)
    return 0.95 * raised / raised.sum(axis=-1, keepdims=True) + 0.05 / ACTIONS


def _decisions(
    generator: np.random.Generator, logging: np.ndarray, rates: np.ndarray, context: np.ndarray
) -> LoggedDecisions:
    """A log of LOG_ROWS impressions: logging, rates: [contexts, actions]; context: int64 [n]."""
    n = len(context)
    cumulative = np.cumsum(logging[context], axis=1)
    shown = (generator.random((n, 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    return LoggedDecisions(
        impression=np.arange(n).astype(str).astype(object),
        offsets=np.arange(0, n * ACTIONS + 1, ACTIONS),
        action=np.tile(np.arange(ACTIONS), n),
        logged=np.arange(n) * ACTIONS + shown,
        propensity=logging[context, shown],
        reward=draw_clicks(generator, rates[context, shown], n),
        cluster=np.arange(n),
        action_names=np.array([f"a{code}" for code in range(ACTIONS)], dtype=object),
        context=context[:, None].astype(float),
        logging=logging[context].ravel(),
    )

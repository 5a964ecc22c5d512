"""May a nightly refit act without proving superiority anew? A study of one confidence sequence over the nights.

    python -m benchmarks.refresh [--sequences 200] [--nights 60] [--impressions 21000] [--seed 999] [--forgetting 1.0]
                                 [--out FILE]

A *refresh* is a refit of the champion's recipe on newer data. Each night's refit is scored on the next night's rows,
and acts while the lower bound of all nights so far allows it. This measures the bound in
components/evaluation/gate/refresh_evidence.py with a margin of 2 % and alpha 5 %.

Shops are made: 20 segments, 12 creatives, 2 % of impressions clicked, champions by a softmax of shrunken rates.
Recipes: `worse NN%` (the champion mixed with bad choices; it should never act), `one night` (a refit on the last
night's rows alone), `same` (the champion itself), `refit` (on all rows so far), `refit, drift` (the creatives' appeal
changes in the middle), `breaks` (a refit that loses 10 % from the middle on; how many nights until it stops).
Ends with one line of JSON.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.evaluation.gate.refresh_evidence import RefreshEvidence

SEGMENTS, CREATIVES, BASE_RATE, LEARNING_ROWS = 20, 12, 0.02, 100_000
TEMPERATURE, EXPLORATION, PRIOR_ROWS = 0.1, 0.05, 400.0
MARGIN, ALPHA, BREAK = 0.02, 0.05, 0.10


@dataclass
class Shop:
    """A made shop. rate: true P(click) [segments, creatives]; shown, clicked: of all rows logged so far; last: of the
    last night.
    """

    rate: np.ndarray
    shown: np.ndarray
    clicked: np.ndarray
    last: tuple[np.ndarray, np.ndarray] = ()

    @classmethod
    def make(cls, random: np.random.Generator) -> "Shop":
        """A shop with a log of a uniform choice, from which the champion is learned."""
        shop = cls(_rates(random), np.zeros((SEGMENTS, CREATIVES)), np.zeros((SEGMENTS, CREATIVES)))
        shop.log(np.full((SEGMENTS, CREATIVES), 1 / CREATIVES), LEARNING_ROWS, random)
        return shop

    def log(self, policy: np.ndarray, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Log `rows` impressions by `policy`; how often each cell was shown and clicked."""
        shown = random.multinomial(rows, (policy / SEGMENTS).ravel()).reshape(SEGMENTS, CREATIVES)
        clicked = random.binomial(shown, self.rate)
        self.shown, self.clicked, self.last = self.shown + shown, self.clicked + clicked, (shown, clicked)
        return shown, clicked

    def value(self, policy: np.ndarray) -> float:
        """True clicks per impression."""
        return float((policy * self.rate).sum() / SEGMENTS)


# shop, champion, night, nights -> the policy of the night's refit
Recipe = Callable[[Shop, np.ndarray, int, int], np.ndarray]


def _rates(random: np.random.Generator) -> np.ndarray:
    effect = random.normal(0, 0.15, CREATIVES) + random.normal(0, 0.25, (SEGMENTS, CREATIVES))
    odds = BASE_RATE / (1 - BASE_RATE) * np.exp(effect)
    return odds / (1 + odds)


def shrunken(shown: np.ndarray, clicked: np.ndarray) -> np.ndarray:
    """Click rates of each cell from counts, shrunken towards the creative's, and that towards the mean."""
    mean = clicked.sum() / shown.sum()
    creative = (clicked.sum(axis=0) + PRIOR_ROWS * mean) / (shown.sum(axis=0) + PRIOR_ROWS)
    return (clicked + PRIOR_ROWS * creative) / (shown + PRIOR_ROWS)


def softmax_policy(estimate: np.ndarray) -> np.ndarray:
    """The policy of estimated click rates, [segments, creatives]."""
    utility = np.log(estimate / (1 - estimate)) / TEMPERATURE
    mass = np.exp(utility - utility.max(axis=1, keepdims=True))
    return (1 - EXPLORATION) * mass / mass.sum(axis=1, keepdims=True) + EXPLORATION / CREATIVES


def worse_by(loss: float) -> Recipe:
    """The champion mixed with the least clicked creative, so that it truly earns 1 - loss of the champion."""

    def recipe(shop: Shop, champion: np.ndarray, night: int, nights: int) -> np.ndarray:
        bad = np.full_like(champion, EXPLORATION / CREATIVES)
        bad[np.arange(SEGMENTS), shop.rate.argmin(axis=1)] += 1 - EXPLORATION
        share = loss * shop.value(champion) / (shop.value(champion) - shop.value(bad))
        return (1 - share) * champion + share * bad

    return recipe


def _refit(shop: Shop, champion: np.ndarray, night: int, nights: int) -> np.ndarray:
    return softmax_policy(shrunken(shop.shown, shop.clicked))


def _one_night(shop: Shop, champion: np.ndarray, night: int, nights: int) -> np.ndarray:
    return softmax_policy(shrunken(*shop.last))


def _breaks(shop: Shop, champion: np.ndarray, night: int, nights: int) -> np.ndarray:
    return (worse_by(BREAK) if night >= nights // 2 else _refit)(shop, champion, night, nights)


RECIPES: dict[str, Recipe] = {
    "worse 2%": worse_by(0.0201),
    "worse 3%": worse_by(0.03),
    "worse 5%": worse_by(0.05),
    "one night": _one_night,
    "same": lambda shop, champion, night, nights: champion,
    "refit": _refit,
    "refit, drift": _refit,
    "breaks": _breaks,
}


def sequence(name: str, seed: int, nights: int, impressions: int, forgetting: float) -> dict:
    """One sequence of nights. acted: bool [nights], whether the refit acted that night; gain: its true relative one."""
    random = np.random.default_rng(seed)
    shop = Shop.make(random)
    champion = softmax_policy(shrunken(shop.shown, shop.clicked))
    evidence, acted, gain = RefreshEvidence(ALPHA, forgetting), [], []
    for night in range(nights):
        if name == "refit, drift" and night == nights // 2:
            shop.rate = _rates(random)
        refit, estimate = RECIPES[name](shop, champion, night, nights), shrunken(shop.shown, shop.clicked)
        acts = evidence.lower() > 0
        acted.append(bool(acts))
        gain.append(shop.value(refit) / shop.value(champion) - 1)
        logging = refit if acts else champion
        shown, clicked = shop.log(logging, impressions, random)
        evidence = evidence.after(*value_sums(refit, champion, logging, estimate, shown, clicked))
    return {"acted": acted, "gain": gain}


def value_sums(
    refit: np.ndarray,
    champion: np.ndarray,
    logging: np.ndarray,
    estimate: np.ndarray,
    shown: np.ndarray,
    clicked: np.ndarray,
) -> tuple[float, float, float]:
    """The number of values (1) of a night, their sum and the sum of their squares, from the counts of each cell."""
    target = refit - (1 - MARGIN) * champion
    expected, weight = (target * estimate).sum(axis=1, keepdims=True), target / logging
    of_click, of_none = expected + weight * (1 - estimate), expected - weight * estimate
    total, squares = ((clicked * of_click**p + (shown - clicked) * of_none**p).sum() for p in (1, 2))
    return float(shown.sum()), float(total), float(squares)


def figures(name: str, runs: list[dict], nights: int) -> dict:
    """What the sequences of a recipe say together."""
    acted, gain = np.array([run["acted"] for run in runs]), np.array([run["gain"] for run in runs])
    first = np.where(acted.any(axis=1), acted.argmax(axis=1), nights)
    row = {
        "gain": float(gain[:, -1].mean()),
        "ever_acted": float(acted.any(axis=1).mean()),
        "share_of_nights": float(acted.mean()),
        "median_first_night": float(np.median(first)),
    }
    if name == "breaks":
        middle = nights // 2
        acting = acted[:, middle - 1]
        stopped = np.where(~acted[:, middle:].all(axis=1), (~acted[:, middle:]).argmax(axis=1), nights - middle)
        row["acted_before"] = float(acting.mean())
        row["lag"] = [float(np.quantile(stopped[acting], q)) for q in (0.5, 0.9)] if acting.any() else None
    return row


def run(sequences: int, nights: int, impressions: int, seed: int, forgetting: float) -> dict[str, dict]:
    """The figures of every recipe."""
    return {
        name: figures(
            name,
            [sequence(name, seed * 1_000_000 + one, nights, impressions, forgetting) for one in range(sequences)],
            nights,
        )
        for name in RECIPES
    }


def main() -> None:
    """Print a line per recipe, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--impressions", type=int, default=21_000, help="per night")
    parser.add_argument("--seed", type=int, default=999)
    parser.add_argument("--forgetting", type=float, default=1.0, help="weight of a night relative to the next one")
    parser.add_argument("--out", type=Path, help="the line of JSON, in a file too")
    options = parser.parse_args()
    given = {name: value for name, value in vars(options).items() if name != "out"}
    recipes = run(**given)
    for name, row in recipes.items():
        print(
            f"{name:<14} truly {row['gain']:+.1%} at the end; acted in {row['ever_acted']:.1%} of the sequences, "
            f"{row['share_of_nights']:.0%} of the nights, first on night {row['median_first_night']:.0f} (median)"
            + (f"; nights until it stopped {row['lag']} (median, 90 %)" if row.get("lag") else "")
        )
    line = json.dumps({"benchmark": "refresh", **given, "recipes": recipes})
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()

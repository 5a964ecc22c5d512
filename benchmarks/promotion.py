"""Does one of many promoters win, is tampering refused before anything is read, is nothing lost to a kill?

    python -m benchmarks.promotion [--promoters 8] [--rounds 100] [--kinds 50] [--kills 200] [--out FOLDER]

Promoters: that many processes, in turn of two clones with a state folder each, share one SQLite. Each round all judge
a candidate of their own against the present champion, wait for each other, and apply their decisions at once: exactly
one may become champion, the others are told that it changed. No entry of the ledger may be lost.

Tampering: the kinds of benchmarks/promotion_tampering.py, each refused in words, with no loader called and no alias
moved.

Kills: benchmarks/kills.py; those that an earlier run finished are not done again. Ends with one line of JSON.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kill_operations import OPERATIONS
from benchmarks.kills import measure
from benchmarks.promotion_shop import enter, environment, judge
from components.settings.errors import UserError

NAME = "contest-policy"
CHANGED = "the champion changed while this candidate was being judged"


@dataclass(frozen=True)
class Contest:
    """What the rounds came to: winners of each round, the other refusals, and questions that were charged and lost."""

    winners: tuple[int, ...]
    other_refusals: tuple[str, ...]
    lost_questions: int
    history: int

    @property
    def sound(self) -> bool:
        """Exactly one winner each, everybody else told why, no entry lost."""
        alone = all(winners == 1 for winners in self.winners)
        return alone and not self.other_refusals and not self.lost_questions


def contest(promoters: int, rounds: int, folder: Path) -> Contest:
    """Let the promoters run against each other on one SQLite in `folder`."""
    context = multiprocessing.get_context("spawn")
    shared = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/shared/mlflow.db",
        "ADLOOM_ARTIFACT_ROOT": f"{folder}/shared/artifacts",
        "ADLOOM_SIGNING_KEY": "",
    }
    (folder / "shared").mkdir(parents=True)
    barrier, results = context.Barrier(promoters), context.Queue()
    processes = [
        context.Process(
            target=_reporting,
            args=(
                number,
                rounds,
                folder,
                {**shared, "ADLOOM_STATE": str(folder / f"clone{number % 2}")},
                barrier,
                results,
            ),
        )
        for number in range(promoters)
    ]
    for process in processes:
        process.start()
    told = [results.get() for _ in processes]
    for process in processes:
        process.join()
    broken = [each for each in told if isinstance(each, str)]
    if broken:
        raise RuntimeError(f"{len(broken)} of {promoters} promoters broke off: {broken[0]}")
    won = [[each["won"][place] for each in told] for place in range(rounds)]
    asked = {question for each in told for question in each["asked"]}
    kept = max((each["kept"] for each in told), key=len)
    return Contest(
        tuple(sum(round_) for round_ in won),
        tuple(reason for each in told for reason in each["refused"]),
        len(asked - set(kept)),
        max(each["history"] for each in told),
    )


def _reporting(number: int, rounds: int, folder: Path, variables: dict, barrier, results) -> None:
    """`_promoter`; one that breaks off says why, and the others do not wait for it."""
    try:
        _promoter(number, rounds, folder, variables, barrier, results)
    except Exception as error:
        barrier.abort()
        results.put(f"promoter {number}: {type(error).__name__}: {error}")


def _promoter(number: int, rounds: int, folder: Path, variables: dict, barrier, results) -> None:
    """One process with two versions of its own; every round it puts one forward that is not the champion."""
    key = folder / "clone0" / "signing.key"  # both clones sign with one key
    with environment(**{**variables, "ADLOOM_SIGNING_KEY": str(key) if number else ""}):
        from components.registry.alias_moves import history
        from components.registry.mlflow_store import open_store, version_of
        from components.registry.promotion import CHAMPION, apply, questions

        if number == 0:
            _first(folder)
        barrier.wait()
        client = open_store()
        own = [enter(client, NAME, folder / f"{number}-{which}", 0.5 + number / 50 + which / 200) for which in (0, 1)]
        won, refused, asked = [], [], []
        for _ in range(rounds):
            barrier.wait()
            champion = version_of(client, NAME, CHAMPION)
            candidate = own[1] if champion is not None and champion.number == own[0].number else own[0]
            decision = judge(client, candidate, champion and champion.tags["package_digest"], passes=True)
            asked.append(decision.evidence.question)
            barrier.wait()  # all have judged against the same champion
            try:
                won.append(apply(client, NAME, candidate, decision).action == "promote")
            except UserError as error:
                won.append(False)
                refused += [] if CHANGED in str(error) else [str(error)]
        barrier.wait()
        kept, now = questions(client, NAME), version_of(client, NAME, CHAMPION)
        past = len(history(client, NAME, now))
        results.put({"won": won, "refused": refused, "asked": asked, "kept": list(kept), "history": past})


def _first(folder: Path) -> None:
    """Make the database and the key, before the others begin."""
    from components.registry.mlflow_store import open_store
    from components.registry.signing import sign

    open_store()
    (folder / "any").mkdir()
    sign(folder / "any", "any", folder / "any.sig")


def tamper(kinds: int, folder: Path) -> list:
    """Try the first `kinds` kinds of tampering, evenly over the list, in a registry in `folder`."""
    (folder / "state").mkdir(parents=True)
    variables = {
        "ADLOOM_STATE": str(folder / "state"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/state/mlflow.db",
        "ADLOOM_ARTIFACT_ROOT": f"{folder}/artifacts",
        "ADLOOM_SIGNING_KEY": "",
        "ADLOOM_VERIFY_KEY": "",
    }
    with environment(**variables):
        from benchmarks.promotion_tampering import KINDS, try_kind

        chosen = [KINDS[place * len(KINDS) // kinds] for place in range(kinds)]
        return [try_kind(kind, number, folder) for number, kind in enumerate(chosen)]


def main() -> None:
    """All three parts, and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--promoters", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kinds", type=int, default=50)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path, help="keep the registries in this folder")
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="adloom-promotion-") as scratch:
        folder = args.out or Path(scratch)
        tried = tamper(args.kinds, folder / "tampering")
        for each in tried:
            print(f"{'refused' if each.refused else 'NOT REFUSED'}: {each.kind}: {each.said} {' '.join(each.loaded)}")
        found = contest(args.promoters, args.rounds, folder / "contest")
    survived = measure(args.kills, tuple(OPERATIONS))
    print(
        json.dumps(
            {
                "benchmark": "promotion",
                "promoters": args.promoters,
                "rounds": args.rounds,
                "rounds_with_one_winner": sum(winners == 1 for winners in found.winners),
                "other_refusals": len(found.other_refusals),
                "lost_ledger_entries": found.lost_questions,
                "tampering": len(tried),
                "tampering_refused": sum(each.refused for each in tried),
                "kills": survived["kills"],
                "recovered": survived["recovered"],
                "seconds": round(time.monotonic() - begun),
            }
        )
    )


if __name__ == "__main__":
    main()

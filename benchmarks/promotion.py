"""Does one of many promoters win, is tampering refused before anything is read, is nothing lost to a kill?

    python -m benchmarks.promotion [--promoters 8] [--rounds 100] [--kinds 50] [--kills 200] [--out FOLDER]

Promoters: that many processes, in turn of two clones with a state folder each, share one SQLite. Each round all judge
a candidate of their own against the present champion, wait for each other, and apply their decisions at once: exactly
one may become champion, the others are told that it changed. No entry of the ledger may be lost.

Tampering: the kinds of benchmarks/promotion_tampering.py, each refused in words, with no loader called and no alias
moved.

Kills: benchmarks/kills.py; kills of an earlier run are not repeated. Prints one line of JSON at the end.
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
        """Each round has one winner, every other promoter is refused because the champion changed, no entry is lost."""
        alone = all(winners == 1 for winners in self.winners)
        return alone and not self.other_refusals and not self.lost_questions


def contest(promoters: int, rounds: int, folder: Path) -> Contest:
    """The result of `promoters` processes that promote concurrently in one SQLite registry in `folder`."""
    context = multiprocessing.get_context("spawn")
    (folder / "shared").mkdir(parents=True)
    barrier, results = context.Barrier(promoters), context.Queue()
    processes = [
        context.Process(target=_reporting, args=(number, rounds, folder, barrier, results))
        for number in range(promoters)
    ]
    for process in processes:
        process.start()
    reports = [results.get() for _ in processes]
    for process in processes:
        process.join()
    errors = [report for report in reports if isinstance(report, str)]
    if errors:
        raise RuntimeError(f"{len(errors)} of {promoters} promoters failed: {errors[0]}")
    won = [[report["won"][index] for report in reports] for index in range(rounds)]
    asked = {question for report in reports for question in report["asked"]}
    ledger = max((report["ledger"] for report in reports), key=len)
    return Contest(
        tuple(sum(round_) for round_ in won),
        tuple(reason for report in reports for reason in report["refused"]),
        len(asked - set(ledger)),
        max(report["history"] for report in reports),
    )


def _variables(number: int, folder: Path) -> dict[str, str]:
    """Environment of promoter `number`: one registry for all, two clones of the project, and one signing key."""
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/shared/mlflow.db",
        "ADLOOM_ARTIFACT_ROOT": f"{folder}/shared/artifacts",
        "ADLOOM_SIGNING_KEY": str(folder / "clone0" / "signing.key") if number else "",
        "ADLOOM_STATE": str(folder / f"clone{number % 2}"),
    }


def _reporting(number: int, rounds: int, folder: Path, barrier, results) -> None:
    """Put the report of `_promoter` into `results`; if it raises, put its error and release the waiting processes."""
    try:
        results.put(_promoter(number, rounds, folder, barrier))
    except Exception as error:
        barrier.abort()
        results.put(f"promoter {number}: {type(error).__name__}: {error}")


def _promoter(number: int, rounds: int, folder: Path, barrier) -> dict:
    """Report of one process that enters two versions and in each round tries to promote one that is not champion."""
    with environment(**_variables(number, folder)):
        from components.registry.alias_moves import history
        from components.registry.mlflow_store import open_store, version_of
        from components.registry.promotion import CHAMPION, apply, questions

        if number == 0:
            _first(folder)
        barrier.wait()
        client = open_store()
        entered = [
            enter(client, NAME, folder / f"{number}-{which}", 0.5 + number / 50 + which / 200) for which in (0, 1)
        ]
        won, refused, asked = [], [], []
        for _ in range(rounds):
            barrier.wait()
            champion = version_of(client, NAME, CHAMPION)
            candidate = entered[1] if champion is not None and champion.number == entered[0].number else entered[0]
            decision = judge(client, candidate, champion and champion.tags["package_digest"], passes=True)
            asked.append(decision.evidence.question)
            barrier.wait()  # all have judged against the same champion
            try:
                won.append(apply(client, NAME, candidate, decision).action == "promote")
            except UserError as error:
                won.append(False)
                refused += [] if CHANGED in str(error) else [str(error)]
        barrier.wait()
        ledger = list(questions(client, NAME))
        past = len(history(client, NAME, version_of(client, NAME, CHAMPION)))
        return {"won": won, "refused": refused, "asked": asked, "ledger": ledger, "history": past}


def _first(folder: Path) -> None:
    """Create the database and the signing key, before the other processes start."""
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
            state = "refused" if each.refused else "NOT REFUSED"
            print(f"{state}: {each.kind}: {each.message} {' '.join(each.loaded)}")
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

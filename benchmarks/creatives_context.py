"""The true gain of ad texts chosen for a context, over average texts and over texts chosen without the context.

    python -m benchmarks.creatives_context [--workdir artifacts]

Reads the features and the interest model of a finished marketplace run. For four hours and every placement, campaign
and segment, the texts of one ad are chosen as `adloom generate` chooses them. The simulator's click probabilities,
which the model never sees, give their value on later impressions of that segment, moved to that hour. Gains are
relative, in clicks; intervals are Student's over campaigns and segments. Prints one line of JSON at the end.
"""

import argparse
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.creatives_personalised import interval
from components.settings.environment import prepare

HOURS = (3, 9, 15, 21)  # one in each of the simulator's four bins
AVERAGE = 30  # combinations drawn; the mean of their values is the average
AUDIENCE, JUDGES = 60, 200  # impressions of a segment on which texts are chosen, and on which they are judged


@dataclass(frozen=True)
class Cell:
    """A choice for a campaign, segment and context; names: ids of the creatives chosen, chosen without context, and
    average."""

    campaign: str
    segment: int
    placement: str | None
    hour: int | None
    names: tuple[str, ...]
    claimed: float


def choose_all(paths, tables) -> tuple[list[Cell], pd.DataFrame, pd.DataFrame]:
    """(all cells, the creatives that they name, features of the judged impressions) of a finished run."""
    from components.ads.copy.copy_choice import Context, CopyChooser, combinations, wordings
    from components.contract.files.tables import files_in
    from components.images import decode
    from components.interest import CalibratedModel
    from components.interest.segment_scores import draw_audience
    from components.workflow.stage_inputs import built_features

    model, built = built_features(paths)
    segments = int(built.impressions["segment"].max()) + 1
    interest = CalibratedModel.from_files(files_in(paths.stage("interest") / "model" / "interest"))
    chooser = CopyChooser(interest, model, draw_audience(built, segments, AUDIENCE, seed=0))
    sold = tables["products"].set_index("product_id")
    photos = tables["images"].set_index("image_id")["image"]
    contexts = [Context(None, hour) for hour in HOURS] + [Context(name, None) for name in chooser.placements]
    random, cells, made = np.random.default_rng(0), [], []

    def add(base: pd.DataFrame, words: pd.DataFrame) -> tuple[str, ...]:
        ids = [f"made-{len(made)}-{row}" for row in range(len(words))]
        rows = base.iloc[np.zeros(len(words), int)].reset_index(drop=True)
        made.append(rows.assign(creative_id=ids, **{name: words[name].array for name in words}))
        return tuple(ids)

    for campaign in wordings(tables):
        base = tables["creatives"][tables["creatives"]["campaign"] == campaign["campaign"]].head(1)
        goods = sold.loc[base["product_id"].iloc[0]]
        picture = decode(photos[goods["image_id"]])
        average = add(base, combinations(campaign, random).sample(AVERAGE, random_state=0))
        for segment in range(segments):
            arguments = picture, goods["category"], segment, campaign
            unaware = add(base, pd.DataFrame([chooser.choose(*arguments, Context(None, None), random=random).words]))
            for context in contexts:
                choice = chooser.choose(*arguments, context, random=random)
                names = (*add(base, pd.DataFrame([choice.words])), *unaware, *average)
                claimed = choice.expected / choice.average - 1
                cells.append(Cell(campaign["campaign"], segment, context.placement, context.hour, names, claimed))
    return cells, pd.concat(made, ignore_index=True), built.judged()


def judge(cells: list[Cell], made: pd.DataFrame, later: pd.DataFrame, tables, world) -> pd.DataFrame:
    """The true relative gain of each cell's choice over the average and over the choice without context."""
    from components.simulator import truth

    everything = {**tables, "creatives": pd.concat([tables["creatives"], made], ignore_index=True)}
    log, truths, rows = tables["impressions"], {}, []
    for hour in (None, *HOURS):
        moved = log if hour is None else log.assign(context_local_hour=hour)
        truths[hour] = truth(world, {**everything, "impressions": moved})
    for cell in cells:
        judged = later.loc[later["segment"] == cell.segment, "impression_id"].sample(JUDGES, random_state=0).to_numpy()
        ids = np.array(cell.names)
        pairs = pd.DataFrame({"impression_id": np.tile(judged, len(ids)), "creative_id": np.repeat(ids, len(judged))})
        best, unaware, *others = truths[cell.hour](pairs).reshape(len(ids), len(judged)).mean(axis=1)
        name = f"hour {cell.hour}" if cell.placement is None else cell.placement
        gains = {"over_average": best / np.mean(others) - 1, "over_unaware": best / unaware - 1}
        rows.append({"context": name, "claimed_over_average": cell.claimed, **gains})
    return pd.DataFrame(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", default="artifacts", help="folder of a finished run of marketplace")
    arguments = parser.parse_args()
    prepare()
    from components.settings.paths import Paths
    from components.workflow.stage_inputs import validated

    paths = Paths.of("marketplace", workdir=arguments.workdir)
    tables, card = validated(paths)
    gains = judge(*choose_all(paths, tables), tables, card.simulator)
    groups = gains.groupby("context", sort=False)
    print(
        json.dumps({name: {key: interval(rows[key].to_numpy()) for key in gains.columns[1:]} for name, rows in groups})
    )


if __name__ == "__main__":
    main()

"""What the report of a run shows, read from the outputs of its stages."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from components.contract.card import DatasetCard, read_card
from components.contract.files.tables import read_frame, read_json
from components.settings.paths import Paths

WALL = 36  # ads on the wall, taken evenly from all
WIDEST = 320  # pixels of an ad on the wall
TYPICAL = 3  # categories and terms that describe a segment
FEWEST = 0.02  # share of a segment's shoppers that know a category, below which it describes nobody
LARGE_ADS = 400  # pixels: the wall shows the smallest size that is not larger, if there is one


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds, in the same unit; truth: None if nobody knows it."""

    value: float
    ci_low: float
    ci_high: float
    truth: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, float], scale: float = 1.0, truth: float | None = None) -> "Interval":
        """From a JSON record, with truth; all times `scale`."""
        value, low, high = (scale * record[name] for name in ("value", "ci_low", "ci_high"))
        return cls(value, low, high, None if truth is None else scale * truth)


@dataclass(frozen=True)
class FormLift:
    """The lift of one form of the policy, per 1,000 impressions, and the gate's verdict on it."""

    form: str
    verdict: str
    logging_policy: str
    impressions: int
    lift: Interval | None
    relative: Interval | None
    metrics: Sequence[Mapping[str, Any]]
    effects: Sequence[tuple[str, str, int, Interval]]  # kind, level, impressions, lift per 1,000 impressions


@dataclass(frozen=True)
class Segment:
    """One shopper segment in words: shoppers, and what they look at more often than others do."""

    number: int
    shoppers: int
    categories: tuple[str, ...]
    brands: tuple[str, ...]
    terms: tuple[str, ...]


@dataclass(frozen=True)
class ShownAd:
    """One ad on the wall. image: a data URL; expected: clicks per 1,000 impressions by segment."""

    creative_id: str
    campaign: str
    origin: str
    image: str
    headline: str
    expected: tuple[float, ...]


@dataclass(frozen=True)
class RunReport:
    """Everything on the page. reasons: of the decision; remarks: of the creatives stage; quality: of generators."""

    dataset: str
    outcome: Mapping[str, Any]
    card: DatasetCard
    unit: str
    judged: bool
    rows: Mapping[str, int]
    forms: Sequence[FormLift]
    segments: Sequence[Segment]
    ads: Sequence[ShownAd]
    new_ads: int
    remarks: Sequence[str]
    interest: Mapping[str, Any]
    quality: Mapping[str, Mapping[str, float | None]]
    calibration: Sequence[tuple[float, float, int]]  # mean prediction, click rate, impressions of tenths


def read_report(outcome: Mapping[str, Any], paths: Paths) -> RunReport:
    """The report of the run that ended in `outcome` (publication.publish), from its artifacts."""
    evaluated = read_json(paths.stage("evaluation") / "evaluation.json")
    truth = _truth(paths)
    creatives = read_json(paths.stage("creatives") / "metrics.json")
    card = read_card(paths.stage("validation"))
    return RunReport(
        dataset=outcome["dataset"],
        outcome=outcome,
        card=card,
        unit=evaluated["reward"]["unit"],
        judged=evaluated["judged"],
        rows=_rows(paths),
        forms=[_form(record, outcome["forms"], truth.get(record["form"], {})) for record in evaluated["forms"]],
        segments=_segments(read_frame(paths.stage("features") / "shopper_profiles.parquet")),
        ads=_wall(paths),
        new_ads=creatives["pool"],
        remarks=creatives["remarks"],
        interest=read_json(paths.stage("interest") / "metrics.json"),
        quality={**creatives.get("quality", {}), "real photos": creatives.get("real_photos", {})},
        calibration=_calibration(paths),
    )


def _truth(paths: Paths) -> dict[str, Any]:
    file = paths.stage("evaluation") / "truth.json"
    return (read_json(file) or {}) if file.exists() else {}


def _rows(paths: Paths) -> dict[str, int]:
    """Rows of each validated table, the largest first."""
    tables = read_json(paths.stage("validation") / "report.json")["tables"]
    rows = {table["table"]: int(table["kept"]) for table in tables}
    return dict(sorted(rows.items(), key=lambda item: -item[1]))


def _form(record: Mapping[str, Any], verdicts: Mapping[str, str], truth: Mapping[str, Any]) -> FormLift:
    form = record["form"]
    if not record["logs"]:
        return FormLift(form, verdicts[form], "", 0, None, None, (), ())
    log = record["logs"][0]
    evaluation, policy = log["evaluation"], log["logging_policy"]
    lift = (truth.get(policy) or {}).get("lift")
    effects = [
        (effect["kind"], effect["level"], int(effect["impressions"]), Interval.of(effect["effect"], 1000.0))
        for effect in (*log["segments"], *log["elements"])
    ]
    return FormLift(
        form=form,
        verdict=verdicts[form],
        logging_policy=policy,
        impressions=int(evaluation["n"]),
        lift=evaluation["lift"] and Interval.of(evaluation["lift"], 1000.0, lift),
        relative=evaluation["relative_lift"] and Interval.of(evaluation["relative_lift"], 100.0),
        metrics=log["metrics"],
        effects=effects,
    )


def _segments(profiles: pd.DataFrame) -> list[Segment]:
    """Each segment by the categories, brands and terms that its shoppers know more often than all shoppers do."""
    return [
        Segment(
            int(number),
            len(rows),
            *(_typical(rows[column], profiles[column]) for column in ("categories", "brands", "top_terms")),
        )
        for number, rows in profiles.groupby("segment", sort=True)
    ]


def _typical(own: pd.Series, everyone: pd.Series) -> tuple[str, ...]:
    """At most TYPICAL values of comma-separated lists, by how much more often `own` has them than everyone."""
    shares = [_shares(column) for column in (own, everyone)]
    known = shares[0][shares[0] >= FEWEST]
    gain = known / shares[1].reindex(known.index)
    gain = gain[gain > 1.0]
    return tuple(gain.sort_values(ascending=False, kind="stable").index[:TYPICAL])


def _shares(lists: pd.Series) -> pd.Series:
    """Share of the rows that have each value, in alphabetical order of values."""
    values = lists.fillna("").astype("object").str.split(", ").explode()
    counts = values[values != ""].value_counts().sort_index()
    return counts / max(len(lists), 1)


def _wall(paths: Paths) -> list[ShownAd]:
    """Some of the new ads, in the smallest size, evenly taken from all campaigns."""
    pool = paths.stage("creatives") / "pool"
    if not (pool / "ads.json").exists():
        return []
    creatives = read_frame(pool / "creatives.parquet").sort_values(["campaign", "creative_id"], ignore_index=True)
    ranking = read_frame(pool / "ranking.parquet")
    expected = ranking.pivot_table(index="creative_id", columns="segment", values="score")
    files = _smallest_files(read_json(pool / "ads.json"))
    shown = creatives.iloc[np.linspace(0, len(creatives) - 1, min(WALL, len(creatives))).astype(int)]
    return [
        ShownAd(
            row.creative_id,
            row.campaign,
            row.origin,
            _data_url((pool / "ads" / files[row.creative_id]).read_bytes()),
            row.headline if isinstance(row.headline, str) else "",
            tuple(1000.0 * expected.loc[row.creative_id]),
        )
        for row in shown.itertuples()
    ]


def _smallest_files(ads: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """By creative the file of the ad that suits a wall: the squarest one of at most LARGE_ADS pixels, if any."""

    def fitness(item: tuple[str, Mapping[str, str]]) -> tuple[bool, float]:
        width, height = map(int, item[1]["size"].split("x"))
        return max(width, height) > LARGE_ADS, abs(np.log(width / height))

    chosen: dict[str, str] = {}
    for name, ad in sorted(ads.items(), key=fitness):
        chosen.setdefault(ad["creative_id"], name)
    return chosen


def _data_url(png: bytes) -> str:
    image = Image.open(BytesIO(png)).convert("RGB")
    image.thumbnail((WIDEST, WIDEST * 2))
    stream = BytesIO()
    image.save(stream, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _calibration(paths: Paths) -> list[tuple[float, float, int]]:
    """Tenths of the select split's shown pairs by prediction: mean prediction, click rate, impressions."""
    impressions = read_frame(paths.stage("features") / "impressions.parquet")
    select = impressions.loc[impressions["split"] == "select", ["impression_id", "creative_id", "click"]]
    scored = read_frame(paths.stage("interest") / "predictions.parquet")
    pairs = select.merge(scored, on=["impression_id", "creative_id"])
    if pairs.empty:
        return []
    tenth = np.minimum(pairs["p_click"].rank(method="first", pct=True).to_numpy() * 10, 9.999).astype(int)
    grouped = pairs.groupby(tenth)
    return [(float(rows["p_click"].mean()), float(rows["click"].mean()), len(rows)) for _, rows in grouped]

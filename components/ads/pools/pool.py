"""Fill each campaign's pool with new creatives: admit some of the candidates, and choose those with the best scores."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.ads.admission import Candidates, Standards, refusals
from components.ads.pools.proposals import Proposals
from components.ads.pools.reviews import Reviews, design_keys
from components.contract.conform import conform, to_pandas
from components.contract.schema import TABLES
from components.images import decode, encode_png
from components.settings.errors import UserError

IN_CATALOGUE = "is in the catalogue already"
SAME_PRODUCT = 3  # a product has at most one of so many places in a campaign's pool, while there are others
NO_REVIEWS = Reviews()
SAMPLES = 3  # refused ads of each reason that are kept, with their images

# creatives [n], their images uint8 [n, h, w, c] or None for photos in the table `images` -> expected click-through,
# float64 [n, segments]
Score = Callable[[pd.DataFrame, np.ndarray | None], np.ndarray]
# creatives [n], the image of each -> for each the rule that refuses it once it is drawn, and its reason, or "" and ""
Inspect = Callable[[pd.DataFrame, Sequence[np.ndarray]], Sequence[tuple[str, str]]]


def not_inspected(creatives: pd.DataFrame, pictures: Sequence[np.ndarray]) -> Sequence[tuple[str, str]]:
    """No reason for any creative, without drawing it."""
    return [("", "")] * len(creatives)


@dataclass(frozen=True)
class Refusal:
    """A refused ad. creative: its row, in the contract's columns; picture: uint8 [h, w, c], None for a reason of which
    others are kept; rule: the name of the rule."""

    creative: Mapping[str, Any]
    picture: np.ndarray | None
    rule: str
    reason: str


@dataclass(frozen=True)
class Pool:
    """New creatives of all campaigns.

    creatives, images: rows with exactly the contract's columns; images are the generated ones. pictures: uint8
    [h, w, c], the image of each creative; ranking: creative_id, campaign, segment, score, rank (1 is best within
    campaign and segment); drawn: number of candidates; refused: reason -> number of refused ones; refusals: some of
    each reason. waiting, waiting_pictures: creatives that people must approve first, and the image of each.
    """

    creatives: pd.DataFrame
    images: pd.DataFrame
    pictures: Sequence[np.ndarray]
    ranking: pd.DataFrame
    drawn: int
    refused: Mapping[str, int]
    refusals: Sequence[Refusal] = ()
    waiting: pd.DataFrame = field(default_factory=pd.DataFrame)
    waiting_pictures: Sequence[np.ndarray] = ()

    def remarks(self) -> tuple[str, ...]:
        """A sentence on how many of the candidates were refused, and why, and one on those that wait."""
        refused = ", ".join(f"{reason} ({count})" for reason, count in self.refused.items())
        empty = "" if len(self.creatives) else "; the pool stays empty"
        counted = f"pool: of {self.drawn} candidate ads, not admitted: {refused or 'none'}{empty}"
        waiting = f"pool: {len(self.waiting)} new ads wait until people approve them (`adloom creatives review`)"
        return (counted, waiting) if len(self.waiting) else (counted,)


def fill_pool(
    tables: Mapping[str, pd.DataFrame],
    proposals: Sequence[Proposals],
    standards: Standards,
    score: Score,
    per_campaign: int,
    *,
    active_from: pd.Timestamp | None = None,
    inspect: Inspect = not_inspected,
    reviews: Reviews = NO_REVIEWS,
) -> Pool:
    """The pool of at most `per_campaign` creatives of each campaign, from the proposals of all sources together.

    tables: `campaigns`, `creatives` and, for photos of products, `images`. Candidates that ADMISSION_RULES refuse by
    `standards`, or people by `reviews`, are counted and left out, and so are chosen ones that `inspect` refuses; others
    are then chosen in their place. active_from: null: always active.
    """
    judged = [_Judged.of(source, tables, standards, reviews) for source in proposals if len(source)]
    admitted = [source.admitted() for source in judged]
    rows = [_contract_rows("creatives", source.rows.assign(active_from=active_from)) for source in admitted]
    scores = [
        _checked(score(creatives, source.pictures), len(creatives))
        for creatives, source in zip(rows, admitted, strict=True)
        if len(creatives)
    ]
    segments = scores[0].shape[1] if scores else 0
    pooled = np.concatenate(scores) if scores else np.empty((0, segments))
    creatives = pd.concat(rows, ignore_index=True) if rows else _contract_rows("creatives", pd.DataFrame())
    shown = _Images(admitted, tables)
    choice = _Choice(creatives, pooled, per_campaign, lambda own: inspect(creatives.iloc[own], shown.of(own)))
    approved = np.array([not reviews.required or key in reviews.approved for key in design_keys(creatives)], bool)
    chosen, waiting = choice.of(np.flatnonzero(approved)), choice.of(np.flatnonzero(~approved))
    refused = [*(refusal for source in judged for refusal in source.refusals(tables)), *choice.refusals(shown)]
    return Pool(
        creatives=creatives.iloc[chosen].reset_index(drop=True),
        images=shown.table(chosen),
        pictures=shown.of(chosen),
        ranking=_rank(creatives.iloc[chosen], pooled[chosen]),
        drawn=sum(map(len, (source.reasons for source in judged))),
        refused=dict(sorted(Counter(refusal.reason for refusal in refused).items())),
        refusals=[refusal for refusal in refused if refusal.picture is not None],
        waiting=creatives.iloc[waiting].reset_index(drop=True),
        waiting_pictures=shown.of(waiting),
    )


@dataclass(frozen=True)
class _Judged:
    """The proposals of one source; rules, reasons: object [n], what refuses each candidate, "" for an admitted one."""

    source: Proposals
    rules: np.ndarray
    reasons: np.ndarray

    @classmethod
    def of(
        cls, source: Proposals, tables: Mapping[str, pd.DataFrame], standards: Standards, reviews: Reviews
    ) -> "_Judged":
        """The verdicts of people on the proposals, and of the rules."""
        locales = tables["campaigns"].set_index("campaign")["locale"]
        words = source.rows.reindex(columns=[*source.rows.columns, *{"design"}.difference(source.rows.columns)])
        words = words.assign(locale=words["campaign"].map(locales))
        if source.pictures is None:
            rules, reasons = refusals(Candidates(words), standards, reads=("texts",))
        else:
            # a generated article is not the product, so the product's facts back no claim about it
            rules, reasons = refusals(Candidates(words.assign(product_id=None), source.pictures), standards)
        for row, key in enumerate(design_keys(source.rows) if reviews.rejected else ()):
            if key in reviews.rejected:
                rules[row], reasons[row] = "review", reviews.rejected[key]
        known = source.rows["creative_id"].isin(tables["creatives"]["creative_id"]).to_numpy()
        rules[known], reasons[known] = "catalogue", IN_CATALOGUE
        return cls(source, rules, reasons)

    def admitted(self) -> Proposals:
        """The proposals that nothing refuses."""
        sound = self.reasons == ""
        pictures = None if self.source.pictures is None else self.source.pictures[sound]
        return Proposals(self.source.rows[sound].reset_index(drop=True), pictures)

    def refusals(self, tables: Mapping[str, pd.DataFrame]) -> Iterator[Refusal]:
        """The refused ones, SAMPLES of each reason with their images."""
        images, often = _Images([self.source], tables), Counter[str]()
        for row in np.flatnonzero(self.reasons != ""):
            reason = self.reasons[row]
            often[reason] += 1
            kept = often[reason] <= SAMPLES and reason != IN_CATALOGUE
            creative = self.source.rows.iloc[row].to_dict() if kept else {}
            yield Refusal(creative, images.of([row])[0] if kept else None, self.rules[row], reason)


class _Images:
    """The images of the candidates of all sources, whose rows are numbered from 0."""

    def __init__(self, sources: Sequence[Proposals], tables: Mapping[str, pd.DataFrame]):
        self._sources = sources
        self._starts = np.cumsum([0, *(len(source) for source in sources)])
        photos = any(source.pictures is None and len(source) for source in sources)
        self._photos = tables["images"].set_index("image_id")["image"] if photos else None

    def of(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """The images uint8 [h, w, c] of these rows."""
        return [self._image(int(row)) for row in rows]

    def _image(self, row: int) -> np.ndarray:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        source, place = self._sources[number], row - self._starts[number]
        if source.pictures is not None:
            return source.pictures[place]
        return decode(self._photos[source.rows["image_id"].iloc[place]])

    def table(self, rows: np.ndarray) -> pd.DataFrame:
        """The rows of the contract's table `images` of the generated ones among `rows`."""
        generated = []
        for source, start in zip(self._sources, self._starts, strict=False):
            places = rows[(rows >= start) & (rows < start + len(source))] - start
            if source.pictures is not None:
                encoded = [encode_png(picture) for picture in source.pictures[places]]
                generated.append(source.rows.iloc[places][["image_id", "category"]].assign(image=encoded))
        return _contract_rows("images", pd.concat(generated) if generated else pd.DataFrame())


def _contract_rows(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    declared = TABLES[table]
    whole = rows.reindex(columns=[column.name for column in declared.columns]).reset_index(drop=True)
    return to_pandas(conform(pa.Table.from_pandas(whole, preserve_index=False), declared, "memory"), declared)


def _checked(scores: np.ndarray, creatives: int) -> np.ndarray:
    if scores.ndim != 2 or len(scores) != creatives or not np.isfinite(scores).all():
        raise UserError(
            f"the interest model must score {creatives} creatives for every segment with finite numbers, "
            f"got {scores.shape}"
        )
    return scores


def _choose(creatives: pd.DataFrame, scores: np.ndarray, per_campaign: int) -> np.ndarray:
    """The chosen rows, ascending: in each campaign, segments choose in turn the best of the remaining rows.

    A product with its share of the places (SAME_PRODUCT) is chosen again only if no other is left.
    """
    product = creatives["product_id"].astype("object").where(creatives["product_id"].notna(), None).to_numpy()
    chosen: list[int] = []
    for rows in creatives.groupby("campaign", sort=True).indices.values():
        queues = [list(rows[np.argsort(-scores[rows, segment], kind="stable")]) for segment in range(scores.shape[1])]
        taken: dict[int, None] = {}
        often: Counter[object] = Counter()
        for turn in range(min(per_campaign, len(rows))):
            left = [row for row in queues[turn % len(queues)] if row not in taken]
            most = max(1, per_campaign // SAME_PRODUCT)
            best = next((row for row in left if product[row] is None or often[product[row]] < most), left[0])
            taken[best] = None
            often[product[best]] += 1
        chosen.extend(taken)
    return np.sort(np.array(chosen, dtype=np.int64))


class _Choice:
    """Chooses among admitted creatives [n] by scores [n, segments], and has the chosen ones inspected.

    inspect: rows -> rule and reason of each; only chosen rows are inspected, since each must be drawn for it.
    """

    def __init__(
        self,
        creatives: pd.DataFrame,
        scores: np.ndarray,
        per_campaign: int,
        inspect: Callable[[np.ndarray], Sequence[tuple[str, str]]],
    ):
        self._creatives, self._scores, self._per_campaign, self._inspect = creatives, scores, per_campaign, inspect
        self._found: dict[int, tuple[str, str]] = {}

    def of(self, rows: np.ndarray) -> np.ndarray:
        """As `_choose`, among `rows`, without what is refused once it is drawn; ascending."""
        while True:
            left = rows[[not self._found.get(row, ("", ""))[1] for row in rows.tolist()]]
            own = self._creatives.iloc[left].reset_index(drop=True)
            chosen = left[_choose(own, self._scores[left], self._per_campaign)]
            new = np.array([row for row in chosen.tolist() if row not in self._found], dtype=np.int64)
            if not len(new):
                return chosen
            self._found.update(zip(new.tolist(), self._inspect(new), strict=True))

    def refusals(self, shown: _Images) -> Iterator[Refusal]:
        """What was refused once it was drawn."""
        for row, (rule, reason) in self._found.items():
            if reason:
                yield Refusal(self._creatives.iloc[row].to_dict(), shown.of([row])[0], rule, reason)


def _rank(chosen: pd.DataFrame, scores: np.ndarray) -> pd.DataFrame:
    segments = scores.shape[1]
    ranking = pd.DataFrame(
        {
            "creative_id": np.repeat(chosen["creative_id"].to_numpy(), segments),
            "campaign": np.repeat(chosen["campaign"].to_numpy(), segments),
            "segment": np.tile(np.arange(segments), len(chosen)),
            "score": scores.ravel(),
        }
    )
    order = ranking.groupby(["campaign", "segment"])["score"].rank(method="first", ascending=False)
    return ranking.assign(rank=order.astype("int64")).sort_values(["campaign", "segment", "rank"], ignore_index=True)

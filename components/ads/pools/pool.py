"""Fill each campaign's pool with new creatives: admit some of the candidates, and choose those with the best scores."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from components.ads.admission import Candidates, Standards, admit
from components.ads.pools.proposals import Proposals
from components.contract.conform import conform, to_pandas
from components.contract.schema import TABLES
from components.images import decode, encode_png
from components.settings.errors import UserError

IN_CATALOGUE = "is in the catalogue already"
SAME_PRODUCT = 3  # a product has at most one of so many places in a campaign's pool, while there are others

# creatives [n], their images uint8 [n, h, w, c] or None for photos in the table `images` -> expected click-through,
# float64 [n, segments]
Score = Callable[[pd.DataFrame, np.ndarray | None], np.ndarray]
# creatives [n], the image of each -> object [n], why each is refused once it is drawn, or ""
Inspect = Callable[[pd.DataFrame, Sequence[np.ndarray]], np.ndarray]


def not_inspected(creatives: pd.DataFrame, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """No reason for any creative, without drawing it."""
    return np.full(len(creatives), "", dtype=object)


@dataclass(frozen=True)
class Pool:
    """New creatives of all campaigns.

    creatives, images: rows with exactly the contract's columns; images are the generated ones. pictures: uint8
    [h, w, c], the image of each creative; ranking: creative_id, campaign, segment, score, rank (1 is best within
    campaign and segment); drawn: number of candidates; refused: reason -> number of refused ones.
    """

    creatives: pd.DataFrame
    images: pd.DataFrame
    pictures: Sequence[np.ndarray]
    ranking: pd.DataFrame
    drawn: int
    refused: Mapping[str, int]

    def remarks(self) -> tuple[str, ...]:
        """A sentence on how many of the candidates were refused, and why."""
        refused = ", ".join(f"{reason} ({count})" for reason, count in self.refused.items())
        empty = "" if len(self.creatives) else "; the pool stays empty"
        return (f"pool: of {self.drawn} candidate ads, not admitted: {refused or 'none'}{empty}",)


def fill_pool(
    tables: Mapping[str, pd.DataFrame],
    proposals: Sequence[Proposals],
    standards: Standards,
    score: Score,
    per_campaign: int,
    *,
    active_from: pd.Timestamp | None = None,
    inspect: Inspect = not_inspected,
) -> Pool:
    """The pool of at most `per_campaign` creatives of each campaign, from the proposals of all sources together.

    tables: `campaigns`, `creatives` and, for photos of products, `images`. Candidates that ADMISSION_RULES refuse by
    `standards` are counted and left out, and so are chosen ones that `inspect` refuses; others are then chosen in their
    place. active_from: null: always active.
    """
    proposals = [source for source in proposals if len(source)]
    reasons = [_reasons(source, tables, standards) for source in proposals]
    admitted = [_admitted(source, reason == "") for source, reason in zip(proposals, reasons, strict=True)]
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
    chosen, faults = _choose_sound(creatives, pooled, per_campaign, lambda rows, own: inspect(rows, shown.of(own)))
    refused = Counter(np.concatenate(reasons).tolist() if reasons else [])
    drawn = sum(refused.values())
    refused.update(fault for fault in faults if fault)
    return Pool(
        creatives=creatives.iloc[chosen].reset_index(drop=True),
        images=shown.table(chosen),
        pictures=shown.of(chosen),
        ranking=_rank(creatives.iloc[chosen], pooled[chosen]),
        drawn=drawn,
        refused={reason: count for reason, count in sorted(refused.items()) if reason},
    )


def _reasons(source: Proposals, tables: Mapping[str, pd.DataFrame], standards: Standards) -> np.ndarray:
    """Object [n]: why each candidate is refused, "" for an admitted one."""
    locales = tables["campaigns"].set_index("campaign")["locale"]
    words = source.rows.reindex(columns=[*source.rows.columns, *{"design"}.difference(source.rows.columns)])
    words = words.assign(locale=words["campaign"].map(locales))
    if source.pictures is None:
        reasons = admit(Candidates(words), standards, reads=("texts",))
    else:
        # a generated article is not the product, so the product's facts back no claim about it
        reasons = admit(Candidates(words.assign(product_id=None), source.pictures), standards)
    reasons[source.rows["creative_id"].isin(tables["creatives"]["creative_id"]).to_numpy()] = IN_CATALOGUE
    return reasons


def _admitted(source: Proposals, sound: np.ndarray) -> Proposals:
    pictures = None if source.pictures is None else source.pictures[sound]
    return Proposals(source.rows[sound].reset_index(drop=True), pictures)


class _Images:
    """The images of the admitted candidates of all sources, whose rows are numbered from 0."""

    def __init__(self, admitted: Sequence[Proposals], tables: Mapping[str, pd.DataFrame]):
        self._admitted = admitted
        self._starts = np.cumsum([0, *(len(source) for source in admitted)])
        photos = any(source.pictures is None and len(source) for source in admitted)
        self._photos = tables["images"].set_index("image_id")["image"] if photos else None

    def of(self, rows: np.ndarray) -> list[np.ndarray]:
        """The images uint8 [h, w, c] of these rows."""
        return [self._image(int(row)) for row in rows]

    def _image(self, row: int) -> np.ndarray:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        source, place = self._admitted[number], row - self._starts[number]
        if source.pictures is not None:
            return source.pictures[place]
        return decode(self._photos[source.rows["image_id"].iloc[place]])

    def table(self, rows: np.ndarray) -> pd.DataFrame:
        """The rows of the contract's table `images` of the generated ones among `rows`."""
        generated = []
        for source, start in zip(self._admitted, self._starts, strict=False):
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


def _choose_sound(
    creatives: pd.DataFrame,
    scores: np.ndarray,
    per_campaign: int,
    inspect: Callable[[pd.DataFrame, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, list[str]]:
    """As `_choose`, among the rows that `inspect` (rows, their places) does not refuse; and its reasons.

    Only chosen rows are inspected, since each must be drawn for it.
    """
    reasons: dict[int, str] = {}
    while True:
        left = np.flatnonzero([not reasons.get(row) for row in range(len(creatives))])
        chosen = left[_choose(creatives.iloc[left].reset_index(drop=True), scores[left], per_campaign)]
        new = np.array([row for row in chosen if row not in reasons], dtype=np.int64)
        if not len(new):
            return chosen, list(reasons.values())
        reasons.update(zip(new.tolist(), inspect(creatives.iloc[new], new), strict=True))


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

"""The champion generator -> new creatives on disk: pictures, plain ads and a manifest that says how each was made."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from upath import UPath

from components.contract.tables import read_json, write_bytes, write_json
from components.errors import UserError
from components.manifest import digest_tree


def generate(
    dataset: str, out: UPath, count: int, category: str | None, segment: int | None, text: str | None, seed: int
) -> int:
    """Write `count` pictures, their 300x250 ads and manifest.json to `out`; the number written.

    category, segment: None takes all in turn. Raises UserError where there is no champion, or the champion knows no
    such category or segment.
    """
    from components.promotion.registry import CHAMPION
    from components.tracking import fetch_package, open_store, version_of

    if text is not None:
        raise UserError("--text: the champion generators take a category and a segment, and no text yet")
    version = version_of(open_store(), f"{dataset}-creatives", CHAMPION)
    if version is None:
        raise UserError(f"{dataset}-creatives has no champion; `adloom run {dataset}` trains and judges generators")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "package"
        fetch_package(version, folder)
        files, about = _read(UPath(folder))
    rows = _make(files, about, count, category, segment, seed)
    for row in rows:
        write_bytes(row.pop("picture_png"), out / row["picture"])
        write_bytes(row.pop("ad_png"), out / row["ad"])
    manifest = {"model": version.name, "version": version.number, "seed": seed, "creatives": rows}
    write_json({**manifest, "digests": digest_tree(out, skip=("manifest.json",))}, out / "manifest.json")
    return len(rows)


def _read(package: UPath) -> tuple[Mapping[str, bytes], dict]:
    """The best generator's files and `about.json`: its name and the texts that people wrote."""
    about = read_json(package / "about.json")
    best = package / about["best"]
    return {path.name: path.read_bytes() for path in best.iterdir()}, about


def _make(files: Mapping[str, bytes], about: dict, count: int, category: str | None, segment: int | None, seed: int):
    from components.creatives.boards import ad_png, picture_png
    from components.creatives.generator import NetworkGenerator

    generator = NetworkGenerator.from_files(dict(files))
    categories = _codes("--category", category, generator.categories, count)
    segments = _codes("--segment", segment, tuple(range(generator.segments)), count, len(generator.categories))
    pictures = generator.sample(categories, segments, seed)
    texts = np.random.default_rng(seed).integers(0, len(about["texts"]), count)
    rows = []
    for number in range(count):
        wording = about["texts"][texts[number]]
        rows.append(
            {
                "picture": f"{number:03d}-picture.png",
                "ad": f"{number:03d}-ad.png",
                "generator": generator.name,
                "category": generator.categories[categories[number]],
                "segment": int(segments[number]),
                **wording,
                "picture_png": picture_png(pictures[number]),
                "ad_png": ad_png(pictures[number], **wording),
            }
        )
    return rows


def _codes(option: str, asked, known: tuple, count: int, every: int = 1) -> np.ndarray:
    """The asked code `count` times, or all in turn, the next one after `every`; UserError for one that is not known."""
    if asked is None:
        return np.arange(count) // every % max(len(known), 1)
    if asked not in known:
        raise UserError(f"{option} {asked}: the champion knows {json.dumps(list(known), ensure_ascii=False)}")
    return np.full(count, known.index(asked))

"""Folders of a data set: its raw tables and the outputs of its stages.

Locations are URLs (fsspec), so that two machines can share a bucket. A plain path is a local folder.
"""

from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from components.settings.file_names import check_dataset_name

ROOT = Path(__file__).resolve().parents[2]  # of the repository
STAGES = ("validation", "features", "interest", "creatives", "evaluation", "promotion")


@dataclass(frozen=True)
class Paths:
    """The folders of one data set: `data` (raw tables, read only) and `artifacts` (outputs of the stages)."""

    data: UPath
    artifacts: UPath

    @classmethod
    def of(cls, dataset: str, data: str | None = None, workdir: str = "artifacts") -> "Paths":
        """Folders of `dataset`: raw tables in `data` (default `data/<dataset>`), outputs under `workdir`.

        UserError for a `dataset` that is not a data set's name, since it could lead to another folder.
        """
        check_dataset_name(dataset)
        return cls(data=UPath(data or f"data/{dataset}"), artifacts=UPath(workdir) / dataset)

    def stage(self, name: str) -> UPath:
        """The output folder of stage `name`."""
        if name not in STAGES:
            raise ValueError(f"no stage is called {name!r}")
        return self.artifacts / name

    @property
    def champion(self) -> UPath:
        """The local copy of the champion policy, evaluation's baseline; absent if there is no champion."""
        return self.artifacts / "champion"

    @property
    def champion_record(self) -> UPath:
        """The champion's version and the form in which it acts, as recorded by the registry."""
        return self.artifacts / "champion.json"

    @property
    def champion_generators(self) -> UPath:
        """The local copy of the champion generators, where a warm start begins; absent if there are none."""
        return self.artifacts / "champion-generators"

    @property
    def ledger(self) -> UPath:
        """The ledger of all questions to the gate, which share one error probability."""
        return self.artifacts / "ledger.json"

    @property
    def reviews(self) -> UPath:
        """The registry's snapshot of what people decided about new creatives; absent if they decided nothing."""
        return self.artifacts / "reviews.json"

    @property
    def docs(self) -> UPath:
        """Pages for people (Data Docs, reports). They contain the time of day, so no digest includes them."""
        return self.artifacts / "docs"

    @property
    def tensorboard(self) -> UPath:
        """The losses of trainings, for TensorBoard; no digest includes them."""
        return self.artifacts / "tensorboard"

    @property
    def export(self) -> UPath:
        """Decisions, ads and their manifest, for an ad server."""
        return self.artifacts / "export"

    @property
    def serving(self) -> UPath:
        """What `adloom serve` keeps: its journal of decisions and events, and its lock."""
        return self.artifacts / "serving"

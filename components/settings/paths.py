"""Where things lie: a data set's raw tables, a run's artifacts, Adloom's own state.

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
    """The folders of one data set: `data` (raw tables, read only) and `artifacts` (what the stages write)."""

    data: UPath
    artifacts: UPath

    @classmethod
    def of(cls, dataset: str, data: str | None = None, workdir: str = "artifacts") -> "Paths":
        """Folders of `dataset`: raw tables in `data` (default `data/<dataset>`), outputs under `workdir`.

        UserError where `dataset` can be no data set's name, so that no folder lies elsewhere.
        """
        check_dataset_name(dataset)
        return cls(data=UPath(data or f"data/{dataset}"), artifacts=UPath(workdir) / dataset)

    def stage(self, name: str) -> UPath:
        """The folder that stage `name` writes."""
        if name not in STAGES:
            raise ValueError(f"no stage is called {name!r}")
        return self.artifacts / name

    @property
    def champion(self) -> UPath:
        """The snapshot of the champion that evaluation compares with; absent where there is none yet."""
        return self.artifacts / "champion"

    @property
    def champion_record(self) -> UPath:
        """What the registry says of the snapshot: its version and the form in which it acts."""
        return self.artifacts / "champion.json"

    @property
    def champion_generators(self) -> UPath:
        """The snapshot of the champion generators that a warm start begins at; absent where there are none yet."""
        return self.artifacts / "champion-generators"

    @property
    def ledger(self) -> UPath:
        """The questions that the registry's gate was ever asked, which share one error probability."""
        return self.artifacts / "ledger.json"

    @property
    def docs(self) -> UPath:
        """Pages for people (Data Docs, reports): not part of any digest, for they carry the time of day."""
        return self.artifacts / "docs"

    @property
    def export(self) -> UPath:
        """What an ad server takes: decisions, pictures and their manifest."""
        return self.artifacts / "export"

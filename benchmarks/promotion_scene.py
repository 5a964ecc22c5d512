"""The registry that `benchmarks.promotion_tampering` tampers with, and the commands that a user runs next."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.promotion_shop import enter, judge
from components.registry import promotion
from components.registry.mlflow_store import Version, open_store, version_of
from components.registry.promotion import CHALLENGER, CHAMPION, apply
from components.settings.paths import Paths
from components.settings.sections import Settings
from components.workflow.publishing.deployed_policy import read_champion
from components.workflow.publishing.export import renew_export
from components.workflow.publishing.publication import snapshot


@dataclass(frozen=True)
class Scene:
    """A data set's registry and artifacts. first, second: its versions; other: a version of another data set."""

    client: object
    paths: Paths
    first: Version
    second: Version
    other: Version

    @property
    def name(self) -> str:
        """The registered policy."""
        return self.second.name

    def run_folder(self, version: Version | None = None) -> Path:
        """MLflow's folder of artifacts of `version` (default: the second)."""
        uri = self.client.get_run((version or self.second).run_id).info.artifact_uri
        return Path(uri.removeprefix("file://"))

    def package(self, version: Version | None = None) -> Path:
        """The folder of registered files of `version` (default: the second)."""
        return self.run_folder(version) / "package"

    def signature(self, version: Version | None = None) -> Path:
        """The signature file of `package(version)`."""
        return self.run_folder(version) / "package.sig"

    def decisions(self, version: Version | None = None) -> list[Path]:
        """The folders of recorded decisions, oldest first."""
        return sorted(path for path in (self.run_folder(version) / "decisions").iterdir() if path.is_dir())

    def tag(self, key: str, value: str, version: Version | None = None) -> None:
        """Set a tag of `version` (default: the second)."""
        self.client.set_model_version_tag(self.name, str((version or self.second).number), key, value)

    def champion(self) -> int:
        """The number of the champion version."""
        return int(self.client.get_model_version_by_alias(self.name, CHAMPION).version)


def run(scene: Scene) -> None:
    """The start of `adloom run`: fetch the champion; evaluation then reads it."""
    snapshot(scene.name.removesuffix("-policy"), Settings(), scene.paths)
    read_champion(scene.paths)


def evaluate(scene: Scene) -> None:
    """Evaluation reads the champion's local copy."""
    read_champion(scene.paths)


def export(scene: Scene) -> None:
    """`adloom export`."""
    renew_export(scene.name.removesuffix("-policy"), scene.paths)


def promote(scene: Scene) -> None:
    """`adloom promote`."""
    promotion.promote(scene.client, scene.name, False, None, "ann")


def force(scene: Scene) -> None:
    """`adloom promote --force`."""
    promotion.promote(scene.client, scene.name, True, "now", "ann")


def roll_back(scene: Scene) -> None:
    """`adloom rollback`."""
    promotion.rollback(scene.client, scene.name, None, "ann")


# the state of version 2: champion; challenger that waits for approval; challenger that was refused
IS_CHAMPION, WAITS, REFUSED = "champion", "waits", "refused"


def make_scene(dataset: str, folder: Path, second_state: str, fetched: bool) -> Scene:
    """A data set with two versions: the first was or is champion, the second is in `second_state`.

    fetched: whether the champion's local copy exists.
    """
    client, name = open_store(), f"{dataset}-policy"
    first = enter(client, name, folder / "first", 0.6)
    second = enter(client, name, folder / "second", 0.7)
    other = enter(client, f"{dataset}-other-policy", folder / "other", 0.8)
    apply(client, name, first, judge(client, first, None, passes=True))
    decision = judge(client, second, first.tags["package_digest"], passes=second_state != REFUSED)
    apply(client, name, second, decision, "manual" if second_state == WAITS else "auto")
    paths = Paths.of(dataset, workdir=str(folder / "artifacts"))
    (Path(paths.stage("promotion")) / "policy").mkdir(parents=True)
    if fetched:
        snapshot(dataset, Settings(), paths)
    alias = CHAMPION if second_state == IS_CHAMPION else CHALLENGER
    return Scene(client, paths, first, version_of(client, name, alias), other)

"""A simulated shop with a policy that can act, for the benchmarks of serving: small, and made once per folder."""

from pathlib import Path

from upath import UPath

from benchmarks.served_value import NAME, build_shop, stand_in_pool

OVERRIDES = (
    "simulator.seed=999",
    "simulator.shoppers=4000",
    "simulator.campaigns=4",
    "simulator.creatives_per_campaign=50",
    "simulator.events=400000",
    "simulator.impressions=60000",
    "evaluation.bootstrap=50",
    "evaluation.clones=2",
    "evaluation.clone_impressions=500",
)


def prepared_shop(workdir: str, overrides: tuple[str, ...] = ()):
    """Its settings and paths, after the stages up to `evaluation`; those that ran before in `workdir` are skipped."""
    from components.settings.params_file import load_settings
    from components.settings.paths import Paths
    from components.workflow import run_stage

    folder = UPath(Path(workdir).resolve())
    settings = load_settings("params.yaml", NAME, (*OVERRIDES, *overrides))
    paths = Paths.of(NAME, data=str(folder / "data" / NAME), workdir=str(folder / "artifacts"))
    if not (paths.stage("evaluation") / "policy").exists():
        build_shop(settings, paths)
        for name in ("validation", "features", "interest"):
            run_stage.run(name, settings, paths)
        stand_in_pool(settings, paths)
        run_stage.run("evaluation", settings, paths)
    return settings, paths


def assembled_package(paths, folder: Path) -> Path:
    """The policy's package as the stage `promotion` assembles it, in `folder`."""
    import shutil

    from components.workflow.stages import PACKAGE

    for source, target in PACKAGE.items():
        shutil.copytree(Path(paths.artifacts) / source, folder / target, dirs_exist_ok=True)
    return folder

"""The dependencies of each stage, as data: the stages whose outputs it reads, and the code that it runs.

A stage runs again if any of them, its settings, or an input outside the stages (see freshness.py) changes.
tests/components/workflow/test_stage_graph.py compares these declarations with the imports of each stage.
"""

from dataclasses import dataclass

# a stage's settings are compared by value, so the package `settings` is not listed as code
WRITES = ("workflow/stages", "workflow/stage_outputs")
READS = (*WRITES, "workflow/stage_inputs")
FEATURES = ("contract", "images", "features")
INTEREST = (*FEATURES, "interest")


@dataclass(frozen=True)
class Stage:
    """reads: names of stages. code: packages of components/, or modules as `package/module`."""

    reads: tuple[str, ...]
    code: tuple[str, ...]


def _page(stage: str) -> tuple[str, str]:
    return f"workflow/pages/{stage}_page", "workflow/pages/markdown_parts"


GRAPH = {
    "validation": Stage((), (*WRITES, "contract")),
    "features": Stage(("validation",), (*READS, *_page("features"), *FEATURES)),
    "interest": Stage(
        ("validation", "features"),
        (*READS, *_page("interest"), "workflow/training_curves", *INTEREST, "policies"),
    ),
    "creatives": Stage(
        ("validation", "features", "interest"),
        (
            *(*READS, *_page("creatives"), "workflow/stage_models", "workflow/caching/local_folders"),
            *("workflow/checkpointed_training", *INTEREST, "generators", "ads"),
        ),
    ),
    "evaluation": Stage(
        ("validation", "features", "interest", "creatives"),
        (
            *(*READS, "workflow/stage_models", "workflow/pool_files", "workflow/publishing/deployed_policy"),
            *(*_page("evaluation"), "workflow/evaluation_inputs", "workflow/evaluation_files"),
            *(*INTEREST, "policies", "evaluation", "simulator", "registry/signing", "registry/unreadable_champion"),
        ),
    ),
    "promotion": Stage(
        ("features", "interest", "creatives", "evaluation"),
        (
            *(*WRITES, "workflow/pool_files", "contract", "policies", "evaluation"),
            *("registry/decision", "registry/experiment_plan"),
        ),
    ),
}

"""`adloom evaluate`: off-policy evaluation of any log, without MLflow or Prefect."""

import json

import click

from components.cli.run import json_option
from components.contract.escaping import terminal


@click.command()
@click.option("--log", "log", required=True, metavar="FILE", help="Columns impression_id, action, propensity, reward.")
@click.option("--target", required=True, metavar="FILE", help="Columns impression_id, action, probability.")
@click.option("--actions", metavar="FILE", help="Columns action, feature_*; the estimator mips needs them.")
@click.option(
    "--reward-range",
    nargs=2,
    type=float,
    default=(0.0, 1.0),
    show_default=True,
    metavar="LO HI",
    help="Smallest and largest possible reward.",
)
@json_option
def evaluate(log: str, target: str, actions: str | None, reward_range: tuple[float, float], as_json: bool) -> None:
    """Estimate what a TARGET policy would have earned on a LOG, with intervals, and say whether to trust it.

    Files are Parquet or CSV. Sort a log without the column timestamp by time: the finite-sample intervals need the
    order. Times are ISO 8601, or numbers since 1970 in one unit. Each row without a shopper_id counts as a separate
    shopper. If the log cannot support an estimate, the verdict is abstain and the exit code is still 0.
    """
    from components.evaluation import evaluate_files

    evaluation = evaluate_files(log, target, actions, reward_range)
    if as_json:
        click.echo(json.dumps(evaluation.to_dict(), allow_nan=False))
    else:
        click.echo(terminal(evaluation.to_text()))

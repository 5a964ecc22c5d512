"""`adloom evaluate`: off-policy evaluation of anybody's log, with no MLflow and no Prefect."""

import json

import click

from components.cli.run import json_option
from components.contract.escaping import terminal


@click.command()
@click.option("--log", "log", required=True, metavar="FILE", help="impression_id, action, propensity, reward, ...")
@click.option("--target", required=True, metavar="FILE", help="impression_id, action, probability, in long form.")
@click.option("--actions", metavar="FILE", help="action, feature_*: what mips needs.")
@click.option(
    "--reward-range", nargs=2, type=float, default=(0.0, 1.0), show_default=True, metavar="LO HI", help="Of one reward."
)
@json_option
def evaluate(log: str, target: str, actions: str | None, reward_range: tuple[float, float], as_json: bool) -> None:
    """Say what a TARGET policy would have earned on a LOG, how sure that is, and whether to trust it.

    Files are Parquet or CSV. A log without a column timestamp must be in order of time, for the intervals that hold at
    any sample size need it; times are ISO 8601, or numbers since 1970 in one unit. Rows without a shopper_id count as
    shoppers of their own. An abstention is an answer: it exits with 0.
    """
    from components.evaluation import evaluate_files

    evaluation = evaluate_files(log, target, actions, reward_range)
    if as_json:
        click.echo(json.dumps(evaluation.to_dict(), allow_nan=False))
    else:
        click.echo(terminal(evaluation.to_text()))

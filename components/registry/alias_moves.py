"""Moves of the aliases `champion` and `challenger`, which complete even if the process is killed.

A move changes tags, two aliases and the history. `commit` writes the whole move into the tag `pending` of the
registered model, does its steps, and deletes the tag. Every step may be done twice. Every change of the registry begins
with `complete_move`, which does the steps of a move that was interrupted.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from components.contract.escaping import filter_by_name
from components.registry.mlflow_store import Version, version_of
from components.settings.errors import UserError

CHAMPION = "champion"
CHALLENGER = "challenger"
PENDING = "pending"  # tag of a registered model: the move in progress
HISTORY = "champions"  # tag of a registered model: the versions of its champions, the present one last
MAX_HISTORY = 100  # champions
MAX_TAG = 5_000  # characters


@dataclass(frozen=True)
class Move:
    """champion: the version that gets the alias. history: see HISTORY; None: no history is recorded.

    tags: by version and tag, the new value; None deletes the tag.
    """

    champion: int
    history: tuple[int, ...] | None = None
    tags: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)


def commit(client, name: str, move: Move) -> None:
    """Do `move`; if this process is killed, the next `complete_move` finishes it. The caller holds the lock."""
    text = json.dumps(asdict(move), ensure_ascii=False)
    if len(text) > MAX_TAG:
        raise UserError(f"{name}: the reason is too long to be recorded; write a shorter one")
    client.set_registered_model_tag(name, PENDING, text)
    _do(client, name, move)


def complete_move(client, name: str) -> Move | None:
    """The interrupted move of `name`, after completing it; None if there was none.

    A version with both aliases, which a move of an earlier release could leave, loses `challenger`.
    """
    text = model_tags(client, name).get(PENDING)
    if text is None:
        _drop_duplicate(client, name)
        return None
    record = json.loads(text)
    history = None if record["history"] is None else tuple(record["history"])
    move = Move(record["champion"], history, record["tags"])
    _do(client, name, move)
    return move


def history(client, name: str, champion: Version | None) -> tuple[int, ...]:
    """Versions that were champion, the present one last, even if a person moved its alias in MLflow."""
    if champion is None:
        return ()
    recorded = tuple(json.loads(model_tags(client, name).get(HISTORY, "[]")))
    return recorded if recorded[-1:] == (champion.number,) else (*recorded, champion.number)


def _do(client, name: str, move: Move) -> None:
    from mlflow.exceptions import MlflowException

    try:
        for number, tags in move.tags.items():
            _set_tags(client, name, number, tags)
        client.set_registered_model_alias(name, CHAMPION, str(move.champion))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(
            f"{name}: a move to version {move.champion} was interrupted, and one of its versions was deleted since: "
            f"delete the tag `{PENDING}` of the registered model in MLflow, then run again"
        ) from None
    _drop_duplicate(client, name)
    if move.history is not None:
        client.set_registered_model_tag(name, HISTORY, json.dumps(move.history[-MAX_HISTORY:]))
    client.delete_registered_model_tag(name, PENDING)


def _set_tags(client, name: str, number: str, tags: Mapping[str, str | None]) -> None:
    present = client.get_model_version(name, number).tags
    for key, value in tags.items():
        if value is not None:
            client.set_model_version_tag(name, number, key, value)
        elif key in present:
            client.delete_model_version_tag(name, number, key)


def _drop_duplicate(client, name: str) -> None:
    champion, challenger = version_of(client, name, CHAMPION), version_of(client, name, CHALLENGER)
    if champion is not None and challenger is not None and champion.number == challenger.number:
        client.delete_registered_model_alias(name, CHALLENGER)


def model_tags(client, name: str) -> Mapping[str, str]:
    """The tags of the registered model; empty if there is no such model."""
    models = client.search_registered_models(filter_by_name(name))
    return models[0].tags if models else {}

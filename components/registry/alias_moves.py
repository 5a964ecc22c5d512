"""Moves of aliases that a kill cannot leave half done: the whole move is written down first, in one tag.

A move changes tags, two aliases and the history. `commit` enters it as the tag `pending` of the registered model, does
its steps, each of which may be done twice, and takes the tag away. `recover`, which every change of the registry begins
with, does the steps of a move that was cut off.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from components.contract.escaping import filter_by_name
from components.registry.mlflow_store import Version, version_of
from components.settings.errors import UserError

CHAMPION = "champion"
CHALLENGER = "challenger"
PENDING = "pending"  # tag of a registered model: the move that is under way
HISTORY = "champions"  # tag of a registered model: its champions' versions, the present one last
REMEMBERED = 100  # champions
LIMIT = 5_000  # characters in a tag


@dataclass(frozen=True)
class Move:
    """champion: the version that is to bear the alias. history: see HISTORY; None: not kept.

    tags: version -> tag -> its new value; None takes the tag away.
    """

    champion: int
    history: tuple[int, ...] | None = None
    tags: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)


def commit(client, name: str, move: Move) -> None:
    """Do `move`, whole even if this process is killed: then the next `recover` ends it. The caller holds the lock."""
    text = json.dumps(asdict(move), ensure_ascii=False)
    if len(text) > LIMIT:
        raise UserError(f"{name}: the reason is too long to be kept; say it in fewer words")
    client.set_registered_model_tag(name, PENDING, text)
    _do(client, name, move)


def recover(client, name: str) -> Move | None:
    """End the move of `name` that was cut off, and return it; None where none was.

    A version that bears both aliases, as a move of an earlier release could leave it, loses `challenger`.
    """
    text = model_tags(client, name).get(PENDING)
    if text is None:
        _drop_double(client, name)
        return None
    record = json.loads(text)
    history = None if record["history"] is None else tuple(record["history"])
    move = Move(record["champion"], history, record["tags"])
    _do(client, name, move)
    return move


def history(client, name: str, champion: Version | None) -> tuple[int, ...]:
    """Versions that were champion, the present one last. One that was moved there by hand counts from now on."""
    if champion is None:
        return ()
    kept = tuple(json.loads(model_tags(client, name).get(HISTORY, "[]")))
    return kept if kept[-1:] == (champion.number,) else (*kept, champion.number)


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
            f"{name}: a move to version {move.champion} was cut off, and a version of it was deleted since: take the "
            f"tag `{PENDING}` from the registered model in MLflow, then run again"
        ) from None
    _drop_double(client, name)
    if move.history is not None:
        client.set_registered_model_tag(name, HISTORY, json.dumps(move.history[-REMEMBERED:]))
    client.delete_registered_model_tag(name, PENDING)


def _set_tags(client, name: str, number: str, tags: Mapping[str, str | None]) -> None:
    present = client.get_model_version(name, number).tags
    for key, value in tags.items():
        if value is not None:
            client.set_model_version_tag(name, number, key, value)
        elif key in present:
            client.delete_model_version_tag(name, number, key)


def _drop_double(client, name: str) -> None:
    champion, challenger = version_of(client, name, CHAMPION), version_of(client, name, CHALLENGER)
    if champion is not None and challenger is not None and champion.number == challenger.number:
        client.delete_registered_model_alias(name, CHALLENGER)


def model_tags(client, name: str) -> Mapping[str, str]:
    """Tags of the registered model; none where there is no such model."""
    found = client.search_registered_models(filter_by_name(name))
    return found[0].tags if found else {}

"""What to do about a champion that this release cannot read: one message for every command."""

from collections.abc import Iterator
from contextlib import contextmanager

from components.settings.errors import Unavailable, UserError

# raised by readers of models and policies for files of another layout
UNREADABLE = (UserError, KeyError, IndexError, TypeError, ValueError, AttributeError)


@contextmanager
def reading_champion(name: str, version: int, unreadable: tuple[type[Exception], ...] = UNREADABLE) -> Iterator[None]:
    """Within it the signed files of the champion `version` of model `name` are read; errors become one UserError.

    The files must have been checked against digest and signature, so that a fault in them is their layout.
    """
    try:
        yield
    except Unavailable:
        raise
    except unreadable as error:
        why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        raise UserError(
            f"{name} version {version}, {_role(name)}, was registered by an earlier release, and this one cannot read "
            f"it ({why}). Nothing was registered or moved. {_way_out(name)}"
        ) from None


def _role(name: str) -> str:
    return "which scored the champion's pool" if name.endswith("-interest") else "the champion"


def _way_out(name: str) -> str:
    dataset, _, kind = name.rpartition("-")
    if kind != "policy":
        return f"`adloom run {dataset}` makes a new one"
    return (
        f"Either go back to an earlier champion (`adloom rollback {dataset}`), or run with the commit in the version's "
        f"tag git_commit, or delete the alias champion of {name} in MLflow (`adloom ui`): the next run compares its "
        "policy with the one that logged the data"
    )

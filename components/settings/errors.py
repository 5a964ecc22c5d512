"""The exceptions that mean: the user can mend this."""


class UserError(Exception):
    """Something a user gave us is wrong. The message names the thing; it is shown without a traceback."""


class Unavailable(UserError):
    """Something outside (a database, a store) is away and may come back: shown as its message, and tried again."""


def first_line(error: BaseException) -> str:
    """What `error` says in its first line; the name of its class where it says nothing."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__

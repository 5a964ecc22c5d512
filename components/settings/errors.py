"""Exceptions for mistakes that a user can mend."""


class UserError(Exception):
    """A user's input is wrong. The message names the input; it is shown without a traceback."""


class EarlierFormat(UserError):
    """A registered file has the layout of an earlier release, which this one cannot read."""


class Unavailable(UserError):
    """A database or store cannot be reached now. The message is shown without a traceback; a run tries again."""


def first_line(error: BaseException) -> str:
    """The first line of the message of `error`; the name of its class if the message is empty."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__

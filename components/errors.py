"""The exceptions that mean: the user can mend this."""


class UserError(Exception):
    """Something a user gave us is wrong. The message names the thing; it is shown without a traceback."""


class Unavailable(UserError):
    """Something outside (a database, a store) is away and may come back: shown as its message, and tried again."""

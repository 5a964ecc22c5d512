"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """Something a user gave us is wrong. The message names the thing; it is shown without a traceback."""

"""File names for names from data or from a user, safe on every machine.

No other module turns such a name into a path. A name that every file system accepts is not changed; any other becomes a
few readable letters and a digest of the whole name, so that different names never share a file. The name cannot be
computed from the digest, so a writer of such files also writes a list of names and files.
"""

import re
from hashlib import sha256

from components.settings.errors import UserError

MAX_LENGTH = 100  # bytes of a name without its ending; file systems allow 255, and temporary files need some of them
READABLE = 40  # letters of the name that a changed file name begins with
DIGEST = 20  # hexadecimal digits
# on Windows these are devices, with any ending
DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)
# no capitals: on file systems that ignore case, `Shoe` and `shoe` would be one file
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_-]*")
_DATASET = re.compile(r"[a-z0-9][a-z0-9_-]*")


def file_name(text: str, ending: str = "") -> str:
    """The file name for any `text`: one path component of at most MAX_LENGTH bytes, then `ending`, such as ".png".

    Equal texts give equal names and different texts different names, also on file systems that ignore case. `ending`
    must not come from data.
    """
    if _PLAIN.fullmatch(text) and len(text) <= MAX_LENGTH and text not in DEVICES:
        return f"{text}{ending}"
    readable = re.sub(r"[^a-z0-9_]+", "-", text.lower())[:READABLE].strip("-")
    if readable in DEVICES:
        readable = f"name-{readable}"
    # An unchanged name contains no dot, so this one cannot equal it.
    return f"{readable or 'name'}.{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:DIGEST]}{ending}"


def dataset_fault(name: str) -> str | None:
    """What is wrong with `name` as a data set's name, which folders and models bear; None if nothing is."""
    if not _DATASET.fullmatch(name):
        return "a data set's name has lower-case letters, digits, - and _, and does not begin with - or _"
    if len(name) > MAX_LENGTH:
        return f"a data set's name has at most {MAX_LENGTH} characters"
    return "this is the name of a device on some machines; choose another" if name in DEVICES else None


def check_dataset_name(name: str) -> str:
    """`name` itself; UserError if a data set cannot have it."""
    fault = dataset_fault(name)
    if fault:
        raise UserError(f"{name if len(name) <= MAX_LENGTH else name[:MAX_LENGTH] + '…'!r}: {fault}")
    return name

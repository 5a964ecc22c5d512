"""Names that come from data or from a user -> names of files and folders that are safe on every machine.

No other module makes a path of such a name. A name that any file system takes as it is stays as it is; any other one
becomes readable letters of it and a digest of all of it, so that different names never share a file, however like they
are. The digest does not lead back to the name: who writes files under such names writes beside them which is whose.
"""

import re
from hashlib import sha256

from components.settings.errors import UserError

MAX_LENGTH = 100  # bytes of a name without its ending; file systems take 255, and temporary files need some of them
READABLE = 40  # letters of the original that a replaced name begins with
DIGEST = 20  # hexadecimal digits
# Windows opens these devices whatever the ending
DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)
# no capitals: where case is ignored, `Shoe` and `shoe` would be one file
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_-]*")
_DATASET = re.compile(r"[a-z0-9][a-z0-9_-]*")


def file_name(text: str, ending: str = "") -> str:
    """The file name of `text`, which is any text at all: one path component of at most MAX_LENGTH bytes, then `ending`.

    Equal texts give equal names and different ones different names, on file systems that ignore case, too. `ending` is
    ours, such as ".png".
    """
    if _PLAIN.fullmatch(text) and len(text) <= MAX_LENGTH and text not in DEVICES:
        return f"{text}{ending}"
    readable = re.sub(r"[^a-z0-9_]+", "-", text.lower())[:READABLE].strip("-")
    if readable in DEVICES:
        readable = f"name-{readable}"
    # The dot keeps these apart from all that stay as they are.
    return f"{readable or 'name'}.{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:DIGEST]}{ending}"


def dataset_fault(name: str) -> str | None:
    """What is wrong with `name` as a data set's name, which names folders and models; None where nothing is."""
    if not _DATASET.fullmatch(name):
        return "a data set's name has lower-case letters, digits, - and _, and begins with no - or _"
    if len(name) > MAX_LENGTH:
        return f"a data set's name has at most {MAX_LENGTH} characters"
    return "this name is a device's on some machines; choose another" if name in DEVICES else None


def check_dataset_name(name: str) -> str:
    """`name` itself; UserError where it can be no data set's."""
    fault = dataset_fault(name)
    if fault:
        raise UserError(f"{name if len(name) <= MAX_LENGTH else name[:MAX_LENGTH] + '…'!r}: {fault}")
    return name

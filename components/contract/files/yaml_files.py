"""Read a YAML file that a person wrote: of limited size, without aliases, one sentence for each fault."""

from typing import Any

import yaml
from upath import UPath

from components.settings.errors import UserError


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines that refer to each other could expand to more text than memory holds."""

    def compose_node(self, parent, index):
        """The next node; ComposerError for an alias."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not allowed here", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


def read_yaml_file(path: UPath, *, kind: str, max_bytes: int, missing: str) -> dict[str, Any]:
    """The document in the file at `path`: a dict.

    kind: what such a file is called, such as `card`. missing: what the message adds where there is no file. UserError
    where it is missing, too large, no valid YAML or no mapping of keys.
    """
    try:
        if path.is_file() and path.stat().st_size > max_bytes:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes; a {kind} has at most {max_bytes:,}")
        document = yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file{missing}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: YAML reads 2026-13-45 as a date
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: must be a mapping of fields, not {type(document).__name__}")
    return document

"""Names and texts as SQL has them: quoted, whatever they hold."""


def sql_name(column: str) -> str:
    """A column's name."""
    return '"' + column.replace('"', '""') + '"'


def sql_text(value: object) -> str:
    """A text."""
    return "'" + str(value).replace("'", "''") + "'"

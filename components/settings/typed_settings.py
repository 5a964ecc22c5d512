"""Typed settings of a section or sub-section, and what is wrong with one: a line per setting that names it."""

import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from components.settings.errors import UserError
from components.settings.sections import Section


def kind_settings(section: Section, place: str, name: str, expected: type[Section]) -> Any:
    """The settings of kind `name` in `section`, a `KindsSection` of params.yaml at `place`, as `expected`.

    A kind without a sub-section gets its defaults. UserError names the setting that is wrong.
    """
    return typed_settings(section.model_extra.get(name, {}), f"{place}.{name}", expected)


def typed_settings(written: Any, place: str, expected: type[Section]) -> Any:
    """The mapping `written` at `place` in params.yaml, as `expected`. UserError names the setting that is wrong."""
    if isinstance(written, expected):
        return written
    try:
        return expected.model_validate(lists_as_tuples(dict(written) if isinstance(written, Section) else written))
    except ValidationError as error:
        raise UserError(explain_faults(error, f"{place}.", expected)) from None


def lists_as_tuples(value: Any) -> Any:
    """`value` with its lists as tuples: YAML has lists, frozen sections hold tuples, and strict mode converts none."""
    if isinstance(value, dict):
        return {key: lists_as_tuples(item) for key, item in value.items()}
    return tuple(lists_as_tuples(item) for item in value) if isinstance(value, list) else value


def explain_faults(
    error: ValidationError, before: str, root: type[Section], renamed: Mapping[str, str] | None = None
) -> str:
    """One line per fault: `before`, the setting's name, what is wrong, and the value.

    root: the section that was validated; renamed: old name of a setting -> its present name.
    """
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            value = "" if isinstance(fault["input"], dict) else f", got {fault['input']!r}"
            hint = f"it is {renamed[name]} now" if name in (renamed or {}) else _hint(fault["loc"], root)
            lines.append(f"{before}{name}: unknown setting; {hint}{value}")
        else:
            value = (
                "" if isinstance(fault["input"], dict) else f", got {fault['input']!r}"
            )  # a section may hold secrets
            lines.append(f"{before}{name}: {fault['msg'].removeprefix('Value error, ')}{value}")
    return "\n".join(lines)


def _hint(location: tuple, root: type[Section]) -> str:
    """The nearest known setting beside the unknown one at `location`; all known ones where none is near."""
    section: Any = root
    for part in location[:-1]:
        of_items = [kind for kind in typing.get_args(section) if kind is not ...]  # of a dict or tuple
        section = of_items[-1] if of_items else section.model_fields[part].annotation
        if isinstance(section, types.UnionType):  # a sub-section or null
            section = typing.get_args(section)[0]
    known = list(section.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known) or 'none'}"

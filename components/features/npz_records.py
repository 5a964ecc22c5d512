"""Store frozen dataclasses of arrays, numbers, texts and bytes as npz files, without pickles and reproducibly.

The names of the fields are the names in the file, so renaming a field breaks files of earlier releases. A new field has
a default, which is its value in those files.
"""

import io
import types
import typing
from dataclasses import MISSING, fields, is_dataclass

import numpy as np

from components.settings.errors import UserError


def to_npz(record: object) -> bytes:
    """The npz file of a frozen dataclass, which may contain further ones."""
    stream = io.BytesIO()
    np.savez(stream, **dict(_arrays("", record)))
    return stream.getvalue()


def from_npz(kind: type, content: bytes):
    """The record of class `kind` in a file of `to_npz`; UserError for other bytes."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return _restore(kind, "", {name: stored[name] for name in stored.files})
    except (ValueError, KeyError, OSError, EOFError, TypeError) as error:
        raise UserError(f"this is not a stored {kind.__name__}: {error}") from None


def _arrays(name: str, value: object):
    """Yield (dotted name, array) for every value; also the length of a tuple of records, and a mark for None."""
    if is_dataclass(value):
        for field in fields(value):
            yield from _arrays(f"{name}.{field.name}", getattr(value, field.name))
    elif value is None:
        yield f"{name}.none", np.array(True)
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        yield f"{name}.length", np.array(len(value))
        for number, item in enumerate(value):
            yield from _arrays(f"{name}.{number}", item)
    elif isinstance(value, bytes):
        yield name, np.frombuffer(value, np.uint8)  # NumPy's bytes type would lose zeros at the end
    else:
        yield name, _without_negative_zeros(np.array(value)) if not isinstance(value, tuple) else _names(value)


def _without_negative_zeros(value: np.ndarray) -> np.ndarray:
    """A rounded -1e-17 is -0; the last bits of a matrix product would change the file."""
    return value + 0.0 if value.dtype.kind == "f" else value


def _names(value: tuple) -> np.ndarray:
    return np.array(value, dtype=np.int64 if value and isinstance(value[0], int) else np.str_)


def _restore(kind, name: str, stored: dict[str, np.ndarray]):
    if isinstance(kind, types.UnionType):
        if f"{name}.none" in stored:
            return None
        kind = _stored_kind(kind, name, stored)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        written = _written(name, stored)
        # a field with a default may be younger than the file
        read = [field.name for field in fields(kind) if field.name in written or field.default is MISSING]
        return kind(**{field: _restore(hints[field], f"{name}.{field}", stored) for field in read})
    if typing.get_origin(kind) is tuple:
        return _restore_tuple(typing.get_args(kind)[0], name, stored)
    if kind is bytes:
        return stored[name].tobytes()
    return stored[name] if kind is np.ndarray else kind(stored[name].item())


def _stored_kind(union: types.UnionType, name: str, stored: dict[str, np.ndarray]) -> type:
    """The option of `union` that was stored: of several dataclasses, the one whose first field is in the file."""
    options = [option for option in typing.get_args(union) if option is not types.NoneType]
    firsts = {fields(option)[0].name: option for option in options if is_dataclass(option)}
    written = _written(name, stored)
    return next((option for first, option in firsts.items() if first in written), options[0])


def _written(name: str, stored: dict[str, np.ndarray]) -> set[str]:
    """The fields of the record `name` that the file has."""
    return {key.removeprefix(f"{name}.").split(".")[0] for key in stored if key.startswith(f"{name}.")}


def _restore_tuple(item, name: str, stored: dict[str, np.ndarray]) -> tuple:
    if is_dataclass(item) or isinstance(item, types.UnionType):
        # an empty tuple of records is stored as an empty array, without a length
        length = int(stored.get(f"{name}.length", np.array(0)))
        return tuple(_restore(item, f"{name}.{number}", stored) for number in range(length))
    return tuple(item(value) for value in stored[name].tolist())

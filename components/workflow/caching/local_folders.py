"""A local folder that a setting names -> the files that are taken from it, or one sentence about what is missing.

Nothing is downloaded. What lies in the folder is digested with the stage's inputs; where it lies is in no digest.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from upath import UPath

from components.contract.files.digests import digest_file, digest_json
from components.settings.errors import UserError
from components.settings.sections import CreativesConfig

# By setting of the creatives: each file that is due, in the order in which its places are looked at.
FILES = {
    "pretrained": (("generator.keras",), ("generator.json",)),
    "text_encoder": (("tokenizer.json",), ("model.onnx", "onnx/model.onnx")),
}

Made = TypeVar("Made")


def taken(config: CreativesConfig, setting: str, make: Callable[[Mapping[str, bytes]], Made]) -> Made:
    """What `make` makes of the files (first name -> bytes) in the folder of `creatives.<setting>`; of none where null.

    A UserError, of `make` too, begins with the setting and its folder.
    """
    folder = getattr(config, setting)
    files = {name: file.read_bytes() for name, file in _files(setting, folder).items()}
    try:
        return make(files)
    except UserError as error:
        raise UserError(f"creatives.{setting}: {folder}: {error}") from None


def digests(config: CreativesConfig) -> dict[str, str]:
    """Setting -> SHA-256 over the files taken from its folder; settings that are null are left out."""
    found = {setting: _files(setting, getattr(config, setting)) for setting in FILES}
    return {
        setting: digest_json({name: digest_file(file) for name, file in files.items()})
        for setting, files in found.items()
        if files
    }


def remarks(config: CreativesConfig) -> list[str]:
    """What a record says of each folder that was used."""
    return [f"creatives.{name}: from a local folder, digest {digest}" for name, digest in digests(config).items()]


def _files(setting: str, folder: str | None) -> dict[str, UPath]:
    """First name -> file; UserError where the folder, or a file of it, is not there."""
    if folder is None:
        return {}
    place, files = UPath(folder), {}
    if not place.is_dir():
        raise UserError(f"creatives.{setting}: {folder}: there is no such folder on this machine")
    for names in FILES[setting]:
        there = [place / name for name in names if (place / name).is_file()]
        if not there:
            due = " and ".join(" or ".join(each) for each in FILES[setting])
            raise UserError(f"creatives.{setting}: {folder}: there is no {' or '.join(names)}; due are {due}")
        files[names[0]] = there[0]
    return files

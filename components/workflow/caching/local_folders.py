"""Files read from a local folder that a setting names; a missing file is an error of one sentence.

Nothing is downloaded. The files' content is digested with the stage's inputs; the folder's path is in no digest.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from upath import UPath

from components.contract.files.digests import digest_file, digest_json
from components.settings.errors import UserError
from components.settings.sections import CreativesConfig

# by setting of the creatives: the required files, each with its possible names in the order of the search
FILES = {
    "pretrained": (("generator.keras",), ("generator.json",)),
    "text_encoder": (("tokenizer.json",), ("model.onnx", "onnx/model.onnx")),
}

Result = TypeVar("Result")


def read_local_folder(config: CreativesConfig, setting: str, make: Callable[[Mapping[str, bytes]], Result]) -> Result:
    """The result of `make` on the files (bytes by first name) in the folder of `creatives.<setting>`.

    Without a folder `make` gets no files. A UserError, of `make` too, begins with the setting and its folder.
    """
    folder = getattr(config, setting)
    files = {name: file.read_bytes() for name, file in _files(setting, folder).items()}
    try:
        return make(files)
    except UserError as error:
        raise UserError(f"creatives.{setting}: {folder}: {error}") from None


def folder_digests(config: CreativesConfig) -> dict[str, str]:
    """SHA-256 over the files in each setting's folder, by setting; settings that are null are left out."""
    by_setting = {setting: _files(setting, getattr(config, setting)) for setting in FILES}
    return {
        setting: digest_json({name: digest_file(file) for name, file in files.items()})
        for setting, files in by_setting.items()
        if files
    }


def folder_remarks(config: CreativesConfig) -> list[str]:
    """A remark for the record on each folder that was used."""
    return [
        f"creatives.{name}: from a local folder, digest {digest}" for name, digest in folder_digests(config).items()
    ]


def _files(setting: str, folder: str | None) -> dict[str, UPath]:
    """The files by their first name; UserError if the folder, or a file of it, does not exist."""
    if folder is None:
        return {}
    root, files = UPath(folder), {}
    if not root.is_dir():
        raise UserError(f"creatives.{setting}: {folder}: there is no such folder on this machine")
    for names in FILES[setting]:
        existing = [root / name for name in names if (root / name).is_file()]
        if not existing:
            required = " and ".join(" or ".join(alternatives) for alternatives in FILES[setting])
            raise UserError(f"creatives.{setting}: {folder}: there is no {' or '.join(names)}; it needs {required}")
        files[names[0]] = existing[0]
    return files

"""skops and Keras archives of a model, rewritten so that their bytes depend on the model only."""

import io
import json
import re
import zipfile

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can store
PROCESS_BOUND = re.compile(r'("name": "keras_tensor_?|"shared_object_id": )\d*')
IDENTITY = re.compile(r'"__id__": (\d+)|"file": "(\d+)\.npy"')


def stable_skops(content: bytes) -> bytes:
    """The skops archive `content` with memory addresses replaced by numbers in order, and without times."""
    members = _members(content)
    schema = members.pop("schema.json").decode()
    numbers: dict[str, str] = {}
    for match in IDENTITY.finditer(schema):
        address = match.group(1) or match.group(2)
        numbers.setdefault(address, str(len(numbers) + 1))

    def renumbered(match: re.Match) -> str:
        address = match.group(1) or match.group(2)
        return match.group(0).replace(address, numbers[address])

    files = {f"{numbers[name.removesuffix('.npy')]}.npy": part for name, part in members.items()}
    return _archive({**files, "schema.json": IDENTITY.sub(renumbered, schema).encode()})


def stable_keras(content: bytes) -> bytes:
    """The Keras archive `content` with process-wide tensor counts and addresses replaced, and without times."""
    members = _members(content)
    config = members["config.json"].decode()
    numbers: dict[str, str] = {}
    for match in PROCESS_BOUND.finditer(config):
        numbers.setdefault(match.group(0), str(len(numbers) + 1))

    def renumbered(match: re.Match) -> str:
        return match.group(1) + numbers[match.group(0)]

    members["config.json"] = PROCESS_BOUND.sub(renumbered, config).encode()
    about = json.loads(members["metadata.json"])
    about["date_saved"] = "1980-01-01@00:00:00"
    return _archive({**members, "metadata.json": json.dumps(about, sort_keys=True).encode()})


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), members[name])
    return stream.getvalue()

"""Settings of one data set from params.yaml and overrides; UserError names each setting that is wrong.

`datasets.<name>` in the file overrides any section for one data set.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components.settings.addresses import check_no_secret, hidden
from components.settings.errors import UserError, first_line
from components.settings.sections import Settings
from components.settings.typed_settings import explain_faults, lists_as_tuples

# setting of an earlier release -> its present name
RENAMED = {"world": "simulator"} | {
    f"interest.{name}": f"interest.network.{name}" for name in ("epochs", "batch_size", "learning_rate", "hidden", "l2")
}
RENAMED |= {
    "features.look_dimensions": "features.image_dimensions",
    "creatives.reader_steps": "creatives.parser_steps",
    "creatives.min_asked": "creatives.min_category_match",
}


def load_settings(path: str | Path, dataset: str, overrides: tuple[str, ...] = ()) -> Settings:
    """Settings of `dataset` from the params file at `path`; `overrides` (`section.key=value`) come last.

    UserError names the file or override, the setting and the expected value.
    """
    document = _read(Path(path))
    sections = _with_source_section({name: value for name, value in document.items() if name != "datasets"})
    per_dataset = (document.get("datasets") or {}).get(dataset) or {}
    if not isinstance(per_dataset, dict):
        raise UserError(f"{path}: datasets.{dataset} must be a mapping of sections, not {per_dataset!r}")
    merged = merge(sections, _with_source_section(per_dataset))
    for text in overrides:
        merged = merge(merged, _parse_override(text))
    try:
        settings = Settings.model_validate(lists_as_tuples(merged))
    except ValidationError as error:
        before = f"{path}: " if not overrides else f"{path} with --set: "
        raise UserError(hidden(explain_faults(error, before, Settings, RENAMED))) from None
    for setting, address in _addresses(settings).items():
        if address is not None:
            check_no_secret(address, setting)
    return settings


def _addresses(settings: Settings) -> dict[str, str | None]:
    """Setting -> value, for each setting that may be a URL and so could hold a secret."""
    creatives, kafka = settings.creatives, settings.serving.kafka
    client = {} if kafka is None else kafka.client
    return {
        "source.url": settings.source.url,
        "notify.webhook": settings.notify.webhook,
        "features.encoder": settings.features.encoder,
        "creatives.store": creatives.store,
        "creatives.pretrained": creatives.pretrained,
        "creatives.text_encoder": creatives.text_encoder,
        "serving.public_url": settings.serving.public_url,
        **{f"serving.kafka.client.{name}": f"?{name}={value}" for name, value in client.items()},
    }


def _with_source_section(sections: dict[str, Any]) -> dict[str, Any]:
    """`sections` with a `source` that is a text as a section with that url; its other settings are not changed."""
    source = sections.get("source")
    return {**sections, "source": {"url": source}} if isinstance(source, str) else sections


def dataset_names(path: str | Path) -> tuple[str, ...]:
    """The names under `datasets` in the params file at `path`, in its order."""
    return tuple(_read(Path(path)).get("datasets") or {})


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run Adloom in the project's folder or pass --params FILE") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {first_line(error)}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: must be a mapping of sections, not {type(document).__name__}")
    return document


def merge(base: dict, over: dict) -> dict:
    """`base` with the values of `over`, nested mappings merged; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise UserError(f"--set {text}: write section.key=value, such as evaluation.bootstrap=500")
    try:
        nested: Any = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: YAML reads 2026-13-01 as a date
        raise UserError(f"--set {text[:200]}: {value[:100]!r} is not a YAML value") from None
    for part in reversed(parts):
        nested = {part: nested}
    return nested

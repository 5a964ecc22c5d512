"""What README, CONTRIBUTING and docs/ claim -> the claims that are wrong, each as one sentence.

Every checker takes the text of a page; tests/test_docs.py runs them on the pages and on planted faults.
"""

import ast
import re
import shlex
import tempfile
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import yaml
from pydantic import BaseModel

from components.settings.errors import UserError
from components.settings.params_file import load_settings
from components.settings.paths import ROOT
from components.settings.sections import CreativesConfig, InterestConfig, PolicyConfig, Settings

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("components", "docs", "expectations", "flows", "infra", "tests", "benchmarks", ".ci")
FILE_ENDINGS = (".md", ".json", ".parquet", ".csv", ".yaml", ".py", ".npz", ".keras")
PLACEHOLDER = re.compile(r"[A-Z_]+|\.\.\.|\[.*\]")
NO_DATASET = "no overrides of its own"


@dataclass(frozen=True)
class Command:
    """A command line. complete: in a code block, to be typed as it is; else a mention, perhaps of a part of it."""

    text: str
    complete: bool


def spans(text: str) -> list[str]:
    """The inline code of a page, each on one line."""
    prose = "\n".join(line for line in text.split("\n") if not line.startswith("    "))
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def blocks(text: str) -> list[str]:
    """The indented code blocks of a page, without their indentation."""
    parts = re.findall(r"(?:^ {4}.*\n?|^\n(?= {4}))+", text, flags=re.MULTILINE)
    return [re.sub(r"^ {4}", "", part, flags=re.MULTILINE) for part in parts]


def commands(text: str, program: str) -> Iterator[Command]:
    """The command lines of `program` (the words it begins with) in the code blocks and the inline code of a page."""
    start = re.compile(rf"(?:[A-Z_0-9]+=\S+ )*(?:\.venv/bin/)?({re.escape(program)}(?:\s.*)?)$")
    for block in blocks(text):
        for line in block.replace("\\\n", " ").split("\n"):
            for part in _without_comment(line).split(" && "):
                if match := start.match(part.strip()):
                    yield Command(match[1], complete=True)
    for span in spans(text):
        if match := start.match(span):
            yield Command(match[1], complete=False)


def _without_comment(line: str) -> str:
    return re.split(r"\s#(?:\s|$)", line)[0]


def command_faults(text: str, group: click.Group) -> list[str]:
    """Commands, options, arguments and --set values of `group` that do not exist."""
    return [fault for command in commands(text, "adloom") for fault in _faults_of(command, group)]


def _faults_of(command: Command, group: click.Group) -> list[str]:
    words = shlex.split(command.text)[1:]
    found: click.Command = group
    context = click.Context(group, info_name="adloom")
    while isinstance(found, click.Group):
        options, words = _own_options(words, found, context)
        if options is None:
            return [f"{command.text}: no such option: {words[0]}"]
        if not words or words[0] == "COMMAND":
            return []
        if words[0] not in found.commands:
            return [f"{command.text}: no command {words[0]}"]
        found = found.commands[words[0]]
        context = click.Context(found, info_name=words[0], parent=context)
        words = words[1:]
    try:
        values, rest, _ = found.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        return [f"{command.text}: {error.format_message()}"]
    if rest:
        return [f"{command.text}: too many arguments: {' '.join(rest)}"]
    return [f"{command.text}: {fault}" for fault in _value_faults(found, context, values, command.complete)]


def _own_options(words: list[str], group: click.Group, context: click.Context) -> tuple[bool | None, list[str]]:
    """The words behind the options of a group itself; None for an option that it does not have."""
    known = {name: option for option in group.get_params(context) for name in option.opts}
    while words and words[0].startswith("-"):
        if words[0] not in known:
            return None, words
        words = words[1 if known[words[0]].is_flag else 2 :]
    return True, words


def _value_faults(command: click.Command, context: click.Context, values: dict, complete: bool) -> Iterator[str]:
    if complete and not values.get("help"):
        yield from (
            f"{parameter.human_readable_name} is missing"
            for parameter in command.params
            if parameter.required and not isinstance(values.get(parameter.name), str | tuple | list)
        )
    for parameter in command.params:
        value = values.get(parameter.name)
        given = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        for text in given:
            if not PLACEHOLDER.fullmatch(text):
                try:
                    parameter.type.convert(text, parameter, context)
                except (click.UsageError, UserError) as error:
                    yield str(error)
        if parameter.name == "overrides":
            yield from override_faults([text for text in given if "section.key" not in text])


def override_faults(overrides: Sequence[str]) -> list[str]:
    """What is wrong with `section.key=value` texts that are given together."""
    try:
        load_settings(ROOT / "params.yaml", NO_DATASET, tuple(overrides))
    except UserError as error:
        return [str(error)]
    return []


def prefect_faults(text: str) -> list[str]:
    """Deployments, parameters and overrides of `prefect deployment run` that do not exist."""
    known = {Path(entry["entrypoint"].split(":")[0]).stem + "/" + entry["name"] for entry in _deployments()}
    faults = []
    for command in commands(text, "prefect deployment run"):
        words = shlex.split(command.text)[3:]
        if words[0] not in known:
            faults.append(f"{command.text}: no deployment {words[0]}")
        for option, value in zip(words[1::2], words[2::2], strict=True):
            name, _, given = value.partition("=")
            if option != "--param" or name not in _flow_parameters("pipeline"):
                faults.append(f"{command.text}: no parameter {name}")
            elif name == "overrides":
                faults += override_faults(yaml.safe_load(given))
    return faults


def _deployments() -> list[dict]:
    return yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@cache
def _flow_parameters(name: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "flows" / f"{name}.py").read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return frozenset(argument.arg for argument in (*function.args.args, *function.args.kwonlyargs))


def setting_faults(text: str) -> list[str]:
    """Inline code such as `section.key` or `section.key: value` whose setting does not exist."""
    faults = []
    for span in spans(text):
        match = re.match(r"([a-z]+)((?:\.[a-z0-9_*]+)+)(?:[:=\[(]|$)", span)
        if match is None or span.endswith(FILE_ENDINGS):
            continue
        section, keys = match[1], match[2][1:].split(".")
        if section in Settings.model_fields and not _is_setting(Settings, [section, *keys]):
            faults.append(f"{span}: no such setting")
    return faults


def _is_setting(model: type[BaseModel], keys: Sequence[str]) -> bool:
    """Whether `keys` lead from `model` to a setting; `*` in a key stands for any part of a name."""
    settings = {name: field.annotation for name, field in model.model_fields.items()} | _kinds(model)
    for name, kind in settings.items():
        kind = typing.get_args(kind)[0] if isinstance(kind, types.UnionType) else kind  # a sub-section or null
        section = isinstance(kind, type) and issubclass(kind, BaseModel)
        if fnmatch(name, keys[0]) and (len(keys) == 1 or (section and _is_setting(kind, keys[1:]))):
            return True
    return False


def _kinds(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The sub-sections of kinds in a section: name -> the type of its settings."""
    from components.generators.generator_kinds import FAMILIES
    from components.interest.model_kinds import MODEL_KINDS
    from components.policies.policy_kinds import POLICIES

    registries = {CreativesConfig: FAMILIES, InterestConfig: MODEL_KINDS, PolicyConfig: POLICIES}
    return {name: kind.settings for name, kind in registries.get(model, {}).items()}


def yaml_faults(text: str) -> list[str]:
    """Settings under `datasets` in code blocks that do not load."""
    faults = []
    for block in blocks(text):
        lines = [line for line in block.split("\n") if not line.startswith("#")]
        document = "\n".join(lines).split("\n\n")[0]
        if not document.startswith("datasets:"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "params.yaml")
            path.write_text(document)
            for name in yaml.safe_load(document)["datasets"]:
                try:
                    load_settings(path, name)
                except UserError as error:
                    faults.append(str(error))
    return faults


def module_faults(text: str) -> list[str]:
    """Modules of benchmarks, flows and tests that do not exist, and options that no module of that folder knows."""
    names = re.findall(r"python -m ((?:benchmarks|flows|tests)\.[\w.]*[\w])", text)
    names += re.findall(r"`((?:benchmarks|flows)\.[a-z_]+)`", text)
    faults = [f"{name}: no such module" for name in names if "NAME" not in name and not _is_module(name)]
    for program in ("python -m benchmarks.", "python -m flows."):
        for line in re.findall(rf"{re.escape(program)}[^`\n#]*(?:\n[^`\n#]*)?`|{re.escape(program)}[^\n#`]*", text):
            words = line.rstrip("`").split()
            sources = _sources(words[2].split(".")[0])
            faults += [f"{line}: no option {word}" for word in words if word[:2] == "--" and f'"{word}"' not in sources]
    return faults


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@cache
def _sources(folder: str) -> str:
    return "\n".join(path.read_text() for path in (ROOT / folder).rglob("*.py"))


def make_faults(text: str) -> list[str]:
    """Targets of `make` that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = [command.text.split()[1] for command in commands(text, "make") if " " in command.text]
    return [f"make {name}: no such target" for name in named if name not in targets]


def path_faults(text: str) -> list[str]:
    """Inline code that is a path of the repository, or the name of a module, and does not exist."""
    faults = []
    for span in spans(text):
        if re.fullmatch(r"\w+\.py", span):
            exists = any(any((ROOT / folder).rglob(span)) for folder in FOLDERS)
        elif re.fullmatch(r"[\w.<>*/-]+", span) and span.split("/")[0] in FOLDERS and "/" in span:
            exists = any(ROOT.glob(re.sub(r"<\w+>", "*", span).rstrip("/")))
        else:
            continue
        if not exists:
            faults.append(f"{span}: no such file")
    return faults


def link_faults(text: str, page: Path) -> list[str]:
    """Relative links and pictures of `page` whose file or heading does not exist."""
    faults = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists():
            faults.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(text if target == page else target.read_text(encoding="utf-8")):
            faults.append(f"{link}: no such heading")
    return faults


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(text: str, first_heading: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first_heading`, each a list of cells."""
    lines = text.split("\n")
    start = next(number for number, line in enumerate(lines) if re.match(rf"\| *{first_heading} *\|", line))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line[1:].rstrip().removesuffix("|"))
        rows.append([cell.strip().replace("\\|", "|") for cell in cells])
    return rows


def registry_faults(text: str) -> list[str]:
    """Names such as `MODEL_KINDS` (`path`) that are not assigned in that file, and `NAME` followed by no path."""
    return [
        f"{name}: not assigned in {path}"
        for name, path in re.findall(r"`([A-Z]+)`\s+\(`([^`]+)`\)", text)
        if not re.search(rf"^{name}\b.*=", (ROOT / path).read_text(), flags=re.MULTILINE)
    ]
